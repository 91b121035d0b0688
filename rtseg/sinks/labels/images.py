"""Label ids as data, without loss: a folder of PNGs, an FFV1 video, or a NumPy archive."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from rtseg.errors import SettingError, SourceError
from rtseg.frames import Frame, LabelMap, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.image_sequence import ImageSequence
from rtseg.sinks.labels.archive import LabelsArchiveSink
from rtseg.sinks.labels.video import LabelsVideoSink


def open_labels_sink(output: str, *, overwrite: bool, names: Sequence[str] | None = None) -> Sink:
    """Make the sink for labels: `.npz`, `.mkv`, or a folder or pattern of PNG files.

    Args:
        output: `masks.npz`, `masks.mkv`, `masks/` or `masks/%06d.png`.
        overwrite: whether existing files may be replaced.
        names: PNG file names to use instead of numbers, in order.

    Raises:
        SettingError: the format is not supported.
    """
    suffix = Path(output).suffix.lower()
    if suffix == ".npz":
        return LabelsArchiveSink(output, overwrite=overwrite)
    if suffix == ".mkv":
        return LabelsVideoSink(output, overwrite=overwrite)
    if re.fullmatch(r"\.[a-z][a-z0-9]{1,4}", suffix) and suffix != ".png":
        raise SettingError(
            f"`labels` {output}: {suffix} cannot hold labels without loss; "
            "allowed: a folder, a pattern (masks/%06d.png), .mkv, .npz"
        )
    if suffix == ".png" and "%" not in Path(output).name:
        raise SettingError(
            f"`labels` {output}: one file for many frames; give a folder, or a pattern "
            "(masks/%06d.png)"
        )
    return LabelImagesSink(output, overwrite=overwrite, names=names)


class LabelImagesSink(Sink):
    """Writes one 8-bit grey PNG per frame, numbered from 0, whose values are the label ids."""

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool, names: Sequence[str] | None = None) -> None:
        self._output = output
        self._files = ImageSequence(output, suffixes=(".png",), names=names, overwrite=overwrite)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Make the folder. See `Sink.open`."""
        self._files.claim(info.read_files)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the labels. See `Sink.write`."""
        self._files.write(segmentation.labels)

    def close(self, outcome: Outcome) -> None:
        """Nothing to finish: every file is already complete."""
        self._files.settle()

    def describe(self) -> str:
        """The folder or pattern."""
        return self._output


def read_labels(path: str) -> Iterator[LabelMap]:
    """Yield the label maps that a labels sink wrote, in order, one in memory at a time.

    Args:
        path: a folder of PNGs, a `.mkv` or a `.npz`.

    Raises:
        SourceError: there are none, or they are damaged.
    """
    place = Path(path)
    readers = {".npz": _read_archive, ".mkv": _read_video}
    try:
        if place.is_dir():
            yield from _read_folder(place)
        else:
            yield from readers[place.suffix.lower()](place)
    except KeyError:
        raise SourceError(f"{path}: no labels; allowed: a folder of PNGs, .mkv, .npz") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(f"{path}: labels cannot be read: {error}") from None


def _read_folder(folder: Path) -> Iterator[LabelMap]:
    import cv2

    for path in sorted(folder.glob("*.png")):
        data = np.frombuffer(path.read_bytes(), np.uint8)
        labels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if labels is None or labels.ndim != 2 or labels.dtype != np.uint8:
            raise SourceError(f"{path}: is not an 8-bit grey PNG of label ids")
        yield np.asarray(labels, np.uint8)


def _read_video(path: Path) -> Iterator[LabelMap]:
    import av

    with av.open(str(path)) as container:
        for picture in container.decode(video=0):
            yield np.asarray(picture.to_ndarray(format="gray"), np.uint8)


def _read_archive(path: Path) -> Iterator[LabelMap]:
    with zipfile.ZipFile(path) as archive, archive.open("labels.npy") as member:
        if np.lib.format.read_magic(member) != (1, 0):
            raise SourceError(f"{path}: labels in an unknown format")
        (count, height, width), _, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype != np.uint8:
            raise SourceError(f"{path}: labels are {dtype}, not uint8")
        for _ in range(count):
            data = member.read(height * width)
            yield np.frombuffer(data, np.uint8).reshape(height, width)
