"""Fair turns at a shared network: how many streams may process a frame at once, and who is next."""

from __future__ import annotations

import threading
from itertools import count

from rtseg.errors import SettingError
from rtseg.runtime.channel import Stopping

_SLICE_SECONDS = 0.05
"""The longest single wait, and so how late a waiting thread notices a stop."""


class Turns:
    """Lets a number of streams work at once; the one that was served longest ago comes next.

    A frame that waits for its turn grows old, so a stream waits for its turn first and takes its
    newest frame then. With as many frames in progress as the network batches well, each is
    finished soon after it was taken; with all at once, each would take as long as all together.

    Args:
        at_once: the number of streams that can have a turn at the same time; at least 1.

    Raises:
        SettingError: the number is less than 1.
    """

    def __init__(self, at_once: int) -> None:
        if at_once < 1:
            raise SettingError(f"at_once must be 1 or more; found {at_once}")
        self.at_once = at_once
        self._lock = threading.Lock()
        self._waiting: list[Turn] = []
        self._active = 0
        self._clock = count(1)

    def join(self) -> Turn:
        """Register one stream, which counts as the one served longest ago."""
        return Turn(self)

    @property
    def active(self) -> int:
        """How many streams have a turn now."""
        return self._active

    def _enter(self, turn: Turn) -> None:
        with self._lock:
            self._waiting.append(turn)
            self._call_next()

    def _leave(self, turn: Turn) -> None:
        """Give back a turn, or stop waiting for one."""
        with self._lock:
            if turn.is_held:
                turn.is_held = False
                self._active -= 1
            elif turn in self._waiting:
                self._waiting.remove(turn)
            self._call_next()

    def _call_next(self) -> None:
        while self._waiting and self._active < self.at_once:
            turn = min(self._waiting, key=lambda waiting: waiting.served)
            self._waiting.remove(turn)
            turn.served = next(self._clock)
            turn.is_held = True
            self._active += 1
            turn.called.set()


class Turn:
    """One stream's place in the queue, made by `Turns.join`. Used by one thread."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.served = 0
        self.is_held = False
        self.called = threading.Event()

    def take(self, stop: Stopping) -> bool:
        """Wait for the turn; False if the run was stopped meanwhile."""
        self.called.clear()
        self._turns._enter(self)
        while not self.called.wait(_SLICE_SECONDS) and not stop.is_set():
            pass
        if stop.is_set():
            self.give_back()
            return False
        return True

    def give_back(self) -> None:
        """Give the turn back to the next stream. May be called twice."""
        self._turns._leave(self)
