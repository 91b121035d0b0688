"""Write label ids, or any other grey plane, as a lossless video."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.labels.grey_file import MILLISECOND, GreyVideoFile

NAMES_TAG = "RTSEG_LABELS"
"""The Matroska tag for the class names, as a JSON list by label id."""


class GreyVideoSink(GreyVideoFile):
    """Encodes a grey plane of each segmentation with FFV1, which is lossless and has checksums.

    Args:
        output: the file's path.
        overwrite: whether a file there may be replaced.
        pixel_format: FFmpeg's name, `gray` (8 bits) or `gray16le`.
    """

    def __init__(self, output: str, *, overwrite: bool, pixel_format: str = "gray") -> None:
        super().__init__(output, overwrite=overwrite)
        self._pixel_format = pixel_format

    @abstractmethod
    def plane(self, segmentation: Segmentation) -> npt.NDArray[np.unsignedinteger]:
        """The plane to write for a frame: (height, width), uint8 or uint16 as the pixel format."""

    @abstractmethod
    def tags(self, segmentation: Segmentation) -> Mapping[str, str]:
        """The file's tags, taken from its first frame."""

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

    def _rest(self) -> Any:
        """What the encoder held back."""
        return self._stream.encode(None)


class LabelsVideoSink(GreyVideoSink):
    """Writes label ids as grey values, and the class names in the tag `RTSEG_LABELS`."""

    def plane(self, segmentation: Segmentation) -> npt.NDArray[np.unsignedinteger]:
        """The labels. See `GreyVideoSink.plane`."""
        return segmentation.labels

    def tags(self, segmentation: Segmentation) -> Mapping[str, str]:
        """The class names. See `GreyVideoSink.tags`."""
        return {NAMES_TAG: json.dumps(segmentation.label_set.names)}
