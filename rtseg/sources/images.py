"""Still pictures as a video: a file, a folder, a quoted glob, a printf pattern."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from rtseg.errors import NoVideoError, TruncatedError
from rtseg.frames import Frame
from rtseg.geometry.fit import letterboxed
from rtseg.media.info import SourceInfo
from rtseg.settings import ReadSettings
from rtseg.sources.base import Source
from rtseg.sources.listing import (
    Listing,
    find_images,
    is_listing,
    list_files,
    named_files,
    stills_of,
)
from rtseg.sources.still import MOST_PIXELS, SUFFIXES, read_image, read_size, rgb_of
from rtseg.system.files import file_ids

__all__ = [
    "MOST_PIXELS",
    "SUFFIXES",
    "ImagesSource",
    "find_images",
    "named_files",
    "read_image",
    "read_size",
    "rgb_of",
]

FRAME_RATE = Fraction(25)
"""Pictures per second, when stills are played as a video."""

_log = logging.getLogger("rtseg")


class ImagesSource(Source):
    """Plays still pictures in natural order (`2.png` before `10.png`) at 25 per second.

    The first picture determines the size; the others are letterboxed into it on black. A picture
    whose size differs from the one before is marked as a discontinuity.

    Args:
        location: a picture, a folder, a glob (`shots/*.png`), or a printf pattern
            (`shots/%06d.png`).
        settings: `start` and `end` select pictures by their times; the first delivered is at 0.

    Pictures in the folder that cannot be read are named in a warning and skipped; the iteration
    then ends with a TruncatedError.

    Raises:
        SourceError: nothing is there, the first picture cannot be read, or there are videos too.
        NoVideoError: there are no pictures, or none between `start` and `end`.
    """

    def __init__(self, location: str, *, settings: ReadSettings) -> None:
        self._listing = list_files(location) if is_listing(location) else None
        if self._listing is None:
            pictures = find_images(location)
        else:
            pictures = stills_of(self._listing)
            self._listing.say_others()
            if self._listing.left_out:
                _log.warning("%s", self._listing.describe_left_out())
        self._paths = _within(pictures, settings, location)
        self._closed = False
        width, height = read_size(self._paths[0])
        self.info = SourceInfo(
            name=location,
            width=width,
            height=height,
            time_base=1 / FRAME_RATE,
            frame_rate=FRAME_RATE,
            frame_count=len(self._paths),
            duration_seconds=float(len(self._paths) / FRAME_RATE),
            read_files=file_ids(pictures),
        )

    def __iter__(self) -> Iterator[Frame]:
        size = (self.info.height, self.info.width)
        previous: tuple[int, ...] = size
        for index, path in enumerate(self._paths):
            if self._closed:
                return
            image = read_image(path)
            shape = image.shape[:2]
            yield Frame(
                image=image if shape == size else letterboxed(image, *size),
                index=index,
                pts=index,
                time_base=self.info.time_base,
                duration=1,
                captured_ns=time.monotonic_ns(),
                discontinuity=shape != previous,
            )
            previous = shape
        self._raise_if_skipped()

    def _raise_if_skipped(self) -> None:
        """Raise at the end if pictures were skipped, so that the exit code says so."""
        listing: Listing | None = self._listing
        if listing is not None and listing.left_out:
            count = len(listing.pictures) + len(listing.left_out)
            raise TruncatedError(
                f"{listing.describe_left_out()}; the other {len(listing.pictures)} of {count} were "
                "read"
            )

    def close(self) -> None:
        """Deliver no more pictures."""
        self._closed = True


def _within(paths: tuple[Path, ...], settings: ReadSettings, location: str) -> tuple[Path, ...]:
    """The pictures with `start` <= time < `end`."""
    # Use the decimals as written: 0.4 is ten pictures, though the nearest float is above it.
    start = Fraction(str(settings.start or 0))
    end = None if settings.end is None else Fraction(str(settings.end))
    paths_inside = tuple(
        path
        for i, path in enumerate(paths)
        if i / FRAME_RATE >= start and (end is None or i / FRAME_RATE < end)
    )
    if not paths_inside:
        seconds = float(len(paths) / FRAME_RATE)
        raise NoVideoError(
            f"{location}: no picture between `start` and `end`; {len(paths)} pictures last "
            f"{seconds:g} s"
        )
    return paths_inside
