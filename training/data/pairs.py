"""Data sets of file pairs: a picture and its labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from rtseg.errors import SourceError
from rtseg.frames import LabelMap
from rtseg.labels import LabelSet
from training.data.base import Sample, read_image, read_labels, resize_labels
from training.data.origin import stems_of

Decode = Callable[[Path, LabelSet], LabelMap]
"""(label file, label set) -> ids; raises SourceError for unknown values."""

SAME_SHAPE = 0.02
"""The largest relative difference of aspect ratios for a scaled copy."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The two files of one sample."""

    name: str
    image: Path
    labels: Path


@dataclass(frozen=True, kw_only=True)
class PairedFiles:
    """Samples read from pairs of files, in order.

    Attributes:
        pairs: the files.
        label_set: what the ids mean.
        decode: reads a label file.
        scaled_labels: accept labels with a different size but the same aspect ratio as the
            picture; they are resized to the picture by nearest neighbour.
    """

    pairs: tuple[Pair, ...]
    label_set: LabelSet
    decode: Decode = read_labels
    scaled_labels: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The samples' names in order."""
        return tuple(pair.name for pair in self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def files(self, index: int) -> tuple[Path, ...]:
        """The files of a sample, the picture first."""
        return self.pairs[index].image, self.pairs[index].labels

    def __getitem__(self, index: int) -> Sample:
        pair = self.pairs[index]
        image = read_image(pair.image)
        labels = self.decode(pair.labels, self.label_set)
        if labels.shape != image.shape[:2]:
            labels = self._fitted(labels, image.shape[0], image.shape[1], pair)
        return Sample(name=pair.name, image=image, labels=labels)

    def _fitted(self, labels: LabelMap, height: int, width: int, pair: Pair) -> LabelMap:
        ratio = (labels.shape[1] / labels.shape[0]) / (width / height)
        if not self.scaled_labels or abs(ratio - 1) > SAME_SHAPE:
            raise SourceError(
                f"{pair.labels}: the labels are {labels.shape[1]}x{labels.shape[0]}, "
                f"the image {pair.image.name} is {width}x{height}"
            )
        return resize_labels(labels, height=height, width=width)


def pairs_in(
    folder: Path,
    image: str,
    labels: str,
    *,
    label_set: LabelSet,
    names: Sequence[str] | None = None,
) -> PairedFiles:
    """Pair the pictures of a folder with their labels.

    Args:
        folder: contains both.
        image, labels: their paths in it, with `{}` for the name: `images/{}.jpg`, `ids/{}.png`.
        label_set: what the ids mean.
        names: the samples, in order; by default all pictures, sorted.

    Raises:
        SourceError: there are no pictures.
    """
    if names is None:
        before, _, suffix = image.partition("{}")
        names = stems_of(folder / before, suffix)
    return PairedFiles(
        pairs=tuple(
            Pair(name=n, image=folder / image.format(n), labels=folder / labels.format(n))
            for n in names
        ),
        label_set=label_set,
    )


def shrunk_to(sample: Sample, *, height: int, width: int) -> Sample:
    """Shrink a sample to (height, width): the picture by averaging, labels by nearest neighbour."""
    if sample.image.shape[:2] == (height, width) == sample.labels.shape:
        return sample
    shrinks = height <= sample.image.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return Sample(
        name=sample.name,
        image=cv2.resize(sample.image, (width, height), interpolation=how),
        labels=resize_labels(sample.labels, height=height, width=width),
    )
