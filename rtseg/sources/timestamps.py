"""Assign presentation times to decoded pictures, repairing only times that are unusable."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_JUMP_SECONDS = 1
"""A step back by more than this is a clock reset (joined streams); less is a muxer's error."""


class Timeline:
    """Gives each picture of one stream a strictly increasing presentation time in ticks.

    A missing time is replaced by the decoding time, or else by the end of the picture before. If
    presentation times have gone back more often than decoding times, they were guessed (AVI stores
    none), and decoding times are used instead, as in FFmpeg. A time that still does not increase
    becomes one tick after the one before. After a jump back, the clock continues from there.

    Attributes:
        jumped: whether the clock jumped back before the last picture.
    """

    def __init__(self, time_base: Fraction, frame_rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step = max(1, round(1 / (time_base * (frame_rate or Fraction(25)))))
        self._last: int | None = None
        self._shift = 0
        self._last_stated: dict[str, int] = {}
        self._faults = {"pts": 0, "dts": 0}
        self.jumped = False

    def place(self, picture: VideoFrame) -> int:
        """Return the presentation time of the next picture, in ticks."""
        self.jumped = False
        stated = self._stated(picture)
        if self._last is None:
            time = stated or 0
        elif stated is None:
            time = self._last + self._step
        else:
            time = stated + self._shift
            if time <= self._last:
                if (self._last - time) * self._time_base > _JUMP_SECONDS:
                    self.jumped = True
                    self._shift += self._last + self._step - time
                    time = self._last + self._step
                else:
                    time = self._last + 1
        self._last = time
        if picture.duration and picture.duration > 0:
            self._step = picture.duration
        return time

    def _stated(self, picture: VideoFrame) -> int | None:
        """The more trustworthy of a picture's two times."""
        for name, ticks in (("pts", picture.pts), ("dts", picture.dts)):
            if ticks is not None:
                self._faults[name] += ticks <= self._last_stated.get(name, ticks - 1)
                self._last_stated[name] = ticks
        guessed = self._faults["pts"] > self._faults["dts"]
        first, second = (picture.dts, picture.pts) if guessed else (picture.pts, picture.dts)
        return first if first is not None else second
