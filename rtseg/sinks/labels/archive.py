"""Label ids as a NumPy archive."""

from __future__ import annotations

import zipfile
import zlib
from fractions import Fraction
from typing import IO

import numpy as np

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import DiskSpace, cannot_write
from rtseg.sinks.partial_file import PartialFile


class LabelsArchiveSink(Sink):
    """A compressed NumPy archive, read with `numpy.load`.

    Holds `labels` (uint8: frames, height, width), `pts` (int64: frames), `time_base` (int64:
    numerator, denominator of the seconds a tick) and `names` (strings by label id).

    An array's header, which comes first, holds the number of frames, which is known last. So each
    frame is compressed into a temporary file beside the output, and the archive is written from
    that when the run ends: memory holds one frame, however long the video, and finishing takes a
    few milliseconds a frame. For hours of video, .mkv is the better choice.
    """

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=overwrite)
        self._spool: IO[bytes] | None = None
        self._sizes: list[int] = []
        self._pts: list[int] = []
        self._names: tuple[str, ...] = ()
        self._shape = (0, 0)
        self._time_base = Fraction(1)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the temporary file. See `Sink.open`."""
        self._part.claim(info.read_files)
        # Beside it, and as little anyone else's name.
        self._spool_path = self._part.path.with_suffix(".spool")
        self._place = DiskSpace(self._spool_path.parent, output=self._output)
        self._shape = (info.height, info.width)
        self._time_base = info.time_base
        try:
            self._spool = self._spool_path.open("x+b")
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Compress the labels into the temporary file. See `Sink.write`."""
        if self._spool is None:
            raise SinkError(f"{self._output}: is not open")
        if segmentation.labels.shape != self._shape:
            raise SinkError(
                f"{self._output}: labels of {segmentation.labels.shape} in an archive of "
                f"{self._shape} (height, width)"
            )
        self._place.check(self._spool_path)
        data = zlib.compress(segmentation.labels.tobytes(), 1)
        try:
            self._spool.write(data)
        except OSError as error:
            raise cannot_write(self._output, error) from None
        self._names = segmentation.label_set.names
        self._sizes.append(len(data))
        self._pts.append(frame.pts)

    def close(self, outcome: Outcome) -> None:
        """Write the archive from the temporary file, which goes away. See `Sink.close`."""
        spool, self._spool = self._spool, None
        try:
            if spool is not None:
                try:
                    if self._sizes or outcome == "finished":
                        self._write_archive(spool)
                finally:
                    spool.close()
                    self._spool_path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self._output, error) from None
        self._part.settle(outcome, frames=len(self._sizes))

    def _write_archive(self, spool: IO[bytes]) -> None:
        small = {
            "pts": np.asarray(self._pts, np.int64),
            "time_base": np.asarray(
                (self._time_base.numerator, self._time_base.denominator), np.int64
            ),
            "names": np.asarray(self._names, np.str_),
        }
        spool.seek(0)
        with zipfile.ZipFile(
            self._part.path, "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive:
            with archive.open("labels.npy", "w", force_zip64=True) as member:
                shape = (len(self._sizes), *self._shape)
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for size in self._sizes:
                    member.write(zlib.decompress(spool.read(size)))
            for name, values in small.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, values, allow_pickle=False)

    def describe(self) -> str:
        """The file's path."""
        return self._output
