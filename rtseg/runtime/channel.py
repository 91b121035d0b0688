"""A bounded queue between two threads of a run, with two policies.

`block` is for files: nothing is ever dropped, and a full channel makes the producer wait.
`newest` is for live sources: a put never waits, the oldest waiting frame makes room and is counted.

Waits are short slices in C (`SimpleQueue.get`), after each of which the stop flag is checked.
`threading.Condition` and `Event` are avoided on purpose: both take their lock in Python code, where
a Ctrl-C at the wrong instruction leaves it locked for ever, and a signal handler that sets an Event
can deadlock with the thread that it interrupted.
"""

from __future__ import annotations

import threading
from collections import deque
from enum import Enum
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, Literal, Protocol, TypeVar

from rtseg.errors import SettingError

T = TypeVar("T")

Policy = Literal["block", "newest"]

_SLICE_SECONDS = 0.05
"""The longest single wait, and so how late a waiting thread notices a stop."""


class Nothing(Enum):
    """Why `get` returned no item."""

    YET = "none arrived within the time limit"
    EVER = "no more will arrive: the channel is closed and empty, or the run was stopped"


class Stopping(Protocol):
    """Tells a channel that its run is over: a `StopFlag` or a `threading.Event`."""

    def is_set(self) -> bool:
        """Whether the run is over."""
        ...


class StopFlag:
    """A flag that a run is over. It takes no lock, so a signal handler may set it."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """End the run."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the run is over."""
        return self._is_set


class _Bell:
    """Wakes the single thread waiting for it; `expected` is guarded by the channel's lock."""

    def __init__(self) -> None:
        self.expected = False
        self._strokes: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        if self.expected:
            self.expected = False
            self._strokes.put(None)

    def wait(self, seconds: float) -> None:
        try:
            self._strokes.get(timeout=seconds)
        except Empty:
            return


class Channel(Generic[T]):
    """Passes items from one producing thread to one consuming thread, in order.

    An item put with `size_bytes` (a packet) is a rider: it counts towards `max_bytes` instead of
    `capacity`, and is never dropped.

    Args:
        capacity: the most items that may be queued, not counting riders; at least 1.
        policy: what `put` does when the channel is full.
        stop: once set, `put` and `get` return at once, or within 50 ms if they are waiting.
        max_bytes: the most bytes of queued riders under `block`. A single larger rider passes when
            no other is queued.
        max_item_bytes: the same for the other items.

    Raises:
        SettingError: a bound below 1, or an unknown policy.
    """

    def __init__(
        self,
        *,
        capacity: int,
        policy: Policy,
        stop: Stopping,
        max_bytes: int | None = None,
        max_item_bytes: int | None = None,
    ) -> None:
        if capacity < 1:
            raise SettingError(f"a channel's capacity must be 1 or more; found {capacity}")
        for name, bound in (("max_bytes", max_bytes), ("max_item_bytes", max_item_bytes)):
            if bound is not None and bound < 1:
                raise SettingError(f"a channel's {name} must be 1 or more; found {bound}")
        if policy not in ("block", "newest"):
            raise SettingError(f"a channel's policy is {policy!r}; allowed: block, newest")
        self._capacity = capacity
        self._policy = policy
        self._stop = stop
        self._max_bytes = max_bytes
        self._max_item_bytes = max_item_bytes
        self._lock = threading.Lock()
        self._items: deque[tuple[T, int | None, int]] = deque()
        self._droppable = self._item_bytes = 0
        self._bytes = 0
        self._dropped = 0
        self._closed = False
        self._arrival = _Bell()
        self._room = _Bell()

    def put(self, item: T, *, size_bytes: int | None = None, item_bytes: int = 0) -> bool:
        """Add one item; under `block`, wait until there is room.

        Args:
            item: the item for the consumer.
            size_bytes: a rider's size in memory; None for other items.
            item_bytes: any other item's size in memory.

        Returns:
            Whether the channel accepted it; False once the run was stopped.

        Raises:
            RuntimeError: the channel is closed.
        """
        while not self._stop.is_set():
            with self._lock:
                if self._closed:
                    raise RuntimeError("an item was put into a closed channel")
                if self._make_room(size_bytes, item_bytes):
                    self._append(item, size_bytes, item_bytes)
                    return True
                self._room.expected = True
            self._room.wait(_SLICE_SECONDS)
        return False

    def get(self, *, timeout_seconds: float | None = None) -> T | Nothing:
        """Wait for the next item, up to `timeout_seconds` if given."""
        deadline = None if timeout_seconds is None else monotonic() + timeout_seconds
        while not self._stop.is_set():
            with self._lock:
                if self._items:
                    return self._take()
                if self._closed:
                    return Nothing.EVER
                self._arrival.expected = True
            left = _SLICE_SECONDS if deadline is None else deadline - monotonic()
            if left <= 0:
                return Nothing.YET
            self._arrival.wait(min(left, _SLICE_SECONDS))
        return Nothing.EVER

    def wait(self) -> bool:
        """Wait until an item can be taken, and leave it; False where none will come."""
        while not self._stop.is_set():
            with self._lock:
                if self._items or self._closed:
                    return bool(self._items)
                self._arrival.expected = True
            self._arrival.wait(_SLICE_SECONDS)
        return False

    def close(self) -> None:
        """Announce that nothing more will be put. Queued items can still be taken. Never waits."""
        with self._lock:
            self._closed = True
            self._arrival.ring()

    @property
    def dropped(self) -> int:
        """How many items were replaced by newer ones."""
        return self._dropped

    def __len__(self) -> int:
        return len(self._items)

    def _make_room(self, size_bytes: int | None, item_bytes: int) -> bool:
        if self._policy == "newest":
            while size_bytes is None and self._droppable >= self._capacity:
                self._drop_oldest()
            return True
        if size_bytes is None:
            return self._droppable < self._capacity and (
                self._max_item_bytes is None
                or self._droppable == 0
                or self._item_bytes + item_bytes <= self._max_item_bytes
            )
        return (
            self._max_bytes is None
            or self._bytes == 0
            or self._bytes + size_bytes <= self._max_bytes
        )

    def _drop_oldest(self) -> None:
        oldest = next(i for i, (_, size, _) in enumerate(self._items) if size is None)
        self._item_bytes -= self._items[oldest][2]
        del self._items[oldest]
        self._droppable -= 1
        self._dropped += 1

    def _append(self, item: T, size_bytes: int | None, item_bytes: int) -> None:
        self._items.append((item, size_bytes, item_bytes))
        if size_bytes is None:
            self._droppable += 1
            self._item_bytes += item_bytes
        else:
            self._bytes += size_bytes
        self._arrival.ring()

    def _take(self) -> T:
        item, size_bytes, item_bytes = self._items.popleft()
        if size_bytes is None:
            self._droppable -= 1
            self._item_bytes -= item_bytes
        else:
            self._bytes -= size_bytes
        self._room.ring()
        return item
