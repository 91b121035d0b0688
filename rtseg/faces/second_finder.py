"""A second finder that occasionally searches for faces of kinds the first one does not know."""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.changes import SearchedRegions
from rtseg.faces.schedule import Schedule
from rtseg.frames import Box, Image
from rtseg.geometry.crop import Crop

# Between two searches of a region, if it changes and if it does not.
_LEAST_PERIODS, _LONGEST_PERIODS = 6, 12

# The picture of a stream that is searched as a whole at once. In the first one, the first finder
# searches everywhere; from the second on, the faces that it found are known and cost nothing here.
_WHOLE_PICTURE = 2


class SecondFinder:
    """A finder with its own schedule: a few searches per period, whoever is followed.

    The labelling network finds faces that the finder network was not trained for, such as half a
    face at the frame's edge or a bowed head, but costs three times as much. So it makes few
    searches, one at a time, and leaves a region in which it found nobody alone for a while. So that
    nobody waits for a period, the first search of a stream comes at once, and covers the whole
    picture.

    Args:
        finder: the finder that searches.
        schedule: the regions to search, and when.
    """

    def __init__(self, finder: FaceFinder, schedule: Schedule) -> None:
        self.finder = finder
        self.schedule = schedule
        self._pictures = 0
        self._searched = SearchedRegions(
            least=_LEAST_PERIODS * schedule.every, longest=_LONGEST_PERIODS * schedule.every
        )

    def reset(self) -> None:
        """Forget earlier pictures: the next one is unrelated to them."""
        self.finder.reset()
        self.schedule.reset()
        self._searched.reset()
        self._pictures = 0

    def __call__(
        self, picture: Image, infer: InferCrops, *, known: Sequence[Box]
    ) -> list[FaceDetection]:
        """Search this picture's regions, mostly none, as a `FaceFinder` does."""
        self._searched.next_frame(picture)
        self._pictures += 1
        height, width = picture.shape[:2]

        def worth(region: Crop) -> bool:
            return self._searched.is_worth_searching(region, known=known)

        regions = self.schedule.following(height, width, worth=worth)
        if not regions and self._pictures == _WHOLE_PICTURE:
            # not remembered, as a stream's first pictures may be dark: its turn comes again
            whole = self.schedule.whole(height, width)
            return self.finder(picture, infer, regions=[whole], known=known)
        if not regions:
            return []
        detections = self.finder(picture, infer, regions=regions, known=known)
        self._searched.add(regions, is_settled=not detections)
        return detections
