"""Convert decoded pictures to upright RGB frames of one size."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from rtseg.media.colour import (
    FULL_RANGE,
    YuvEncoding,
    colour_tags,
    rgb_from_yuv16,
    yuv_encoding,
)
from rtseg.media.info import ColourTags
from rtseg.media.orientation import Orientation
from rtseg.media.tone_mapping import HLG, PQ, USUAL_NITS, ToneMapper, stated_peak_nits

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


class RgbConverter:
    """Converts the pictures of one stream, whatever their pixel formats and sizes.

    High dynamic range is mapped to BT.709 (`rtseg.media.tone_mapping`).

    Args:
        first: the stream's first picture; all others are given its size and orientation.

    Attributes:
        width, height: size of every output image in pixels.
        orientation: how pictures are rotated and mirrored.
        colour: the images' colour encoding; BT.709 if the first picture was HDR.
    """

    def __init__(self, first: VideoFrame) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self._coded_width, self._coded_height = first.width, first.height
        self.orientation = Orientation.of(first)
        self._peak_nits = stated_peak_nits(first) or USUAL_NITS
        self._mappers: dict[tuple[int, int], ToneMapper] = {}
        self.colour = colour_tags(first)
        if self.colour.transfer in (PQ, HLG):
            self.colour = ColourTags(primaries=1, transfer=1, matrix=1, full_range=False)
        self.width, self.height = first.width, first.height
        if self.orientation.transposed:
            self.width, self.height = first.height, first.width

    def convert(self, picture: VideoFrame) -> Image:
        """Convert to RGB: uint8 (height, width, 3), letterboxed on black."""
        width, height = self._coded_width, self._coded_height
        scale = min(Fraction(width, picture.width), Fraction(height, picture.height))
        fitted_width = max(1, round(picture.width * scale))
        fitted_height = max(1, round(picture.height * scale))
        tags = colour_tags(picture)
        image: Image
        if tags.transfer in (PQ, HLG):
            signal = self._sixteen_bits(picture, tags, fitted_width, fitted_height)
            image = self._mapper(tags).map(signal)
        else:
            encoding = yuv_encoding(tags, width=picture.width, height=picture.height)
            rgb = self._reformat(
                picture, "rgb24", fitted_width, fitted_height, encoding, FULL_RANGE
            )
            image = np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)
        if (fitted_width, fitted_height) != (width, height):
            canvas = np.zeros((height, width, 3), np.uint8)
            top, left = (height - fitted_height) // 2, (width - fitted_width) // 2
            canvas[top : top + fitted_height, left : left + fitted_width] = image
            image = canvas
        return self.orientation.apply(image)

    def _reformat(
        self,
        picture: VideoFrame,
        pixel_format: str,
        width: int,
        height: int,
        encoding: YuvEncoding,
        target_range: int,
    ) -> VideoFrame:
        return self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            format=pixel_format,
            src_colorspace=encoding.matrix,
            dst_colorspace=encoding.matrix,
            src_color_range=FULL_RANGE if picture.format.is_rgb else encoding.range,
            dst_color_range=target_range,
            threads=1,
        )

    def _sixteen_bits(
        self, picture: VideoFrame, tags: ColourTags, width: int, height: int
    ) -> npt.NDArray[np.uint16]:
        """R'G'B' in 16 bits. FFmpeg's own conversion maps white half a percent too low."""
        import cv2

        encoding = yuv_encoding(tags, width=picture.width, height=picture.height)
        if picture.format.is_rgb:
            rgb = self._reformat(picture, "gbrp16le", width, height, encoding, FULL_RANGE)
            return np.ascontiguousarray(rgb.to_ndarray(), np.uint16)
        yuv = self._reformat(picture, "yuv444p16le", width, height, encoding, encoding.range)
        planes = np.ascontiguousarray(yuv.to_ndarray(), np.uint16)
        matrix = rgb_from_yuv16(encoding)
        return np.asarray(cv2.transform(planes, matrix), np.uint16)  # rounds, and saturates

    def _mapper(self, tags: ColourTags) -> ToneMapper:
        key = (tags.transfer, tags.primaries)
        if key not in self._mappers:
            self._mappers[key] = ToneMapper(
                tags.transfer, primaries=tags.primaries, peak_nits=self._peak_nits
            )
        return self._mappers[key]
