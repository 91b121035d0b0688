"""Fit a picture into another size: stretched or letterboxed.

The one place for both, so that a network gets the same input in training, evaluation and use.
"""

from __future__ import annotations

import numpy as np

from rtseg.checkpoint import Fit
from rtseg.frames import Image

PADDING = 114
"""The grey level around a letterboxed picture, and beyond the edges of one that is cut."""


def fitted_place(
    height: int, width: int, *, into: tuple[int, int], fit: Fit
) -> tuple[int, int, int, int]:
    """Where a picture of that size comes to lie: (top, left, height, width), in pixels.

    Args:
        height, width: of the picture.
        into: (height, width) of what it is fitted into.
        fit: `stretch` fills it; `letterbox` keeps the picture's shape, in the middle.
    """
    if fit == "stretch":
        return 0, 0, *into
    scale = min(into[0] / height, into[1] / width)
    inner_height = max(1, min(into[0], round(height * scale)))
    inner_width = max(1, min(into[1], round(width * scale)))
    return (into[0] - inner_height) // 2, (into[1] - inner_width) // 2, inner_height, inner_width


def resized(image: Image, height: int, width: int, *, smooth: bool = False) -> Image:
    """The picture at another size: averaged where it shrinks, interpolated where it grows.

    Args:
        image: uint8 (height, width, 3); returned itself where it has that size already.
        smooth: interpolate cubically instead of linearly.
    """
    import cv2

    if image.shape[:2] == (height, width):
        return image
    grown = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    method = cv2.INTER_AREA if height < image.shape[0] else grown
    return np.asarray(cv2.resize(image, (width, height), interpolation=method), np.uint8)


def letterboxed(image: Image, height: int, width: int) -> Image:
    """A frame fitted into another frame's size on black, as players show it."""
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
    """The picture in another size and shape: uint8 (height, width, 3).

    Args:
        image: uint8 (height, width, 3) of any size; returned itself where nothing is to do.
        height, width: wanted, in pixels.
        fit: as `fitted_place` takes it.
        padding: the grey level around a letterboxed picture.
        smooth: as `resized` takes it.
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
