"""Concatenate data sets with the same classes."""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.errors import SettingError
from rtseg.labels import LabelSet
from training.data.base import Dataset, Sample


class Joined:
    """The concatenated samples of several data sets.

    Raises:
        SettingError: their classes differ.
    """

    def __init__(self, parts: Sequence[Dataset]) -> None:
        for part in parts:
            if part.label_set.names != parts[0].label_set.names:
                raise SettingError(
                    f"data sets of {parts[0].label_set.name} and {part.label_set.name} cannot be "
                    "joined: their classes differ"
                )
        self.parts = tuple(parts)
        self.places = [(part, index) for part in parts for index in range(len(part))]

    @property
    def names(self) -> tuple[str, ...]:
        """The parts' names in order."""
        return tuple(part.names[index] for part, index in self.places)

    @property
    def label_set(self) -> LabelSet:
        """The label set of all parts."""
        return self.parts[0].label_set

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Sample:
        part, place = self.places[index]
        return part[place]
