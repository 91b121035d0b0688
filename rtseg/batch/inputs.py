"""The inputs of a batch: files, folders, patterns and manifests, as a list.

A manifest is a text file with one input per line, or a CSV or Parquet table with a column `input`.
A bad line is reported with its number, and the others are processed. Folders (`s3://bucket/clips/`),
patterns and manifests may be anywhere that fsspec reaches.
"""

from __future__ import annotations

import functools
import posixpath
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from rtseg.batch.manifest import COLUMN, MANIFESTS, manifest_lines
from rtseg.batch.storage import FFMPEG_SCHEMES, filesystem, reason_of
from rtseg.errors import RtsegError, SettingError
from rtseg.media.urls import STANDARD_INPUT, display_name, local_path, url_scheme
from rtseg.sources.listing import (
    VIDEO_SUFFIXES,
    is_listing,
    list_files,
    natural_order,
    stills_of,
)
from rtseg.system.files import is_part

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
        yield from _distant(name)
    elif path.is_dir():
        files = _videos_below(path, results)
        if not files:
            yield BadInput(origin=name, message=f"{name}: contains no video")
        yield from map(str, files)
    elif path.suffix.lower() in MANIFESTS and path.is_file():
        yield from _manifest(path, name=str(path), place=functools.partial(_beside, path.parent))
    elif path.exists():
        yield str(path)
    elif _is_pattern(name):
        paths = map(Path, glob(str(path), recursive=True))  # noqa: PTH207  it may name folders
        matches = sorted((file for file in paths if file.is_file()), key=natural_order)
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


def _distant(name: str) -> Iterator[str | BadInput]:
    """Expand a URL: a folder, a pattern or a manifest that fsspec reaches, or itself."""
    shown = display_name(name)
    is_manifest = Path(shown).suffix.lower() in MANIFESTS
    is_expanded = name.endswith("/") or _is_pattern(shown) or is_manifest
    if url_scheme(name) in FFMPEG_SCHEMES or name == STANDARD_INPUT or not is_expanded:
        yield name
        return
    try:
        files, path = filesystem(name)
        if is_manifest:
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(folder) / Path(shown).name
                files.get_file(path, str(copy))
                place = functools.partial(_beside_url, name.rpartition("/")[0])
                yield from list(_manifest(copy, name=shown, place=place))
            return
        paths = files.glob(path) if _is_pattern(shown) else files.find(path)
        urls = [files.unstrip_protocol(file) for file in paths]
    except RtsegError as error:
        yield BadInput(origin=shown, message=str(error))
        return
    except Exception as error:  # noqa: BLE001  every storage has its own errors
        yield BadInput(origin=shown, message=f"{shown}: cannot be listed: {reason_of(error)}")
        return
    if not _is_pattern(shown):
        urls = [url for url in urls if Path(display_name(url)).suffix.lower() in _IN_FOLDERS]
    if not urls:
        yield BadInput(origin=shown, message=f"{shown}: leads to no video")
    yield from sorted(urls, key=lambda url: natural_order(Path(url)))


def _is_pattern(name: str) -> bool:
    return any(character in name for character in "*?[")


def _beside(folder: Path, name: str) -> str | None:
    """A name in a manifest, which is relative to its folder; None if there is no such file."""
    path = local_path(name)
    if path is None:
        return name
    file = folder / path  # which is `path` if that is absolute
    return str(file) if file.is_file() else None


def _beside_url(folder: str, name: str) -> str:
    """A name in a manifest that was fetched from a folder's URL."""
    if url_scheme(name) is not None or Path(name).is_absolute():
        return name
    scheme, _, place = folder.partition("://")
    return f"{scheme}://{posixpath.normpath(f'{place}/{name}')}"


def _manifest(
    path: Path, *, name: str, place: Callable[[str], str | None]
) -> Iterator[str | BadInput]:
    """Yield the inputs of a manifest.

    Args:
        path: the file to read.
        name: its name for people.
        place: finds the input that a line names, or returns None.
    """
    for number, text in enumerate(manifest_lines(path, name=name), start=1):
        origin = f"{name}:{number}"
        if text is None or not text.strip():
            if path.suffix.lower() != ".txt":
                yield BadInput(origin=origin, message=f"{origin}: the column {COLUMN!r} is empty")
            continue
        line = text.strip()
        if line.startswith("#") and path.suffix.lower() == ".txt":
            continue
        source = place(line)
        if source is None:
            yield BadInput(origin=origin, message=f"{origin}: {line}: no such file")
        else:
            yield source
