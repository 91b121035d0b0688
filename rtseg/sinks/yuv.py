"""Convert rendered pictures to an encoder's pixel format.

OpenCV converts RGB to 4:2:0, which nearly every output needs: it takes 1.8 ms for a picture of
1920x1080, where swscale takes 4.8, and is as exact. swscale does everything else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtseg.frames import Picture
from rtseg.media.colour import FULL_RANGE, yuv_encoding, yuv_from_rgb
from rtseg.media.info import ColourTags

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.plane import VideoPlane


class YuvConverter:
    """Converts pictures of one size to an encoder's pixel format and size.

    Args:
        pixel_format: FFmpeg's name; for RGB formats only the layout changes.
        width, height: size of the coded picture; if larger, the last column and row are repeated.
        colour: the output's colour tags.
        picture_size: width and height of the pictures, used by the rule for untagged colours.
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
        self._halves = pixel_format == "yuv420p" and width % 2 == 0 and height % 2 == 0
        self._from_rgb = yuv_from_rgb(encoding)
        # The default, bilinear, changes chroma by a fraction of a level.
        self._interpolation = Interpolation.AREA

    def convert(self, picture: Picture) -> VideoFrame:
        """Convert a picture to the encoder's format, without setting a time."""
        import av
        import cv2

        right, bottom = self._width - picture.shape[1], self._height - picture.shape[0]
        if right or bottom:
            picture = np.asarray(
                cv2.copyMakeBorder(picture, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8
            )
        if self._halves and picture.shape[2] == 3:
            return self._subsampled(picture)
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

    def _subsampled(self, picture: Picture) -> VideoFrame:
        """Convert to 4:2:0; each chroma sample is the mean of four pixels."""
        import av
        import cv2

        frame = av.VideoFrame(self._width, self._height, self._pixel_format)
        luma, blue, red = (_pixels(plane) for plane in frame.planes)
        half = cv2.resize(
            picture, (self._width // 2, self._height // 2), interpolation=cv2.INTER_AREA
        )
        # computing three rows at once is several times as fast as one or two
        cv2.extractChannel(cv2.transform(picture, self._from_rgb), 0, luma)
        chroma = cv2.transform(half, self._from_rgb)
        cv2.extractChannel(chroma, 1, blue)
        cv2.extractChannel(chroma, 2, red)
        frame.colorspace = self._matrix
        frame.color_range = self._range
        return frame


def _pixels(plane: VideoPlane) -> npt.NDArray[np.uint8]:
    """A writable view of a plane's pixels."""
    buffer: Any = plane
    lines: npt.NDArray[np.uint8] = np.frombuffer(buffer, np.uint8)
    return lines.reshape(plane.height, plane.line_size)[:, : plane.width]
