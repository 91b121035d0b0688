"""Look closely at doubtful places: search each once more, in a region in which it is large.

What is no face resembles one less from close by, and a face that is hard to see is seen better.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.faces.base import FaceFinder, InferCrops
from rtseg.faces.overlap import is_same
from rtseg.faces.schedule import AROUND, Schedule
from rtseg.frames import Box, Image


class CloserLooks:
    """Has a finder look at places from close by.

    Args:
        finder: finds faces.
        schedule: which region it searches around a place.
        sizes: height of that region, in sizes of the place.
    """

    def __init__(self, finder: FaceFinder, schedule: Schedule, *, sizes: float = AROUND) -> None:
        self.finder = finder
        self.schedule = schedule
        self.sizes = sizes

    def __call__(self, picture: Image, infer: InferCrops, places: Sequence[Box]) -> list[float]:
        """The finder's score of each place, 0..1; 0 where it finds nothing.

        All places are searched at once. A place that lies in the regions of several has the best
        score of these.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer: runs the finder's network on parts of it.
            places: boxes in pixels of the picture.
        """
        if not places:
            return []
        regions = [self.schedule.around(place, sizes=self.sizes) for place in places]
        found = self.finder(picture, infer, regions=regions)
        return [
            max((face.score for face in found if is_same(face.box, place)), default=0.0)
            for place in places
        ]
