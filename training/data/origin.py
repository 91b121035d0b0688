"""Where a data set comes from, under what terms, in which layout, and how its splits are opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtseg.errors import SettingError, SourceError, listed
from training.data.base import Dataset


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a newcomer has to know to get a data set and to use it.

    Attributes:
        name: lower-case words joined by `-`.
        homepage: where to get it.
        terms: under what terms.
        layout: the files that are expected below the data folder.
        splits: what `open` takes; the first is the one to learn from.
        open: (data folder, split) -> the samples.
        overlaps: names of data sets that show some of the same pictures: never learn from one
            what is measured on the other.
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
        """One line on where to get it, under what terms, and what it must look like."""
        return f"{self.name}: {self.homepage} ({self.terms}); expected: {self.layout}"


def check_split(split: str, allowed: Sequence[str], *, what: str) -> None:
    """Raise a SettingError unless the split is one of those allowed."""
    if split not in allowed:
        raise SettingError(f"{what} has no split {split!r}; allowed: {listed(allowed)}")


def find_root(data: Path, *, inside: Sequence[str], needs: Sequence[str], advice: str) -> Path:
    """The folder that holds all of `needs`: one of `data / inside`, or `data` itself.

    Raises:
        SourceError: there is none; says what was looked for and where to get it.
    """
    for candidate in (*(data / name for name in inside), data):
        if all((candidate / need).exists() for need in needs):
            return candidate
    raise SourceError(f"{data}: holds no {listed(needs)}; get {advice}")


def stems_of(folder: Path, suffix: str) -> tuple[str, ...]:
    """The sorted names of a folder's files with that suffix, without it.

    Raises:
        SourceError: there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder}: no such folder; pictures named *{suffix} belong there")
    stems = sorted(path.name[: -len(suffix)] for path in folder.glob(f"*{suffix}"))
    if not stems:
        raise SourceError(f"{folder}: holds no file named *{suffix}")
    return tuple(stems)
