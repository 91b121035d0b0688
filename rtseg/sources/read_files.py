"""List the local files that an input reads, so that no output overwrites one of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rtseg.media.urls import STANDARD_INPUT, local_path

_LIST_BYTES = 4 << 20
"""The longest playlist that is parsed, in bytes."""

_LIST_STARTS = (b"#EXTM3U", b"ffconcat", b"file ", b"<?xml", b"<MPD")

_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)"|>([^<>]+)<""")


def read_by(location: str, *, allow_nested_urls: bool = False) -> tuple[Path | int, ...]:
    """List the local files that reading a location opens.

    Args:
        location: a path, a `file://` URL, or `-`, whose file is identified by its descriptor.
        allow_nested_urls: whether to include files named by a playlist (HLS, DASH, ffconcat).
    """
    if location == STANDARD_INPUT:
        with suppress(
            OSError, ValueError, AttributeError
        ):  # no descriptor, such as a test's buffer
            return (sys.stdin.fileno(),)
        return ()
    path = local_path(location)
    if path is None:
        return ()
    return (path, *_listed_in(path, visited={path})) if allow_nested_urls else (path,)


def _listed_in(path: Path, *, visited: set[Path]) -> Iterator[Path]:
    """The files that a playlist names, including those named by nested playlists.

    Every word that is the path of a file counts; protecting one too many costs nothing.
    """
    try:
        if not path.is_file() or path.stat().st_size > _LIST_BYTES:
            return
        data = path.read_bytes()
    except OSError:
        return
    if not data.lstrip().startswith(_LIST_STARTS):
        return
    for word in _words(data.decode("utf-8", "replace")):
        for named in _paths(word, path.parent):
            if named not in visited:
                visited.add(named)
                yield named
                yield from _listed_in(named, visited=visited)


def _words(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield line.strip()
        yield from line.split()
    for match in _QUOTED.finditer(text):
        yield next(filter(None, match.groups()), "").strip()


def _paths(word: str, folder: Path) -> list[Path]:
    """The files that one word names: a path, a `file://` URL, or DASH's `chunk-$Number$.m4s`."""
    located = local_path(word.removeprefix("file:") if "://" not in word else word)
    if located is None or not word:
        return []
    pattern = re.sub(r"\$\w+(%0?\d*d)?\$", "*", str(located))
    with suppress(OSError, ValueError):  # too long, or not a valid name
        if pattern != str(located):
            place = folder / pattern
            return [path for path in place.parent.glob(place.name) if path.is_file()]
        if (folder / located).is_file():
            return [folder / located]
    return []
