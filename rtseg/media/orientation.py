"""Turn pictures upright as a stream's display matrix says."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from rtseg.frames import Image
from rtseg.media.side_data import side_data

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """One of the eight orientations of a picture: transposed first, then mirrored."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, picture: VideoFrame) -> Self:
        """The orientation given by a picture's display matrix, to the nearest quarter turn.

        The matrix is ISO/IEC 14496-12's: x' = a x + c y, y' = b x + d y, y downwards.
        """
        matrix = side_data(picture, "DISPLAYMATRIX")
        if matrix is None:
            return cls()
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix[:36])
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)
        return cls(mirrored_x=a < 0, mirrored_y=d < 0)

    def apply(self, image: Image) -> Image:
        """Turn the picture upright: uint8 (height, width, 3), contiguous."""
        import cv2

        turned = cv2.transpose(image) if self.transposed else image
        if self.mirrored_x or self.mirrored_y:
            # OpenCV's code: 1 mirrors left and right, 0 top and bottom, -1 both.
            both = self.mirrored_x and self.mirrored_y
            turned = cv2.flip(turned, -1 if both else int(self.mirrored_x))
        return np.asarray(turned, np.uint8)
