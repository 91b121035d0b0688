"""Describe data sets: homepage, terms, layout, and how to open their splits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtseg.errors import SettingError, SourceError, listed
from training.data.base import Dataset


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Everything needed to get a data set and use it.

    Attributes:
        name: lower-case words joined by `-`.
        homepage: where to get it.
        terms: the terms of use.
        layout: the files expected in the data folder.
        splits: the splits that `open` accepts; the first is for training.
        open: (data folder, split) -> the samples.
        overlaps: names of data sets that share pictures; never train on one and measure on
            another.
    """

    name: str
    homepage: str
    terms: str
    layout: str
    splits: tuple[str, ...]
    open: Callable[[Path, str], Dataset]
    overlaps: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """One line on where to get it, its terms, its layout, and what it overlaps."""
        shared = f"; shares pictures with {listed(self.overlaps)}" if self.overlaps else ""
        return f"{self.name}: {self.homepage} ({self.terms}); expected: {self.layout}{shared}"


def check_split(split: str, allowed: Sequence[str], *, what: str) -> None:
    """Raise a SettingError if the split is not allowed."""
    if split not in allowed:
        raise SettingError(f"{what} has no split {split!r}; allowed: {listed(allowed)}")


def find_root(data: Path, *, inside: Sequence[str], needs: Sequence[str], advice: str) -> Path:
    """Find the folder that contains all of `needs`: one of `data / inside`, or `data` itself.

    Raises:
        SourceError: there is none; the message says what is missing and where to get it.
    """
    if not data.is_dir():
        raise SourceError(f"{data}: no such folder; --data takes the folder of the data sets")
    for candidate in (*(data / name for name in inside), data):
        if all((candidate / need).exists() for need in needs):
            return candidate
    raise SourceError(f"{data}: holds no {listed(needs)}; get {advice}")


def stems_of(folder: Path, suffix: str) -> tuple[str, ...]:
    """The sorted names of a folder's files with a suffix, without the suffix.

    Raises:
        SourceError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; pictures named *{suffix} belong there")
    stems = sorted(path.name[: -len(suffix)] for path in folder.glob(f"*{suffix}"))
    if not stems:
        raise SourceError(f"{folder}: holds no file named *{suffix}")
    return tuple(stems)
