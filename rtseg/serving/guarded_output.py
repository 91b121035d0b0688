"""An output of a served stream whose failure ends neither the stream nor its other outputs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from rtseg.errors import RtsegError, SettingError
from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Event, Outcome, Sink

FIRST_RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 60.0
"""The wait before a failed output is opened again doubles from the first of these to the second."""

_log = logging.getLogger("rtseg")


class GuardedOutput(Sink):
    """Writes to an output while that works, and opens it again some time after it failed.

    An output that was asked for wrongly (a SettingError) is not tried again.

    Args:
        stream: whose output it is, for people.
        name: the output's, for people.
        make: makes the closed sink, anew for each attempt.
        with_streams: whether it gets the source's sound.
        clock: seconds, monotonic; tests bring their own.

    Attributes:
        error: why nothing is written now, or "".
        failures: how often it failed.
    """

    def __init__(
        self,
        stream: str,
        name: str,
        make: Callable[[], Sink],
        *,
        with_streams: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.error = ""
        self.failures = 0
        self._stream = stream
        self._make = make
        self._with_streams = with_streams
        self._clock = clock
        self._sink: Sink | None = None
        self._info: SourceInfo | None = None
        self._size = (0, 0)
        self._retry_at = float("inf")
        self._delay = FIRST_RETRY_SECONDS
        self._closed_place = ""
        self._said = ""
        self._guard(self._new)

    def _new(self) -> None:
        self._sink = self._make()
        self.wants_pixels = self._sink.wants_pixels
        self.has_alpha = self._sink.has_alpha
        self.wants_real_time = self._sink.wants_real_time

    @property
    def is_wanted(self) -> bool:  # type: ignore[override]
        """Whether somebody would see it, or it is time to try it again."""
        if self._sink is None:
            return self._clock() >= self._retry_at
        return self._sink.is_wanted

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Open it; where that fails, the stream goes on without it."""
        self._info = info if self._with_streams else replace(info, streams=())
        self._size = (width, height)
        if self._sink is not None:
            self._guard(self._open)

    def _open(self) -> None:
        assert self._sink is not None
        assert self._info is not None
        width, height = self._size
        self._sink.open(self._info, width=width, height=height)
        self.error = ""

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write one frame; where that fails, close the output, and try again later."""
        if self._sink is None and self._clock() >= self._retry_at:
            self._retry_at = float("inf")
            self._guard(self._new)
            if self._sink is not None:
                self._guard(self._open)
        sink = self._sink
        if sink is None:
            return
        self._guard(lambda: sink.write(frame, segmentation, picture))
        if self._sink is not None:
            self._delay, self._said = FIRST_RETRY_SECONDS, ""

    def copy(self, packet: Packet) -> None:
        """Pass sound on, where it is kept."""
        sink = self._sink
        if sink is not None and self._with_streams:
            self._guard(lambda: sink.copy(packet))

    def poll(self) -> tuple[Event, ...]:
        """What was asked of it."""
        return () if self._sink is None else self._sink.poll()

    def close(self, outcome: Outcome) -> None:
        """Finish it."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        self._closed_place = sink.describe()
        try:
            sink.close(outcome)
        except Exception as error:  # noqa: BLE001  told, and the other outputs are closed
            self._note(error)

    def describe(self) -> str:
        """Where it is written, without secrets."""
        return self._closed_place if self._sink is None else self._sink.describe()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  told; a bug with its trace
            self._note(error)
            self.close("failed")
            if not isinstance(error, SettingError):
                self._retry_at = self._clock() + self._delay
                self._delay = min(LONGEST_RETRY_SECONDS, 2 * self._delay)

    def _note(self, error: Exception) -> None:
        self.failures += 1
        is_known = isinstance(error, RtsegError)
        words = str(error) if is_known else f"a bug: {type(error).__name__}: {error}"
        if words != self._said:  # once, however often it is tried again
            self._said = words
            if is_known:
                _log.warning("%s: %s; its other outputs go on", self._stream, words)
            else:
                _log.error("%s: %s failed by a bug", self._stream, self.name, exc_info=error)
        self.error = words
