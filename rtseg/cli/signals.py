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
"""What a second signal leaves a run for closing its output; then the process ends as it is."""

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interruption:
    """Which signal ended a run, if one did."""

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.is_over = False

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells report it; 0 where none came."""
        return 0 if self.signal_number is None else 128 + self.signal_number


@contextmanager
def ending_in_order(
    stop: Callable[[], None], *, but: Collection[str] = ()
) -> Iterator[Interruption]:
    """Within the block, the first signal calls `stop`, and a second one ends the process.

    At once, that is: by KeyboardInterrupt, and where that does not get through (a long inference,
    a driver that hangs) by force. What was written until then is kept as after a kill.

    Args:
        stop: ends the run in order; called inside a signal handler, so it must not wait.
        but: signals that mean something else here, by name.
    """
    interruption = Interruption()

    def handle(number: int, _frame: FrameType | None) -> None:
        if interruption.signal_number is not None:
            # Not threading.Thread: its locks may be held by what this handler interrupts.
            _thread.start_new_thread(_end_by_force, (interruption, 128 + number))
            raise KeyboardInterrupt
        interruption.signal_number = number
        stop()

    before = {}
    for name in NAMES:  # Windows has no SIGHUP, others no SIGBREAK
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
