"""Stop a run cleanly on Ctrl-C and similar signals, and immediately on a second one."""

from __future__ import annotations

import _thread
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from types import FrameType

LAST_GRACE_SECONDS = 1.0
"""Seconds that a run gets after a second signal to close its output before it is killed."""

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interruption:
    """Records which signal ended a run, if any."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.is_over = False

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as in shells; 0 if there was none."""
        return 0 if self.signal_number is None else 128 + self.signal_number


@contextmanager
def ending_in_order(
    stop: Callable[[], None], *, but: Collection[str] = ()
) -> Iterator[Interruption]:
    """Within the block, call `stop` on the first signal, and end the process on the second.

    The second signal raises KeyboardInterrupt, and if that has no effect (during a long inference
    or in a hanging driver), the process is ended by force. What was written is kept, as after a
    kill.

    Args:
        stop: ends the run normally; called in a signal handler, so it must not wait.
        but: names of signals that are handled elsewhere.
    """
    interruption = Interruption()

    def handle(number: int, _frame: FrameType | None) -> None:
        if interruption.signal_number is not None:
            # Not threading.Thread: the interrupted code may hold its locks.
            _thread.start_new_thread(_end_by_force, (interruption, 128 + number))
            raise KeyboardInterrupt
        interruption.signal_number = number
        stop()

    before = {}
    for name in NAMES:  # Windows has no SIGHUP, other systems no SIGBREAK
        number = getattr(signal, name, None)
        if number is not None and name not in but:
            before[number] = signal.signal(number, handle)
    try:
        yield interruption
    finally:
        interruption.is_over = True
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_by_force(interruption: Interruption, exit_code: int) -> None:
    time.sleep(LAST_GRACE_SECONDS)
    if not interruption.is_over:
        os._exit(exit_code)
