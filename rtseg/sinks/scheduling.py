"""Undo the real-time scheduling that an encoder may give this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Take back the real-time priority that an encoder gives itself, and the caller, in here.

    SVT-AV1 runs its threads, and whichever opens it, first in first out at the highest priority
    wherever it may: as root, which is usual in containers. What that thread starts later inherits
    it. A process like that takes the processor from everything else on the machine.
    """
    before = _real_time()
    try:
        yield
    finally:
        for task in _real_time() - before:
            with suppress(OSError):  # it has ended
                os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))


def _real_time() -> set[int]:
    """The threads of this process that have a real-time priority; none where that is not Linux."""
    if not _TASKS.is_dir() or not hasattr(os, "sched_getscheduler"):
        return set()
    found = set()
    for task in (int(path.name) for path in _TASKS.iterdir()):
        with suppress(OSError):
            if os.sched_getscheduler(task) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(task)
    return found
