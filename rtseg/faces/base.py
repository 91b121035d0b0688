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
"""Runs a network on parts of the current picture: crops -> maps, one a crop."""


@dataclass(frozen=True, kw_only=True)
class FaceDetection:
    """A face that was seen in one picture.

    Attributes:
        box: the upright rectangle around the face, forehead to chin and ear to ear, in pixels of
            the picture; may reach over its edges.
        score: how likely it is a face, 0..1.
        roll_degrees: how far it is turned, clockwise as one sees it; None where that is unknown.
        head: the rectangle of face and hair before it is turned about its middle; None where
            the finder does not say.
        bounds: the upright rectangle around face and hair; None where the finder does not say.
        track_id: the track that was looked for where this was seen; None for a finder's.
        is_turned_away: no face shows, only the hair of a head that was followed.
    """

    box: Box
    score: float
    roll_degrees: float | None = None
    head: Box | None = None
    bounds: Box | None = None
    track_id: int | None = None
    is_turned_away: bool = False


class FaceFinder(Protocol):
    """Says where the faces of a picture are."""

    def __call__(
        self,
        picture: Image,
        infer: InferCrops,
        *,
        regions: Sequence[Crop],
        known: Sequence[Box] = (),
    ) -> list[FaceDetection]:
        """The faces in some parts of a picture, the surest first, each once.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer: runs the finder's network on parts of the picture.
            regions: where to look.
            known: faces that are followed: they may be left out.
        """

    def reset(self) -> None:
        """The next picture has nothing to do with those before."""


class Tracker(Protocol):
    """Tells which detection is whose, from picture to picture."""

    @property
    def tracks(self) -> Sequence[Track]:
        """Those that are in sight, and those lost so lately that they keep their ids."""

    def update(
        self, detections: Sequence[FaceDetection], *, seconds: float
    ) -> Sequence[Track | None]:
        """The track of each of a picture's detections; None where it is nobody's.

        Args:
            detections: with their heads; no track gets two, and no two tracks get one face.
            seconds: the picture's time.
        """

    def reset(self) -> None:
        """Forget every track. Ids go on."""
