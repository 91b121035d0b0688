"""Interfaces of face finders and trackers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from rtseg.frames import Box, Image
from rtseg.geometry.crop import Crop

if TYPE_CHECKING:
    from rtseg.faces.track import Track

InferCrops = Callable[[Sequence[Crop]], Sequence[npt.NDArray[np.float32]]]
"""Runs a network on parts of the current picture: crops -> probability maps, one per crop."""


@dataclass(frozen=True, kw_only=True)
class FaceDetection:
    """A face detected in one picture.

    Attributes:
        box: the upright rectangle around the face, forehead to chin and ear to ear, in pixels of
            the picture; may extend beyond its edges.
        score: the probability that it is a face, 0..1.
        roll_degrees: the face's rotation, clockwise as displayed; None if unknown.
        head: the rectangle of face and hair before it is rotated about its centre; None if the
            finder does not provide it.
        bounds: the upright rectangle around face and hair; None if the finder does not provide it.
        track_id: the track in whose crop it was detected; None for a finder's detections.
        is_turned_away: whether no face is visible, only the hair of a head that was followed.
        proportion: the face's height in widths, if part of it is covered, by a mask for example,
            and `box` was extended to include it; None otherwise.
    """

    box: Box
    score: float
    roll_degrees: float | None = None
    head: Box | None = None
    bounds: Box | None = None
    track_id: int | None = None
    is_turned_away: bool = False
    proportion: float | None = None


class FaceFinder(Protocol):
    """Finds the faces in a picture."""

    def __call__(
        self,
        picture: Image,
        infer: InferCrops,
        *,
        regions: Sequence[Crop],
        known: Sequence[Box] = (),
    ) -> list[FaceDetection]:
        """Find the faces in some parts of a picture, by falling score, each only once.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer: runs the finder's network on parts of the picture.
            regions: the parts to search.
            known: faces that are followed already, which may be omitted.
        """

    def reset(self) -> None:
        """Forget earlier pictures: the next one is unrelated to them."""


class Tracker(Protocol):
    """Decides from picture to picture which detection belongs to which track."""

    @property
    def tracks(self) -> Sequence[Track]:
        """The tracks of visible faces, and of those lost so recently that they keep their ids."""

    def update(
        self,
        detections: Sequence[FaceDetection],
        *,
        seconds: float,
        occupied: Sequence[Box] = (),
    ) -> Sequence[Track | None]:
        """Assign a picture's detections to tracks; None for a detection without a track.

        Args:
            detections: with their heads; no track gets two, and no two tracks get the same face.
            seconds: the picture's time.
            occupied: where a finder sees faces, sure enough to be followed or not: one that was
                lost there is not somewhere else.
        """

    def reset(self) -> None:
        """Forget every track. Ids keep counting."""
