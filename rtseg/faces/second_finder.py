"""A second finder that occasionally searches for faces of kinds the first one does not know."""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.schedule import Schedule
from rtseg.frames import Box, Image


class SecondFinder:
    """A finder with its own schedule: a few searches per period, whoever is followed.

    The labelling network finds faces that the finder network was not trained for, such as half a
    face at the frame's edge or a bowed head, but costs three times as much. So it makes few
    searches, one at a time.

    Args:
        finder: the finder that searches.
        schedule: the regions to search, and when.
    """

    def __init__(self, finder: FaceFinder, schedule: Schedule) -> None:
        self.finder = finder
        self.schedule = schedule

    def reset(self) -> None:
        """Forget earlier pictures: the next one is unrelated to them."""
        self.finder.reset()
        self.schedule.reset()

    def __call__(
        self, picture: Image, infer: InferCrops, *, known: Sequence[Box]
    ) -> list[FaceDetection]:
        """Search this picture's regions, mostly none, as a `FaceFinder` does."""
        regions = self.schedule.following(*picture.shape[:2])
        return self.finder(picture, infer, regions=regions, known=known) if regions else []
