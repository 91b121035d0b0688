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
"""The wait in seconds before a failed output is reopened: doubles from the first to the second."""

_log = logging.getLogger("rtseg")


class GuardedOutput(Sink):
    """Writes to an output while that works, and reopens it some time after a failure.

    An output with an invalid setting (SettingError) is not retried.

    Args:
        stream: the stream's name, for people.
        name: the output's name, for people.
        make: makes the closed sink, once for each attempt.
        with_streams: whether it gets the source's sound.
        clock: monotonic seconds; replaceable in tests.

    Attributes:
        error: why nothing is written at the moment, or "".
        failures: the number of failures.
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
        """Whether anybody is watching, or it is time to retry."""
        if self._sink is None:
            return self._clock() >= self._retry_at
        return self._sink.is_wanted

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Open it; if that fails, the stream continues without it."""
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
        """Write one frame; if that fails, close the output, and retry later."""
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
        """Pass sound on, if the output supports it."""
        sink = self._sink
        if sink is not None and self._with_streams:
            self._guard(lambda: sink.copy(packet))

    def poll(self) -> tuple[Event, ...]:
        """The output's requests."""
        return () if self._sink is None else self._sink.poll()

    def close(self, outcome: Outcome) -> None:
        """Finish it."""
        sink, self._sink = self._sink, None
        if sink is None:
            return
        self._closed_place = sink.describe()
        try:
            sink.close(outcome)
        except Exception as error:  # noqa: BLE001  reported; the other outputs are closed
            self._note(error)

    def describe(self) -> str:
        """The destination, without secrets."""
        return self._closed_place if self._sink is None else self._sink.describe()

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  reported; a bug with its traceback
            self._note(error)
            self.close("failed")
            if not isinstance(error, SettingError):
                self._retry_at = self._clock() + self._delay
                self._delay = min(LONGEST_RETRY_SECONDS, 2 * self._delay)

    def _note(self, error: Exception) -> None:
        self.failures += 1
        is_known = isinstance(error, RtsegError)
        words = str(error) if is_known else f"a bug: {type(error).__name__}: {error}"
        if words != self._said:  # once, however often it is retried
            self._said = words
            if is_known:
                _log.warning("%s: %s; its other outputs continue", self._stream, words)
            else:
                _log.error("%s: %s failed by a bug", self._stream, self.name, exc_info=error)
        self.error = words
