"""A selection of a data set's samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtseg.labels import LabelSet
from training.data.base import Dataset, Sample


@dataclass(frozen=True, kw_only=True)
class Subset:
    """The samples at certain indices of a data set, in that order."""

    dataset: Dataset
    indices: Sequence[int]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of these samples."""
        return tuple(self.dataset.names[index] for index in self.indices)

    @property
    def label_set(self) -> LabelSet:
        """The label set of the whole data set."""
        return self.dataset.label_set

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Sample:
        return self.dataset[self.indices[index]]
