"""From rendered pictures to what an encoder takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rtseg.frames import Picture
from rtseg.media.colour import FULL_RANGE, yuv_encoding
from rtseg.media.info import ColourTags

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class YuvConverter:
    """Converts pictures of one size to an encoder's pixel format and size.

    Args:
        pixel_format: FFmpeg's name; for RGB formats nothing but the layout changes.
        width, height: of the coded picture; where it is larger, the last column and row repeat.
        colour: the tags that the output bears.
        picture_size: width and height of the pictures, which the rule for untagged colours goes by.
    """

    def __init__(
        self,
        *,
        pixel_format: str,
        width: int,
        height: int,
        colour: ColourTags,
        picture_size: tuple[int, int],
    ) -> None:
        from av.video.reformatter import Interpolation, VideoReformatter

        self._reformatter = VideoReformatter()
        self._pixel_format = pixel_format
        self._width, self._height = width, height
        encoding = yuv_encoding(colour, width=picture_size[0], height=picture_size[1])
        self._matrix = encoding.matrix
        self._range = encoding.range if pixel_format.startswith("yuv") else FULL_RANGE
        # Bilinear, the default, shifts chroma by a fraction of a level.
        self._interpolation = Interpolation.AREA

    def convert(self, picture: Picture) -> VideoFrame:
        """The picture as the encoder takes it, without a time."""
        import av
        import cv2

        right, bottom = self._width - picture.shape[1], self._height - picture.shape[0]
        if right or bottom:
            picture = np.asarray(
                cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8
            )
        rgb = av.VideoFrame.from_numpy_buffer(
            np.ascontiguousarray(picture), format="rgba" if picture.shape[2] == 4 else "rgb24"
        )
        return self._reformatter.reformat(
            rgb,
            format=self._pixel_format,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=FULL_RANGE,
            dst_color_range=self._range,
            interpolation=self._interpolation,
            threads=1,
        )
