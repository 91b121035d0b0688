"""Write label ids, or any other grey plane, as a lossless video."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile

NAMES_TAG = "RTSEG_LABELS"
"""The Matroska tag for the class names, as a JSON list by label id."""

MILLISECOND = Fraction(1, 1000)


class GreyVideoSink(Sink):
    """Writes a Matroska file with one FFV1 stream of a grey plane for each segmentation.

    FFV1 is lossless and has checksums. Times are rounded to Matroska's tick, a millisecond.

    Args:
        output: the file's path.
        overwrite: whether a file there may be replaced.
        pixel_format: FFmpeg's name, `gray` (8 bits) or `gray16le`.
    """

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool, pixel_format: str = "gray") -> None:
        self._output = output
        self._pixel_format = pixel_format
        self._part = PartialFile(output, overwrite=overwrite)
        self._container: Any = None
        self._stream: Any = None
        self._frames = 0
        self._last_pts: int | None = None
        self._size = (0, 0)

    @abstractmethod
    def plane(self, segmentation: Segmentation) -> npt.NDArray[np.unsignedinteger]:
        """The plane to write for a frame: (height, width), uint8 or uint16 as the pixel format."""

    @abstractmethod
    def tags(self, segmentation: Segmentation) -> Mapping[str, str]:
        """The file's tags, taken from its first frame."""

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file, at the source's size. See `Sink.open`."""
        # OpenCV must be loaded before PyAV, or a window of the same process hangs: see window.py.
        import cv2  # noqa: F401

        # isort: split
        import av

        self._part.claim(info.read_files)
        self._size = (info.width, info.height)
        try:
            # Named explicitly, because otherwise it is guessed from the temporary name.
            self._container = av.open(
                str(self._part.path), "w", format="matroska", options={"flush_packets": "1"}
            )
            self._stream = self._add_stream(info)
        except OSError as error:  # PyAV's system errors are OSErrors too
            raise cannot_write(self._output, error) from None

    def _add_stream(self, info: SourceInfo) -> Any:
        stream = self._container.add_stream("ffv1", rate=info.frame_rate or 25)
        stream.width, stream.height = self._size
        stream.pix_fmt = self._pixel_format
        stream.codec_context.time_base = MILLISECOND
        stream.time_base = MILLISECOND
        stream.codec_context.options = {"level": "3", "slicecrc": "1", "slices": "4"}
        return stream

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Encode the plane at the frame's time, to the millisecond. See `Sink.write`."""
        import av

        height, width = segmentation.labels.shape
        if (width, height) != self._size:
            raise SinkError(
                f"{self._output}: labels of {width}x{height} in a file of "
                f"{self._size[0]}x{self._size[1]}"
            )
        self._part.check()
        if self._frames == 0:
            self._container.metadata.update(self.tags(segmentation))
        pts = self._place(frame)
        plane = np.ascontiguousarray(self.plane(segmentation))
        picture_out = av.VideoFrame.from_ndarray(plane, format=self._pixel_format)
        picture_out.pts, picture_out.time_base = pts, MILLISECOND
        self._mux(lambda: self._stream.encode(picture_out))
        self._frames += 1

    def _place(self, frame: Frame) -> int:
        """The frame's time in milliseconds."""
        pts = round(frame.pts_seconds / MILLISECOND)
        if self._last_pts is not None and pts <= self._last_pts:
            # Matroska cannot distinguish two frames within one millisecond.
            pts = self._last_pts + 1
        self._last_pts = pts
        return pts

    def _mux(self, packets: Callable[[], Any]) -> None:
        try:
            self._container.mux(packets())
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def close(self, outcome: Outcome) -> None:
        """Finish the file. See `Sink.close`."""
        container, self._container = self._container, None
        try:
            if container is not None:
                try:
                    if self._frames or outcome == "finished":
                        container.mux(self._rest())
                finally:
                    container.close()
        except OSError as error:
            raise cannot_write(self._output, error) from None
        self._part.settle(outcome, frames=self._frames)

    def _rest(self) -> Any:
        """What the encoder held back."""
        return self._stream.encode(None)

    def describe(self) -> str:
        """The file's path."""
        return self._output


class LabelsVideoSink(GreyVideoSink):
    """Writes label ids as grey values, and the class names in the tag `RTSEG_LABELS`."""

    def plane(self, segmentation: Segmentation) -> npt.NDArray[np.unsignedinteger]:
        """The labels. See `GreyVideoSink.plane`."""
        return segmentation.labels

    def tags(self, segmentation: Segmentation) -> Mapping[str, str]:
        """The class names. See `GreyVideoSink.tags`."""
        return {NAMES_TAG: json.dumps(segmentation.label_set.names)}
