"""How decoding, the network and encoding share the processor.

They run at the same time, each with threads of its own. Where the network runs on a GPU, decoder
and encoder may have all cores. Where it runs on the processor too, more threads than cores only
take turns with each other: on two cores, with H.264 at 1280x720, one thread for each of the two
gave 73 FPS, and their own choice (three each) 61.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rtseg.settings import ModelSettings, thread_count

NULL_MODEL = "null"
"""The model name that runs no network: what decoding, drawing and encoding cost alone."""


def shares_processor(model: ModelSettings) -> bool:
    """Whether the network will run on the cores that decode and encode; opens nothing."""
    if model.model == NULL_MODEL:
        return False
    if model.device == "cpu" or model.backend == "openvino":
        return True
    from rtseg.system.nvidia import nvidia_driver_problem

    return nvidia_driver_problem() is not None


def decoder_threads(model: ModelSettings) -> int:
    """For decoding: half of the cores beside a network; else what is set, 0 for one a core."""
    return half(model.threads) if shares_processor(model) else model.threads


def half(threads: int) -> int:
    """Half of what a `threads` setting allows, at least one."""
    return max(1, thread_count(threads) // 2)


SWITCH_SECONDS = 0.0005
"""How long a thread may keep Python's interpreter from one that waits for it, during a run. With
Python's own 5 ms, a decoder that comes back from .3 ms of work waited 6.6 ms for its turn."""

_lock = threading.Lock()
_runs = 0
_interval_before = 0.0


@contextmanager
def quick_thread_switches() -> Iterator[None]:
    """While any run goes on, threads that wait for the interpreter get it soon.

    The interval is the whole process's: the last run to end sets it back.
    """
    global _runs, _interval_before
    with _lock:
        if _runs == 0:
            _interval_before = sys.getswitchinterval()
            sys.setswitchinterval(min(SWITCH_SECONDS, _interval_before))
        _runs += 1
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                sys.setswitchinterval(_interval_before)
