"""Map colour tags to swscale's settings, identically for reading and writing.

Code points are those of ITU-T H.273 (primaries, transfer characteristics, matrix coefficients).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtseg.media.info import ColourTags

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

RGB_MATRIX = 0

BT709_MATRIX = 1
BT601_MATRIX = 5

_SWSCALE_MATRIX = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
"""H.273 matrix coefficients to swscale's SWS_CS numbers; 5 and 6 are both BT.601."""

_OTHER_MATRICES = {8: "YCgCo", 10: "BT.2020 constant luminance", 14: "ICtCp", 15: "IPT-C2"}

LIMITED_RANGE, FULL_RANGE = 1, 2
"""swscale's (and AVColorRange's) numbers."""


@dataclass(frozen=True, kw_only=True)
class YuvEncoding:
    """swscale's settings for converting between RGB and YUV.

    Attributes:
        matrix: SWS_CS number.
        range: `LIMITED_RANGE` or `FULL_RANGE`.
    """

    matrix: int
    range: int


def yuv_encoding(tags: ColourTags, *, width: int, height: int) -> YuvEncoding:
    """Return the encoding of pixels with these tags.

    As in players, an unspecified matrix means BT.709 for pictures of at least 1280 pixels in width
    or 720 in height, and BT.601 for smaller ones; an unspecified range means limited range.
    """
    matrix = tags.matrix
    if matrix not in _SWSCALE_MATRIX:
        matrix = BT709_MATRIX if width >= 1280 or height >= 720 else BT601_MATRIX
    return YuvEncoding(
        matrix=_SWSCALE_MATRIX[matrix], range=FULL_RANGE if tags.full_range else LIMITED_RANGE
    )


_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
"""Weights of red and blue by SWS_CS number (H.273, table 4)."""


def rgb_from_yuv16(encoding: YuvEncoding) -> npt.NDArray[np.float32]:
    """The affine map from Y'CbCr to full-range R'G'B', both in 16 bits: float32 (3, 4)."""
    red, blue = _LUMA_WEIGHTS[encoding.matrix]
    green = 1 - red - blue
    full = encoding.range == FULL_RANGE
    black, luma, chroma = (0, 65535, 65535) if full else (16 << 8, 219 << 8, 224 << 8)
    from_difference = np.array(
        [
            [1, 0, 2 - 2 * red],
            [1, -(2 - 2 * blue) * blue / green, -(2 - 2 * red) * red / green],
            [1, 2 - 2 * blue, 0],
        ]
    )
    linear = from_difference * 65535 / np.array([luma, chroma, chroma])
    offset = -linear @ np.array([black, 1 << 15, 1 << 15])
    return np.column_stack([linear, offset]).astype(np.float32)


def yuv_from_rgb(encoding: YuvEncoding) -> npt.NDArray[np.float32]:
    """The affine map from full-range R'G'B' to Y'CbCr, both in 8 bits: float32 (3, 4)."""
    red, blue = _LUMA_WEIGHTS[encoding.matrix]
    full = encoding.range == FULL_RANGE
    black, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
    weights = np.array([red, 1 - red - blue, blue])
    linear = np.array(
        [
            weights * luma,
            (np.array([0, 0, 1]) - weights) / (2 - 2 * blue) * chroma,
            (np.array([1, 0, 0]) - weights) / (2 - 2 * red) * chroma,
        ]
    )
    return np.column_stack([linear / 255, [black, 128, 128]]).astype(np.float32)


def colour_tags(picture: VideoFrame) -> ColourTags:
    """The tags of a decoded picture; RGB pictures have no YUV matrix or range."""
    if picture.format.is_rgb or picture.colorspace == RGB_MATRIX:
        return ColourTags(primaries=picture.color_primaries, transfer=picture.color_trc)
    return ColourTags(
        primaries=picture.color_primaries,
        transfer=picture.color_trc,
        matrix=picture.colorspace,
        full_range=_is_full_range(picture),
    )


def _is_full_range(picture: VideoFrame) -> bool | None:
    if picture.color_range in (LIMITED_RANGE, FULL_RANGE):
        return picture.color_range == FULL_RANGE
    # The pixel formats of the "J" family, and grey ones, imply full range.
    return True if picture.format.name.startswith(("yuvj", "gray", "ya", "pal8")) else None


def unreadable_colour(tags: ColourTags) -> str:
    """Say why these colours cannot be read correctly; "" if they can."""
    matrix = _OTHER_MATRICES.get(tags.matrix)
    if matrix is None:
        return ""
    return (
        f"its colour matrix is {matrix}; RGB, BT.601, BT.709, SMPTE 240M and BT.2020 can be read; "
        "convert it first: ffmpeg -i IN -vf zscale=m=bt709 OUT.mp4"
    )
