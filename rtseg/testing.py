"""A fake source for tests of rtseg and of programs that use it.

source = FakeSource(30, width=64, height=48, is_live=True, interval=1 / 30)
for frame, segmentation in rtseg.stream(source, backend=backend):
    ...
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from rtseg.frames import Frame, Image, Packet
from rtseg.media.info import SourceInfo
from rtseg.sources.base import Source

Item = int | Image | BaseException
"""One step of a source: a grey picture of this level, a picture, or an error to raise."""


def nothing() -> None:
    """Do nothing."""


class FakeSource(Source):
    """Delivers scripted frames, packets and errors, and records what it did.

    Args:
        items: a number of grey pictures, or None for an endless series; or the steps; or another
            source whose items are passed on one by one.
        width, height: size of the grey pictures in pixels.
        time_base: seconds per tick.
        ticks: ticks between two frames.
        is_live: whether the source is live.
        interval: seconds before each step. With `by_clock` they count from the start, like a
            camera's; otherwise from the step before, so that a busy machine causes no bursts.
        before: called before each step; may wait or raise.
        packets: whether to deliver two packets of 1 KiB of stream 1 before every third frame.
        missing: indexes to skip, as by a camera that drops frames.
        corrupt: indexes of frames that are marked as damaged.
        captured_ns: returns a frame's capture time by its index; by default the current time.
        end: raised after the last item.

    Attributes:
        delivered: number of frames delivered.
        log: everything delivered, in order: "frame 3", "packet 3.0".
        captured: each frame's capture time in nanoseconds.
        alive: the frames that are still referenced.
        closed: set once the source was closed.
        reader, ended_on: the threads that started and ended the iteration.
    """

    def __init__(
        self,
        items: int | Iterable[Item] | Source | None = None,
        *,
        width: int = 8,
        height: int = 6,
        time_base: Fraction = Fraction(1, 25),
        ticks: int = 1,
        is_live: bool = False,
        interval: float = 0.0,
        by_clock: bool = False,
        before: Callable[[], None] = nothing,
        packets: bool = False,
        missing: tuple[int, ...] = (),
        corrupt: tuple[int, ...] = (),
        captured_ns: Callable[[int], int] | None = None,
        end: BaseException | None = None,
    ) -> None:
        self.info = (
            items.info
            if isinstance(items, Source)
            else SourceInfo(
                name="fake",
                width=width,
                height=height,
                time_base=time_base,
                is_live=is_live,
                frame_count=items if isinstance(items, int) else None,
            )
        )
        self._items_given = items
        self._ticks = ticks
        self._interval = interval
        self._by_clock = by_clock
        self._before = before
        self._packets = packets
        self._missing = missing
        self._corrupt = corrupt
        self._captured_ns = captured_ns
        self._end = end
        self.delivered = 0
        self.log: list[str] = []
        self.captured: list[int] = []
        self.alive: weakref.WeakSet[Frame] = weakref.WeakSet()
        self.closed = threading.Event()
        self.reader: threading.Thread | None = None
        self.ended_on: threading.Thread | None = None

    def __iter__(self) -> Iterator[Frame | Packet]:
        self.reader = threading.current_thread()
        try:
            yield from self.items()
        finally:
            self.ended_on = threading.current_thread()
        if self._end is not None:
            raise self._end

    def items(self) -> Iterator[Frame | Packet]:
        """Yield the items; subclasses may extend it."""
        if isinstance(self._items_given, Source):
            for handed_on in self._items_given:
                self._before()
                yield handed_on
            return
        started = time.monotonic()
        for index, item in enumerate(self._steps()):
            self._before()
            self._wait(started + (index + 1) * self._interval)
            if index in self._missing:
                continue
            if isinstance(item, BaseException):
                raise item
            if self._packets and index % 3 == 0:
                yield from (self._packet(index, place) for place in range(2))
            yield self.frame(index, item)

    def _steps(self) -> Iterable[Item]:
        items = self._items_given
        if items is None:
            return (index % 251 for index in itertools.count())
        if isinstance(items, int):
            return (index % 251 for index in range(items))
        assert not isinstance(items, Source)
        return items

    def _wait(self, due: float) -> None:
        if self._interval:
            time.sleep(max(0.0, due - time.monotonic()) if self._by_clock else self._interval)

    def _packet(self, index: int, place: int) -> Packet:
        self.log.append(f"packet {index}.{place}")
        return Packet(
            stream_index=1,
            time_seconds=index * self._ticks * self.info.time_base,
            size_bytes=1 << 10,
            payload=self.log[-1],
        )

    def frame(self, index: int, item: int | Image) -> Frame:
        """Make the next frame, for subclasses."""
        shape = (self.info.height, self.info.width, 3)
        frame = Frame(
            image=np.full(shape, item, np.uint8) if isinstance(item, int) else item,
            index=index,
            pts=index * self._ticks,
            time_base=self.info.time_base,
            captured_ns=self._captured_ns(index) if self._captured_ns else time.monotonic_ns(),
            is_corrupt=index in self._corrupt,
        )
        self.log.append(f"frame {index}")
        self.captured.append(frame.captured_ns)
        self.alive.add(frame)
        self.delivered += 1
        return frame

    def close(self) -> None:
        """Record that it was closed, and close the wrapped source."""
        self.closed.set()
        if isinstance(self._items_given, Source):
            self._items_given.close()
