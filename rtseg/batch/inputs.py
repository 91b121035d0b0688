"""The inputs of a batch: files, folders, patterns and manifests, as a list.

A manifest is a text file with one input per line, or a CSV or Parquet table with a column `input`.
A bad line is reported with its number, and the others are processed.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtseg.errors import SettingError, SourceError
from rtseg.media.urls import local_path
from rtseg.sources.listing import (
    VIDEO_SUFFIXES,
    is_listing,
    list_files,
    natural_order,
    stills_of,
)
from rtseg.system.files import is_part

COLUMN = "input"
"""The column of a manifest that is a table."""

MANIFESTS = (".csv", ".parquet", ".txt")

_IN_FOLDERS = VIDEO_SUFFIXES | {".gif"}


@dataclass(frozen=True, kw_only=True)
class BadInput:
    """A line of a manifest, or a name, that leads to no input.

    Attributes:
        origin: the manifest and line, or the name.
        message: the problem, in one line.
    """

    origin: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs in order, each once.

    Attributes:
        sources: paths and URLs.
        bad: names that cannot be used.
    """

    sources: tuple[str, ...]
    bad: tuple[BadInput, ...] = ()


def read_inputs(names: Sequence[str], *, output: str | None = None) -> Inputs:
    """List everything that files, folders, quoted patterns and manifests name.

    Args:
        names: as typed.
        output: the folder of the results, which is ignored inside an input folder.

    Raises:
        SettingError: nothing was named, or the results would be among the inputs.
        SourceError: a manifest cannot be read at all.
    """
    sources: dict[str, None] = {}
    bad: list[BadInput] = []
    results = None if output is None else local_path(output)
    for name in names:
        if results is not None and results.is_dir() and _is_same(name, results):
            raise SettingError(
                f"`output` {output}: is an input too, whose results would be inputs the next "
                "time; give another folder"
            )
        for item in _expanded(name, results):
            if isinstance(item, BadInput):
                bad.append(item)
            else:
                sources.setdefault(item)
    if not sources and not bad:
        raise SettingError("no input; give files, folders, quoted patterns or a manifest")
    return Inputs(sources=tuple(sources), bad=tuple(bad))


def expand_videos(names: Sequence[str]) -> tuple[list[str], bool]:
    """Expand the inputs of a command that also accepts stills as one video.

    Each folder or pattern of videos is replaced by its videos; one of stills is kept.

    Returns:
        The inputs, and whether there was a folder or pattern of videos, even of a single one.

    Raises:
        SourceError: a folder or pattern contains both stills and videos, or neither.
    """
    sources: list[str] = []
    has_expanded = False
    for name in names:
        if not is_listing(name):
            sources.append(name)
            continue
        listing = list_files(name)
        if listing.videos and not listing.is_mixed:
            listing.say_others()
            sources += [str(path) for path in listing.videos]
            has_expanded = True
        else:
            stills_of(listing)
            sources.append(name)
    return sources, has_expanded


def _expanded(name: str, results: Path | None) -> Iterator[str | BadInput]:
    path = local_path(name)
    if path is None:
        yield name
    elif path.is_dir():
        files = _videos_below(path, results)
        if not files:
            yield BadInput(origin=name, message=f"{name}: contains no video")
        yield from map(str, files)
    elif path.suffix.lower() in MANIFESTS and path.is_file():
        yield from _manifest(path)
    elif path.exists():
        yield str(path)
    elif any(character in name for character in "*?["):
        matches = sorted(
            (file for file in path.parent.glob(path.name) if file.is_file()), key=natural_order
        )
        if not matches:
            yield BadInput(origin=name, message=f"{name}: the pattern matches no file")
        yield from map(str, matches)
    else:
        yield BadInput(origin=name, message=f"{name}: no such file")


def _is_same(name: str, folder: Path) -> bool:
    path = local_path(name)
    return path is not None and path.exists() and path.samefile(folder)


def _videos_below(folder: Path, results: Path | None) -> list[Path]:
    """The videos of a folder and its subfolders, by name; none is opened.

    Hidden files, partial files of killed runs, and the results of this batch are ignored.
    """
    inner = results.resolve() if results is not None else None
    if inner is not None and folder.resolve() not in inner.parents:
        inner = None
    files = []
    for file in folder.rglob("*"):
        if file.suffix.lower() not in _IN_FOLDERS or is_part(file):
            continue
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        if inner is not None and inner in file.resolve().parents:
            continue
        files.append(file)
    return sorted(files, key=natural_order)


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
        if local_path(name) is None:
            yield name
            continue
        # relative names in a manifest are relative to it
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
        raise SourceError(f"{path}: a manifest must be text in UTF-8") from None


def _parquet_column(path: Path) -> list[str | None]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(path)
    except pa.ArrowException as error:
        first = str(error).splitlines()[0]
        raise SourceError(f"{path}: is not a Parquet file: {first}") from None
    _check_columns(path, table.column_names)
    return [None if value is None else str(value) for value in table[COLUMN].to_pylist()]


def _check_columns(path: Path, names: Iterable[str]) -> None:
    columns = tuple(names)
    if COLUMN not in columns:
        raise SourceError(
            f"{path}: a manifest needs a column {COLUMN!r}; found {', '.join(columns) or 'none'}"
        )
