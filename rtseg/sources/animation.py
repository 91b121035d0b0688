"""Read animated WebP and AVIF through Pillow, since FFmpeg does not play them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from rtseg.errors import NoVideoError, SourceError, TruncatedError
from rtseg.frames import Frame, Image
from rtseg.media.info import SourceInfo
from rtseg.media.urls import local_path
from rtseg.settings import ReadSettings
from rtseg.sources.base import Source
from rtseg.sources.still import open_picture, rgb_of
from rtseg.system.files import file_ids

SUFFIXES = (".webp", ".avif")
"""The animations that this module reads; FFmpeg reads animated GIF and PNG."""

TIME_BASE = Fraction(1, 1000)

_HASTE_MS = 100
"""The duration of a frame that states none, as in browsers."""

_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, MemoryError)


class AnimationSource(Source):
    """Plays an animation once, each frame at its own time, to the millisecond.

    Transparency is laid on white. With `start`, the first frame at or after it has time zero.

    Args:
        location: a file that `rtseg.sources.still.is_animation` recognises.
        settings: which part to read.

    Raises:
        SourceError: it cannot be read.
        NoVideoError: no frame is in the requested part.
    """

    def __init__(self, location: str, *, settings: ReadSettings) -> None:
        path = local_path(location)
        assert path is not None
        self._name = path.name
        # Use the decimals as written: 0.2 s is 200 ms, not the nearest float.
        self._start = Fraction(str(settings.start or 0)) / TIME_BASE
        self._end = None if settings.end is None else Fraction(str(settings.end)) / TIME_BASE
        self._picture: Any = open_picture(path)
        self._decoded = self._decode()
        try:
            self._first = next(self._decoded, None)
        except TruncatedError as error:
            self.close()
            raise SourceError(f"{self._name}: cannot be read: {error}") from None
        if self._first is None:
            self.close()
            raise NoVideoError(
                f"{self._name}: no frame is in the requested part (`start` "
                f"{settings.start or 0:g} s); choose an earlier start"
            )
        height, width = self._first[2].shape[:2]
        whole = settings.start is None and settings.end is None
        self.info = SourceInfo(
            name=self._name,
            width=width,
            height=height,
            time_base=TIME_BASE,
            frame_rate=Fraction(1000, self._first[1]).limit_denominator(1001),
            frame_count=int(self._picture.n_frames) if whole else None,
            read_files=file_ids([Path(path)]),
        )

    def __iter__(self) -> Iterator[Frame]:
        item, self._first = self._first, None
        zero = item[0] if item is not None and self._start else 0
        index = 0
        while item is not None and self._picture is not None:
            begins, lasts, image = item
            yield Frame(
                image=image,
                index=index,
                pts=begins - zero,
                time_base=TIME_BASE,
                duration=lasts,
                captured_ns=time.monotonic_ns(),
            )
            index += 1
            item = next(self._decoded, None)

    def close(self) -> None:
        """Close the file."""
        picture, self._picture = self._picture, None
        if picture is not None:
            picture.close()

    def _decode(self) -> Iterator[tuple[int, int, Image]]:
        """Yield (start in milliseconds, duration in milliseconds, picture) for each frame."""
        begins = 0
        for number in range(int(self._picture.n_frames)):
            if self._picture is None:
                return
            try:
                self._picture.seek(number)
                self._picture.load()
                lasts = round(self._picture.info.get("duration") or 0) or _HASTE_MS
                is_wanted = begins >= self._start and (self._end is None or begins < self._end)
                image = rgb_of(self._picture.copy()) if is_wanted else None
            except _PILLOW_ERRORS as error:
                raise TruncatedError(
                    f"{self._name}: is truncated or damaged after {number} frames ({error}); "
                    "everything before was read"
                ) from None
            if image is not None:
                yield begins, lasts, image
            begins += lasts
