"""Undo the real-time scheduling that an encoder may give this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_TASKS = Path("/proc/self/task")


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Undo the real-time priority that an encoder opened inside the block gives this process.

    Where permitted (as root, which is common in containers), SVT-AV1 switches its threads and the
    thread that opens it to FIFO scheduling at the highest priority, and later threads inherit it.
    Such a process starves everything else on the machine.
    """
    before = _real_time()
    try:
        yield
    finally:
        for task in _real_time() - before:
            with suppress(OSError):  # the thread has ended
                os.sched_setscheduler(task, os.SCHED_OTHER, os.sched_param(0))


def _real_time() -> set[int]:
    """This process's threads with real-time priority; empty outside Linux."""
    if not _TASKS.is_dir() or not hasattr(os, "sched_getscheduler"):
        return set()
    threads = set()
    for task in (int(path.name) for path in _TASKS.iterdir()):
        with suppress(OSError):
            if os.sched_getscheduler(task) in (os.SCHED_FIFO, os.SCHED_RR):
                threads.add(task)
    return threads
