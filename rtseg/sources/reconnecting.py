"""Reopen a live source when it falls silent, ends, fails or freezes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from types import GeneratorType
from typing import Any

import numpy as np

from rtseg.errors import LostError, SourceError, TruncatedError
from rtseg.frames import Frame, Packet
from rtseg.settings import StreamSettings
from rtseg.sources.base import Source
from rtseg.system.retry import FIRST_DELAY_SECONDS, retry_delay

_log = logging.getLogger(__name__)


class ReconnectingSource(Source):
    """Joins the connections to a live source that comes and goes into one stream.

    A source that is busy or silent at the start is retried as often as one that is lost later; one
    that does not exist (no such device, 404) is an error at once. Silence, an end, an error and a
    picture that repeats bit for bit all count as lost. The first frame after a gap is marked as a
    discontinuity. Times follow the clock and always increase, indexes continue, and pictures of
    another size are letterboxed into the first one's. If the picture still repeats after
    reopening, the scene itself is static, and is accepted until it moves.

    Args:
        connect: opens the source. It is given an event that is set when to give up.
        settings: whether and how often to retry, and when a picture counts as frozen.
        first_delay_seconds: the wait before the first attempt.
        await_start: whether what is busy or silent at the start is tried again.

    Attributes:
        reconnects: how many times it came back, including a start that took several attempts.
        status: "reconnecting… (2 of 10)" while it is away, else "".

    Raises:
        SourceError: it cannot be opened at first; LostError if it might be later.
        TruncatedError: while iterating, when retrying has failed; all earlier frames were
            delivered.
    """

    def __init__(
        self,
        connect: Callable[[threading.Event], Source],
        *,
        settings: StreamSettings,
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
        await_start: bool = True,
    ) -> None:
        self._connect = connect
        self._settings = settings
        self._first_delay_seconds = first_delay_seconds
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self.reconnects = 0
        self.status = ""
        self._source = self._start() if await_start else connect(self._closed)
        self.info = self._source.info
        self._splice = _Splice(self._source)
        self._stillness = _Stillness()

    @property
    def negotiated(self) -> Any:
        """What was requested from a camera and what it delivers; None for a stream."""
        return getattr(self._source, "negotiated", None)

    def __iter__(self) -> Iterator[Frame | Packet]:
        while not self._closed.is_set():
            try:
                yield from self._until_lost()
                reason = f"{self.info.name}: ended"
            except SourceError as error:
                reason = str(error)
            self._source.close()
            if not self._reopen(reason):
                return

    def close(self) -> None:
        """Close the source and stop retrying."""
        self._closed.set()
        with self._lock:
            self._source.close()

    def _start(self) -> Source:
        most = self._settings.max_reconnects
        for attempt in range(1, most + 1):
            try:
                return self._connect(self._closed)
            except LostError as error:
                delay = retry_delay(attempt, first_seconds=self._first_delay_seconds)
                _log.warning("%s; trying again in %g s (%d of %d)", error, delay, attempt, most)
            self.reconnects = 1
            self._closed.wait(delay)
        return self._connect(self._closed)

    def _until_lost(self) -> Iterator[Frame | Packet]:
        with ExitStack() as stack:
            items = iter(self._source)
            if isinstance(items, GeneratorType):
                stack.enter_context(closing(items))
            for item in items:
                if isinstance(item, Frame):
                    seconds = self._stillness.seconds(item)
                    if 0 < self._settings.stale_after < seconds:
                        raise LostError(
                            f"{self.info.name}: repeats one picture for {seconds:.1f} s"
                        )
                yield from self._splice.place(item)

    def _reopen(self, reason: str) -> bool:
        """Reopen the source; return False if it was closed meanwhile.

        Raises:
            TruncatedError: every attempt failed.
        """
        lost_at = time.monotonic()
        most = self._settings.max_reconnects
        for attempt in range(1, most + 1):
            self.status = f"reconnecting… ({attempt} of {most})"
            delay = retry_delay(attempt, first_seconds=self._first_delay_seconds)
            _log.warning("%s; reconnecting in %g s (%d of %d)", reason, delay, attempt, most)
            if self._closed.wait(delay):
                return False
            try:
                source = self._connect(self._closed)
            except SourceError as error:
                reason = str(error)
                continue
            with self._lock:
                self._source = source
                if self._closed.is_set():
                    source.close()
                    return False
            self._splice.begin(source)
            self._stillness.begin()
            self.reconnects += 1
            self.status = ""
            _log.warning("%s: reconnected after %.1f s", self.info.name, time.monotonic() - lost_at)
            return True
        if self._closed.is_set():
            return False
        raise TruncatedError(
            f"{reason}; it did not come back in {most} attempts; what came before is kept, and "
            "`max_reconnects` allows more"
        )


class _Splice:
    """Shifts the items of successive connections so that they form one stream."""

    def __init__(self, source: Source) -> None:
        self._info = source.info
        self._streams = {stream.index: stream.codec for stream in source.info.streams}
        self._copied = set(self._streams)
        self._shift = 0
        self._index_shift = 0
        self._last: Frame | None = None
        self._is_new = False
        self._waiting: list[Packet] = []

    def begin(self, source: Source) -> None:
        """Announce that the next item is the first of a new connection."""
        self._is_new = True
        # Only streams with unchanged parameters can still be copied.
        self._copied = {
            stream.index
            for stream in source.info.streams
            if self._streams.get(stream.index) == stream.codec
        }

    def place(self, item: Frame | Packet) -> Iterator[Frame | Packet]:
        """Shift an item into the joined stream; a packet may have to wait for the first frame."""
        if isinstance(item, Frame):
            yield from self._place_frame(item)
        elif self._is_new:
            self._waiting.append(item)
        elif item.stream_index in self._copied:
            yield self._moved(item)

    def _place_frame(self, frame: Frame) -> Iterator[Frame | Packet]:
        from rtseg.geometry.fit import letterboxed

        tick = self._info.time_base
        ticks = frame.pts if frame.time_base == tick else round(frame.pts_seconds / tick)
        is_first, self._is_new = self._is_new, False
        if is_first and self._last is not None:
            gap_seconds = Fraction(max(0, frame.captured_ns - self._last.captured_ns), 10**9)
            self._shift = self._last.pts + max(1, round(gap_seconds / tick)) - ticks
            self._index_shift = self._last.index + 1 - frame.index
        waiting, self._waiting = self._waiting, []
        for packet in waiting:
            if packet.stream_index in self._copied:
                yield self._moved(packet)
        if self._shift or self._index_shift or is_first:
            least = ticks if self._last is None else self._last.pts + 1
            image = frame.image
            if (frame.width, frame.height) != (self._info.width, self._info.height):
                image = letterboxed(image, self._info.height, self._info.width)
            frame = replace(
                frame,
                image=image,
                index=frame.index + self._index_shift,
                pts=max(least, ticks + self._shift),
                time_base=tick,
                duration=None,
                discontinuity=is_first or frame.discontinuity,
            )
        self._last = frame
        yield frame

    def _moved(self, packet: Packet) -> Packet:
        """A packet of another stream, shifted like the frames."""
        seconds = self._shift * self._info.time_base
        if not seconds:
            return packet
        payload: Any = packet.payload
        shift = round(seconds / payload.time_base)
        payload.pts = None if payload.pts is None else payload.pts + shift
        payload.dts = None if payload.dts is None else payload.dts + shift
        return replace(packet, time_seconds=packet.time_seconds + seconds)


class _Stillness:
    """Measures how long a picture has repeated bit for bit, as a frozen camera's does.

    A real sensor's noise changes every picture. If the picture still repeats after the device was
    reopened, the scene is taken to be static.
    """

    def __init__(self) -> None:
        self._last: Frame | None = None
        self._since_ns = 0
        self._is_trusted = False
        self._is_new = False

    def begin(self) -> None:
        """Announce that the next frame comes from a reopened source."""
        self._is_new = True

    def seconds(self, frame: Frame) -> float:
        """How long this frame's picture has been the same; 0 if the scene is known to be static."""
        same = self._last is not None and _equal(self._last, frame)
        if self._is_new and same:
            self._is_trusted = True
        self._is_new = False
        if not same:
            self._last, self._since_ns, self._is_trusted = frame, frame.captured_ns, False
        return 0.0 if self._is_trusted else (frame.captured_ns - self._since_ns) / 1e9


def _equal(one: Frame, other: Frame) -> bool:
    if one.image.shape != other.image.shape:
        return False
    # A few pixels distinguish most pictures cheaply.
    sparse = np.array_equal(one.image[::32, ::32], other.image[::32, ::32])
    return sparse and np.array_equal(one.image, other.image)
