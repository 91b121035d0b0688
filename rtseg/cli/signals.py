"""Ctrl-C and friends end a run in order; a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Interruption:
    """Which signal ended a run, if one did."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells report it; 0 where none came."""
        return 0 if self.signal_number is None else 128 + self.signal_number


@contextmanager
def ending_in_order(stop: Callable[[], None]) -> Iterator[Interruption]:
    """Within the block, the first signal calls `stop`, and a second one interrupts.

    Args:
        stop: ends the run in order; called inside a signal handler, so it must not wait.
    """
    interruption = Interruption()

    def handle(number: int, _frame: FrameType | None) -> None:
        if interruption.signal_number is not None:
            raise KeyboardInterrupt
        interruption.signal_number = number
        stop()

    before = {}
    for name in NAMES:  # Windows has no SIGHUP, others no SIGBREAK
        number = getattr(signal, name, None)
        if number is not None:
            before[number] = signal.signal(number, handle)
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
