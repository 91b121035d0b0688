"""From decoded pictures to RGB frames of one size, upright."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from rtseg.frames import Image
from rtseg.media.colour import FULL_RANGE, colour_tags, yuv_encoding
from rtseg.media.orientation import Orientation

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class RgbConverter:
    """Converts the pictures of one stream, whatever their pixel formats and sizes.

    Args:
        first: the stream's first picture, whose size and orientation all others are given.

    Attributes:
        width, height: of every image that comes out, in pixels.
        orientation: how pictures are turned.
    """

    def __init__(self, first: VideoFrame) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._coded_width, self._coded_height = first.width, first.height
        self.orientation = Orientation.of(first)
        self.width, self.height = first.width, first.height
        if self.orientation.transposed:
            self.width, self.height = first.height, first.width

    def convert(self, picture: VideoFrame) -> Image:
        """The picture in RGB: uint8 (height, width, 3), fitted in, with black beside it."""
        width, height = self._coded_width, self._coded_height
        scale = min(Fraction(width, picture.width), Fraction(height, picture.height))
        fitted_width = max(1, round(picture.width * scale))
        fitted_height = max(1, round(picture.height * scale))
        encoding = yuv_encoding(colour_tags(picture), width=picture.width, height=picture.height)
        rgb = self._reformatter.reformat(
            picture,
            width=fitted_width,
            height=fitted_height,
            format="rgb24",
            src_colorspace=encoding.matrix,
            dst_colorspace=encoding.matrix,
            src_color_range=FULL_RANGE if picture.format.is_rgb else encoding.range,
            dst_color_range=FULL_RANGE,
            threads=1,
        )
        image: Image = np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)
        if (fitted_width, fitted_height) != (width, height):
            canvas = np.zeros((height, width, 3), np.uint8)
            top, left = (height - fitted_height) // 2, (width - fitted_width) // 2
            canvas[top : top + fitted_height, left : left + fitted_width] = image
            image = canvas
        return self.orientation.apply(image)
