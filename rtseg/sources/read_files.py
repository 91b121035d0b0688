"""Which local files an input's name stands for, so that no output is written over one of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from rtseg.media.urls import STANDARD_INPUT, local_path

_LIST_BYTES = 4 << 20
"""No playlist is longer."""

_LIST_STARTS = (b"#EXTM3U", b"ffconcat", b"file ", b"<?xml", b"<MPD")

_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)"|>([^<>]+)<""")


def read_by(location: str, *, allow_nested_urls: bool = False) -> tuple[Path | int, ...]:
    """The local files that reading a location reads.

    Args:
        location: a path, a `file://` URL, or `-`, whose file is given by its descriptor.
        allow_nested_urls: whether the files that a playlist (HLS, DASH, ffconcat) names are read.
    """
    if location == STANDARD_INPUT:
        with suppress(OSError, ValueError, AttributeError):  # no descriptor: a test's buffer
            return (sys.stdin.fileno(),)
        return ()
    path = local_path(location)
    if path is None:
        return ()
    return (path, *_listed_in(path, seen={path})) if allow_nested_urls else (path,)


def _listed_in(path: Path, *, seen: set[Path]) -> Iterator[Path]:
    """The files that a playlist names, and those that playlists among them name.

    Every word of it that leads to a file counts: to protect one too many costs nothing.
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
            if named not in seen:
                seen.add(named)
                yield named
                yield from _listed_in(named, seen=seen)


def _words(text: str) -> Iterator[str]:
    for line in text.splitlines():
        yield line.strip()
        yield from line.split()
    for match in _QUOTED.finditer(text):
        yield next(filter(None, match.groups()), "").strip()


def _paths(word: str, folder: Path) -> list[Path]:
    """The files behind one word: a path, a `file://` URL, or DASH's `chunk-$Number$.m4s`."""
    found = local_path(word.removeprefix("file:") if "://" not in word else word)
    if found is None or not word:
        return []
    pattern = re.sub(r"\$\w+(%0?\d*d)?\$", "*", str(found))
    with suppress(OSError, ValueError):  # far too long, or not a name at all
        if pattern != str(found):
            place = folder / pattern
            return [path for path in place.parent.glob(place.name) if path.is_file()]
        if (folder / found).is_file():
            return [folder / found]
    return []
