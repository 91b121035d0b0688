"""The interface of data sets: named pairs of an RGB image and its label ids."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from rtseg.errors import SourceError, listed
from rtseg.frames import Image, LabelMap
from rtseg.labels import IGNORED, LabelSet

SPLITS = Path(__file__).resolve().parent.parent / "splits"
"""The folder of the committed lists of names, one per line."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One labelled picture.

    Attributes:
        name: its name in the data set.
        image: uint8 (height, width, 3), RGB.
        labels: uint8 (height, width), ids of the data set's label set; 255 is ignored by losses
            and metrics. Values from `training.losses.functions.FIRST_SET` up stand for pixels that
            may be any of several classes, which `sets` lists.
        label_offset: pixels by which the labels are shifted to the right and down. Views and
            measurements correct this at any scale, because labels cannot be shifted by half a
            pixel themselves.
        sets: the classes that each value from `FIRST_SET` up allows.
    """

    name: str
    image: Image
    labels: LabelMap
    label_offset: float = 0.0
    sets: Sequence[Sequence[int]] = ()


class Dataset(Protocol):
    """Named samples in a fixed order."""

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' names in order."""

    @property
    def label_set(self) -> LabelSet:
        """The meaning of the ids."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


def samples_of(dataset: Dataset) -> Iterator[Sample]:
    """Yield every sample in order; the next few are being decoded on all cores meanwhile."""
    workers = os.cpu_count() or 1
    ahead: deque[Future[Sample]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for index in range(len(dataset)):
                ahead.append(pool.submit(dataset.__getitem__, index))
                if len(ahead) > 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()


def read_split(name: str) -> tuple[str, ...]:
    """The names in a committed list, such as `helen-train`.

    Raises:
        SourceError: there is no such list, or it contains a name twice.
    """
    path = SPLITS / f"{name}.txt"
    try:
        lines = path.read_text("utf-8").split()
    except OSError:
        lists = listed(sorted(file.stem for file in SPLITS.glob("*.txt")))
        raise SourceError(f"there is no split list {name!r}; there are: {lists}") from None
    if len(set(lines)) != len(lines):
        raise SourceError(f"{path}: this split list contains a name twice")
    return tuple(lines)


def require_folder(folder: Path, *, what: str) -> Path:
    """Return the folder, or raise a SourceError that says what is missing."""
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; it should contain {what}")
    return folder


def read_image(path: Path) -> Image:
    """A picture file as RGB, uint8 (height, width, 3).

    Raises:
        SourceError: it is missing or cannot be decoded.
    """
    decoded = _decode(path, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(decoded[:, :, ::-1])


def read_grey(path: Path) -> LabelMap:
    """A picture file as one 8-bit channel, uint8 (height, width).

    Raises:
        SourceError: it is missing or cannot be decoded.
    """
    grey: LabelMap = _decode(path, cv2.IMREAD_GRAYSCALE)
    return grey


def read_labels(path: Path, label_set: LabelSet) -> LabelMap:
    """An 8-bit picture of label ids, uint8 (height, width).

    Raises:
        SourceError: it cannot be read, has several channels, or holds a value that is neither an
            id of the set nor 255.
    """
    decoded = _decode(path, cv2.IMREAD_UNCHANGED)
    if decoded.ndim != 2 or decoded.dtype != np.uint8:
        raise SourceError(
            f"{path}: labels must be one 8-bit channel; found {decoded.dtype} {decoded.shape}"
        )
    check_ids(decoded, label_set, origin=str(path))
    return decoded


def check_ids(labels: LabelMap, label_set: LabelSet, *, origin: str) -> None:
    """Raise a SourceError that names the first unknown id, if any."""
    counts = np.bincount(labels.ravel(), minlength=256)
    unknown = np.flatnonzero(counts[len(label_set) : IGNORED]) + len(label_set)
    if unknown.size:
        raise SourceError(
            f"{origin}: holds the label value {unknown[0]} in {counts[unknown[0]]} pixels; "
            f"{label_set.name} has 0..{len(label_set) - 1}, and {IGNORED} is ignored"
        )


def resize_labels(labels: LabelMap, *, height: int, width: int) -> LabelMap:
    """Resize labels by nearest neighbour, which creates no new ids."""
    if labels.shape == (height, width):
        return labels
    resized: LabelMap = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return resized


def _decode(path: Path, mode: int) -> Image:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    decoded: Image | None = cv2.imdecode(data, mode) if data.size else None
    if decoded is None:
        raise SourceError(f"{path}: is not a picture that OpenCV can decode")
    return decoded
