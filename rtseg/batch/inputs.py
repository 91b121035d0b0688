"""What a batch is about: files, folders, patterns and manifests, as a list of inputs.

A manifest is a text file with one input a line, or a CSV or Parquet table with a column `input`.
What is wrong with one line is said with its number, and the rest goes on.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtseg.errors import SettingError, SourceError

COLUMN = "input"
"""Of a manifest that is a table."""

MANIFESTS = (".csv", ".parquet", ".txt")

VIDEO_SUFFIXES = frozenset(
    f".{suffix}"
    for suffix in (
        *("3gp", "avi", "flv", "gif", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts"),
        *("mxf", "ogv", "ts", "webm", "wmv"),
    )
)
"""What is taken from a folder."""


@dataclass(frozen=True, kw_only=True)
class BadInput:
    """A line of a manifest, or a name, that leads to nothing.

    Attributes:
        origin: where it stands.
        message: what is wrong, in one line.
    """

    origin: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What was named, in order, each once.

    Attributes:
        sources: paths and URLs.
        bad: what could not be used.
    """

    sources: tuple[str, ...]
    bad: tuple[BadInput, ...] = ()


def read_inputs(names: Sequence[str]) -> Inputs:
    """Everything that files, folders, quoted patterns and manifests name.

    Raises:
        SettingError: nothing was named.
        SourceError: a manifest cannot be read at all.
    """
    sources: dict[str, None] = {}
    bad: list[BadInput] = []
    for name in names:
        for item in _expanded(name):
            if isinstance(item, BadInput):
                bad.append(item)
            else:
                sources.setdefault(item)
    if not sources and not bad:
        raise SettingError("no input; give files, folders, quoted patterns or a manifest")
    return Inputs(sources=tuple(sources), bad=tuple(bad))


def is_remote(source: str) -> bool:
    """Whether a name is a URL (`s3://…`, `https://…`), not a path of this machine."""
    from rtseg.media.urls import local_path

    return local_path(source) is None


def _expanded(name: str) -> Iterator[str | BadInput]:
    from rtseg.media.urls import local_path

    path = local_path(name)
    if path is None:
        yield name
    elif path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES)
        if not found:
            yield BadInput(origin=name, message=f"{name}: holds no video")
        yield from map(str, found)
    elif path.suffix.lower() in MANIFESTS and path.is_file():
        yield from _manifest(path)
    elif path.exists():
        yield str(path)
    elif any(character in name for character in "*?["):
        matches = sorted(file for file in path.parent.glob(path.name) if file.is_file())
        if not matches:
            yield BadInput(origin=name, message=f"{name}: the pattern matches no file")
        yield from map(str, matches)
    else:
        yield BadInput(origin=name, message=f"{name}: no such file")


def _manifest(path: Path) -> Iterator[str | BadInput]:
    for number, text in enumerate(_lines(path), start=1):
        origin = f"{path}:{number}"
        if text is None or not text.strip():
            if path.suffix.lower() != ".txt":
                yield BadInput(origin=origin, message=f"{origin}: the column {COLUMN!r} is empty")
            continue
        name = text.strip()
        if name.startswith("#") and path.suffix.lower() == ".txt":
            continue
        if is_remote(name):
            yield name
            continue
        # a manifest's relative names are relative to it
        file = Path(name) if Path(name).is_absolute() else path.parent / name
        if file.is_file():
            yield str(file)
        else:
            yield BadInput(origin=origin, message=f"{origin}: {name}: no such file")


def _lines(path: Path) -> Iterable[str | None]:
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet_column(path)
        if path.suffix.lower() == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = csv.DictReader(file)
                _check_columns(path, rows.fieldnames or ())
                return [row.get(COLUMN) for row in rows]
        return path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: is no text in UTF-8; a manifest is") from None


def _parquet_column(path: Path) -> list[str | None]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{path}: is no Parquet file: {first}") from None
    _check_columns(path, table.column_names)
    return [None if value is None else str(value) for value in table[COLUMN].to_pylist()]


def _check_columns(path: Path, names: Iterable[str]) -> None:
    found = tuple(names)
    if COLUMN not in found:
        raise SourceError(
            f"{path}: a manifest needs a column {COLUMN!r}; found {', '.join(found) or 'none'}"
        )
