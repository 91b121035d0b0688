"""Write one line of JSON per frame: its time, its faces, and the area of each class."""

from __future__ import annotations

import json
from typing import IO, Any

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.results.records import segmentation_record
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile

SCHEMA = 1
"""The version of the format; it changes whenever readers must."""


class JsonLinesSink(Sink):
    """Writes JSON Lines (UTF-8).

    The first line is a header: `{"schema": 1, "source": name, "width": …, "height": …,
    "time_base": "1/30", "labels": [names]}`. Each later one is a frame: `{"index": 0, "pts": ticks,
    "seconds": float, "faces": [face], "pixels": {class: count}}`, a face being `{"box": [left, top,
    right, bottom], "face_box": [the same without its hair], "track": id, "score": 0..1}`. The exact
    time is `pts` times `time_base`; classes without a pixel are left out of `pixels`.

    Args:
        output: the file's path.
        overwrite: whether a file there may be replaced.
    """

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool = False) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=overwrite)
        self._file: IO[str] | None = None
        self._info: SourceInfo | None = None
        self._frames = 0

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file. See `Sink.open`."""
        self._part.claim(info.read_files)
        self._info = info
        try:
            self._file = self._part.path.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the frame's line, and before the first one the header. See `Sink.write`."""
        self._part.check()
        if self._frames == 0:
            self._write_line(self._header(segmentation))
        self._frames += 1
        self._write_line(
            {
                "index": frame.index,
                "pts": frame.pts,
                "seconds": float(frame.pts_seconds),
                **segmentation_record(segmentation),
            }
        )

    def _header(self, segmentation: Segmentation) -> dict[str, Any]:
        if self._info is None:
            raise SinkError(f"{self._output}: written before it was opened")
        return {
            "schema": SCHEMA,
            "source": self._info.name,
            "width": self._info.width,
            "height": self._info.height,
            "time_base": str(self._info.time_base),
            "labels": list(segmentation.label_set.names),
        }

    def _write_line(self, value: dict[str, Any]) -> None:
        if self._file is None:
            raise SinkError(f"{self._output}: is not open")
        try:
            self._file.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def close(self, outcome: Outcome) -> None:
        """Finish the file. See `Sink.close`."""
        file, self._file = self._file, None
        try:
            if file is not None:
                file.close()
        except OSError as error:
            raise cannot_write(self._output, error) from None
        self._part.settle(outcome, frames=self._frames)

    def describe(self) -> str:
        """The file's path."""
        return self._output
