"""Stretch what a network sees of dark, hazy and backlit faces to the range that it was trained on.

The networks have learnt from photos that use most of the range from black to white. Where a crop
uses little of it, one table for all channels stretches it, so that hues stay. On 64 validation
portraits of CelebAMask-HQ, the mean F1 of 18 classes is .833; where brightness is divided by eight
and noise added, .783 without and .818 with this; where only the person is darkened, to a sixteenth,
.749 and .78. Coloured light leaves one channel its range, and is not stretched.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from rtseg.geometry.crop import Crop
from rtseg.geometry.fit import PADDING

Table = npt.NDArray[np.uint8]

FULL_RANGE = 210
"""Grey levels from the darkest to the brightest values, up to which crops are stretched: the median
of validation portraits."""

_LEAST_RANGE = 8.0  # below it, all is noise, and not stretched any further
_DARKEST, _BRIGHTEST = 16.0, 239.0
_OMITTED = 0.02  # share of the pixels at either end that do not count
_STEP = 4  # pixels from one that is looked at to the next
_MARGIN = 0.2  # of a crop's sides: what is not its centre


def all_evened(
    pictures: npt.NDArray[np.uint8], crops: Sequence[Crop], *, height: int, width: int
) -> npt.NDArray[np.uint8]:
    """`evened` for a batch, uint8 (crops, rows, columns, 3); the same array if nothing changes."""
    seen = pictures
    for index, (picture, crop) in enumerate(zip(pictures, crops, strict=True)):
        stretched = evened(picture, crop, height=height, width=width)
        if stretched is not picture:
            seen = pictures.copy() if seen is pictures else seen
            seen[index] = stretched
    return seen


def evened(picture: Image, crop: Crop, *, height: int, width: int) -> Image:
    """The picture, or a stretched copy if it uses little of the range.

    Args:
        picture: what is inside a crop, uint8 (rows, columns, 3).
        crop: its position and metering; what is outside the frame does not count, and stays as it
            is.
        height, width: the frame's size in pixels.
    """
    import cv2

    rows, columns = picture.shape[:2]
    top, left = 0, 0
    if crop.metering == "centre":
        top, left = round(_MARGIN * rows), round(_MARGIN * columns)
    looked_at = slice(top, rows - top, _STEP), slice(left, columns - left, _STEP)
    pixels = picture[looked_at].reshape(-1, 3)
    shown = crop.shown(rows, columns, height=height, width=width, at=looked_at)
    if shown is not None:
        pixels = pixels[shown.ravel()]
    table = stretching_table(pixels)
    if table is None:
        return picture
    stretched = np.asarray(cv2.LUT(picture, table), np.uint8)
    everywhere = crop.shown(rows, columns, height=height, width=width)
    if everywhere is not None:
        # a twentieth of the time of NumPy's assignment
        outside = (~everywhere).view(np.uint8)
        cv2.copyTo(np.full_like(stretched, PADDING), outside, stretched)
    return stretched


def stretching_table(pixels: npt.NDArray[np.uint8]) -> Table | None:
    """The new value of each value, uint8 (256,), or None if they use enough of the range.

    Just below `FULL_RANGE` little changes, so that a slow change of light makes no jump.

    Args:
        pixels: uint8 (number, 3).
    """
    if not len(pixels):
        return None
    red, green, blue = pixels.T
    darkest = _at_rank(np.minimum(np.minimum(red, green), blue), _OMITTED)
    brightest = _at_rank(np.maximum(np.maximum(red, green), blue), 1 - _OMITTED)
    used = max(_LEAST_RANGE, brightest - darkest)
    if used >= FULL_RANGE:
        return None
    # as much more above as below, but no nearer to black and white than needed
    first = darkest - (FULL_RANGE - used) / 2
    first = max(first, min(darkest, _DARKEST))
    first = min(first, max(brightest, _BRIGHTEST) - FULL_RANGE)
    ramp = (np.arange(256) - darkest) * (FULL_RANGE / used) + first
    table: Table = np.clip(np.rint(ramp), 0, 255).astype(np.uint8)
    return table


def _at_rank(values: npt.NDArray[np.uint8], share: float) -> float:
    rank = round(share * (len(values) - 1))
    return float(np.partition(values, rank)[rank])
