"""Fit a picture into another size: stretched or letterboxed.

Both exist only here, so that a network gets the same input in training, evaluation and use.
"""

from __future__ import annotations

import numpy as np

from rtseg.checkpoint import Fit
from rtseg.frames import Image

PADDING = 114
"""The grey level around letterboxed pictures, and beyond the edges of cropped ones."""


def fitted_place(
    height: int, width: int, *, into: tuple[int, int], fit: Fit
) -> tuple[int, int, int, int]:
    """Compute a picture's position when fitted: (top, left, height, width) in pixels.

    Args:
        height, width: the picture's size.
        into: the target size (height, width).
        fit: `stretch` fills the target; `letterbox` keeps the aspect ratio and centres.
    """
    if fit == "stretch":
        return 0, 0, *into
    scale = min(into[0] / height, into[1] / width)
    inner_height = max(1, min(into[0], round(height * scale)))
    inner_width = max(1, min(into[1], round(width * scale)))
    return (into[0] - inner_height) // 2, (into[1] - inner_width) // 2, inner_height, inner_width


def resized(image: Image, height: int, width: int, *, smooth: bool = False) -> Image:
    """Resize a picture: averaging when shrinking, interpolating when enlarging.

    Args:
        image: uint8 (height, width, 3); returned as is if it already has that size.
        smooth: interpolate cubically instead of linearly.
    """
    import cv2

    if image.shape[:2] == (height, width):
        return image
    grown = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    method = cv2.INTER_AREA if height < image.shape[0] else grown
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def letterboxed(image: Image, height: int, width: int) -> Image:
    """Letterbox a frame on black, as players do."""
    return fitted(image, height=height, width=width, fit="letterbox", padding=0, smooth=True)


def fitted(
    image: Image,
    *,
    height: int,
    width: int,
    fit: Fit,
    padding: int = PADDING,
    smooth: bool = False,
) -> Image:
    """Fit a picture to a size: uint8 (height, width, 3).

    Args:
        image: uint8 (height, width, 3) of any size; returned as is if nothing changes.
        height, width: the target size in pixels.
        fit: as for `fitted_place`.
        padding: the grey level around a letterboxed picture.
        smooth: as for `resized`.
    """
    top, left, inner_height, inner_width = fitted_place(
        image.shape[0], image.shape[1], into=(height, width), fit=fit
    )
    inner = resized(image, inner_height, inner_width, smooth=smooth)
    if (inner_height, inner_width) == (height, width):
        return inner
    whole = np.full((height, width, 3), padding, np.uint8)
    whole[top : top + inner_height, left : left + inner_width] = inner
    return whole
