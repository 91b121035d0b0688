"""A second finder that looks now and then for faces that the first one does not know."""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.schedule import Schedule
from rtseg.frames import Box, Image


class SecondFinder:
    """A finder with a schedule of its own: a few looks a period, whoever is followed.

    The labelling network finds what the finder network was not trained for, half a face at the
    frame's edge or a bowed head, but costs three times as much; so it takes few looks, one at a
    time.

    Args:
        finder: what looks.
        schedule: when it looks where.
    """

    def __init__(self, finder: FaceFinder, schedule: Schedule) -> None:
        self.finder = finder
        self.schedule = schedule

    def reset(self) -> None:
        """The next picture has nothing to do with those before."""
        self.finder.reset()
        self.schedule.reset()

    def __call__(
        self, picture: Image, infer: InferCrops, *, known: Sequence[Box]
    ) -> list[FaceDetection]:
        """The faces that this picture's looks show, mostly none; as `FaceFinder`."""
        regions = self.schedule.following(*picture.shape[:2])
        return self.finder(picture, infer, regions=regions, known=known) if regions else []
