"""List the files of a folder or pattern: stills, videos, and unsupported files."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtseg.errors import NoVideoError, SourceError, listed
from rtseg.media.urls import local_path
from rtseg.sources.still import (
    SUFFIXES,
    is_animation,
    looks_like_picture,
    looks_like_video,
    why_unreadable,
)
from rtseg.system.files import is_part

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".mpg",
        ".mpeg", ".m2v", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogm",
        ".mxf", ".mjpeg", ".mjpg", ".y4m", ".dv", ".divx", ".rm", ".rmvb", ".h264", ".264", ".h265",
        ".hevc", ".265", ".ivf", ".nut", ".wtv", ".dav", ".insv", ".lrv", ".360",
    }
)  # fmt: skip
"""File suffixes that count as videos in a folder, in either case."""

_OTHER_PICTURES = frozenset(
    {
        ".jxl", ".svg", ".svgz", ".eps", ".exr", ".hdr", ".xcf", ".psb", ".dds", ".wmf", ".emf",
        ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".orf", ".rw2",
        ".raf", ".pef", ".srw", ".3fr", ".iiq", ".x3f", ".kdc", ".mrw", ".heics", ".avifs",
    }
)  # fmt: skip
"""Picture suffixes that rtseg cannot read."""

_SHOWN = 5
"""How many names a message lists before it says "and N more"."""

_NUMBER = r"%0?\d*d"

_log = logging.getLogger("rtseg")


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A picture or video that is skipped, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path.name}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files that a folder or a pattern names, sorted by kind, each list in natural order.

    Attributes:
        location: as given.
        pictures: stills that can be read.
        videos: videos, including animations (GIF, PNG, WebP, AVIF).
        left_out: pictures that cannot be read, and files that are pictures only by content.
        others: everything else, except hidden files and folders.
    """

    location: str
    pictures: tuple[Path, ...]
    videos: tuple[Path, ...]
    left_out: tuple[LeftOut, ...]
    others: tuple[Path, ...]

    @property
    def is_mixed(self) -> bool:
        """Whether there are both stills and videos."""
        return bool(self.videos) and bool(self.pictures or self.left_out)

    def mixed_error(self) -> SourceError:
        """The error for stills and videos in one place, which cannot form one input."""
        stills = [*self.pictures, *(one.path for one in self.left_out)]
        return SourceError(
            f"{self.location}: holds both stills ({_some(stills)}) and videos "
            f"({_some(self.videos)}); give a pattern that names one kind "
            f'("{_folder(self.location)}/*{(stills or [Path("a.jpg")])[0].suffix}")'
        )

    def say_others(self) -> None:
        """Log the files that are neither pictures nor videos, in one line."""
        if self.others:
            _log.info(
                "%s: skipped, neither a picture nor a video: %s", self.location, _some(self.others)
            )

    def describe_left_out(self) -> str:
        """Say how many pictures are skipped, which ones, and why."""
        some = "; ".join(str(one) for one in self.left_out[:_SHOWN])
        more = len(self.left_out) - _SHOWN
        count = len(self.left_out)
        return (
            f"{self.location}: {count} picture{'s are' if count > 1 else ' is'} left out: {some}"
            + (f"; and {more} more" if more > 0 else "")
        )


def is_listing(location: str) -> bool:
    """Whether a location is a folder or a pattern.

    An existing file is taken literally, even if its name looks like a pattern (`shot[1].png`,
    `100%d.png`).
    """
    path = local_path(location)
    if path is None:
        return False
    if path.is_dir():
        return True
    return not path.exists() and (
        glob.has_magic(str(path)) or re.search(_NUMBER, path.name) is not None
    )


def list_files(location: str) -> Listing:
    """List the files that a folder or a pattern names.

    Raises:
        NoVideoError: nothing matches the pattern.
    """
    path = local_path(location)
    if path is not None and path.is_dir():
        return _sorted_out(location, path.iterdir(), by_content=False)
    listing = _sorted_out(location, named_files(location), by_content=True)
    if not any((listing.pictures, listing.videos, listing.left_out, listing.others)):
        raise NoVideoError(f"{location}: no file matches this pattern")
    return listing


def find_images(location: str) -> tuple[Path, ...]:
    """List the stills that a file, folder, glob or printf pattern names, in natural order.

    Raises:
        SourceError: nothing exists there, or there are videos too.
        NoVideoError: a folder or pattern names no picture.
    """
    path = local_path(location)
    if not is_listing(location):
        if path is None or not path.exists():
            raise SourceError(f"{location}: no such file or folder")
        return (path,)
    return stills_of(list_files(location))


def stills_of(listing: Listing) -> tuple[Path, ...]:
    """The stills of a listing that must contain no videos.

    Raises:
        SourceError: it contains videos too.
        NoVideoError: it contains no pictures.
    """
    if listing.is_mixed:
        raise listing.mixed_error()
    if listing.pictures:
        return listing.pictures
    what = f"allowed: {listed(SUFFIXES)}"
    if listing.videos:
        what = f"it holds videos: {_some(listing.videos)}"
    elif listing.left_out:
        what = "; ".join(str(one) for one in listing.left_out[:_SHOWN])
    raise NoVideoError(f"{listing.location}: no picture that can be read; {what}")


def named_files(location: str) -> tuple[Path, ...]:
    """Every file that a folder or a pattern names; empty if the location is neither."""
    path = local_path(location)
    if path is None:
        return ()
    if path.is_dir():
        return tuple(path.iterdir())
    if path.exists():
        return (path,)
    numbered = _numbered(path) if re.search(_NUMBER, path.name) else []
    matched = glob.glob(str(path), recursive=True) if glob.has_magic(str(path)) else []  # noqa: PTH207
    return (*numbered, *map(Path, matched))


def _sorted_out(location: str, paths: Iterable[Path], *, by_content: bool) -> Listing:
    """Sort each file into its list.

    Args:
        by_content: whether a file with a picture's content but not its suffix counts as one. A
            pattern asked for it; a folder merely happens to contain it.
    """
    kinds: dict[str, list[Path]] = {"picture": [], "video": [], "other": []}
    left_out: list[LeftOut] = []
    for path in sorted(paths, key=natural_order):
        if path.name.startswith(".") or not path.is_file():
            continue
        kind, reason = _kind(path, by_content=by_content)
        if kind == "left out":
            left_out.append(LeftOut(path=path, reason=reason))
        else:
            kinds[kind].append(path)
    return Listing(
        location=location,
        pictures=tuple(kinds["picture"]),
        videos=tuple(kinds["video"]),
        left_out=tuple(left_out),
        others=tuple(kinds["other"]),
    )


_Kind = Literal["picture", "video", "other", "left out"]


def _kind(path: Path, *, by_content: bool) -> tuple[_Kind, str]:
    suffix = path.suffix.lower()
    if is_part(path) and not by_content:
        return "other", ""  # left behind in an output folder by a killed run
    if suffix in VIDEO_SUFFIXES:
        return "video", ""
    if suffix in SUFFIXES:
        if reason := why_unreadable(path):
            return "left out", reason
        return ("video", "") if is_animation(path) else ("picture", "")
    if suffix in _OTHER_PICTURES:
        return "left out", f"{suffix} cannot be read; convert it to .png or .jpg"
    if looks_like_picture(path):
        if by_content:
            return "picture", ""
        return "left out", "a picture by its content, but not by its name; rename it"
    if looks_like_video(path):
        return (
            ("video", "")
            if by_content
            else ("left out", "a video by its content, not its name; rename it")
        )
    return "other", ""


def _numbered(pattern: Path) -> list[Path]:
    """Existing files that match a printf pattern, starting at any number."""
    parts = re.split(_NUMBER, pattern.name)
    number = re.compile(r"(\d+)".join(re.escape(part.replace("%%", "%")) for part in parts))
    if not pattern.parent.is_dir():
        return []
    return [p for p in pattern.parent.iterdir() if number.fullmatch(p.name)]


def natural_order(path: Path) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts `2.png` before `10.png`, and numbers before letters."""
    pieces = re.split(r"(\d+)", str(path).casefold())
    return tuple((0, int(piece), piece) if piece.isdecimal() else (1, 0, piece) for piece in pieces)


def _some(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    more = len(names) - _SHOWN
    return listed(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _folder(location: str) -> str:
    path = local_path(location) or Path(location)
    return str(path if path.is_dir() else path.parent)
