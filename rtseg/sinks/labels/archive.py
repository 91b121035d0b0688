"""Write label ids as a NumPy archive."""

from __future__ import annotations

import zipfile
import zlib
from fractions import Fraction

import numpy as np

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile


class LabelsArchiveSink(Sink):
    """Writes a compressed NumPy archive, to be read with `numpy.load`.

    It contains `labels` (uint8: frames, height, width), `pts` (int64: frames), `time_base` (int64:
    numerator and denominator of the seconds per tick) and `names` (strings by label id).

    An array's header states the number of frames, which is known only at the end, so compressed
    labels are kept in memory until then: a few kilobytes per frame. Use .mkv for hours of video.
    """

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=overwrite)
        self._is_open = False
        self._compressed: list[bytes] = []
        self._pts: list[int] = []
        self._names: tuple[str, ...] = ()
        self._shape = (0, 0)
        self._time_base = Fraction(1)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file. See `Sink.open`."""
        self._part.claim(info.read_files)
        self._shape = (info.height, info.width)
        self._time_base = info.time_base
        self._is_open = True

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Compress the labels. See `Sink.write`."""
        if not self._is_open:
            raise SinkError(f"{self._output}: is not open")
        if segmentation.labels.shape != self._shape:
            raise SinkError(
                f"{self._output}: labels of {segmentation.labels.shape} in an archive of "
                f"{self._shape} (height, width)"
            )
        self._part.check()
        self._names = segmentation.label_set.names
        self._compressed.append(zlib.compress(segmentation.labels.tobytes(), 1))
        self._pts.append(frame.pts)

    def close(self, outcome: Outcome) -> None:
        """Write the archive. See `Sink.close`."""
        try:
            if self._is_open and (self._pts or outcome == "finished"):
                self._write_archive()
        except OSError as error:
            raise cannot_write(self._output, error) from None
        finally:
            self._is_open = False
        self._part.settle(outcome, frames=len(self._pts))

    def _write_archive(self) -> None:
        small = {
            "pts": np.asarray(self._pts, np.int64),
            "time_base": np.asarray(
                (self._time_base.numerator, self._time_base.denominator), np.int64
            ),
            "names": np.asarray(self._names, np.str_),
        }
        with zipfile.ZipFile(
            self._part.path, "w", zipfile.ZIP_DEFLATED, compresslevel=1
        ) as archive:
            with archive.open("labels.npy", "w", force_zip64=True) as member:
                shape = (len(self._pts), *self._shape)
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(member, header)
                for data in self._compressed:
                    member.write(zlib.decompress(data))
            for name, values in small.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, values, allow_pickle=False)

    def describe(self) -> str:
        """The file's path."""
        return self._output
