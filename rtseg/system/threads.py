"""Divide the processor between decoding, the network and encoding.

They run concurrently, each with its own threads. If the network runs on a GPU, decoder and encoder
may use all cores. If it runs on the processor too, more threads than cores only compete: on two
cores, with H.264 at 1280x720, one thread each for decoder and encoder gave 73 FPS, and their own
choice (three each) gave 61.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rtseg.settings import ModelSettings, thread_count

NULL_MODEL = "null"
"""The model name for running without a network, to measure decoding, drawing and encoding."""


def shares_processor(model: ModelSettings) -> bool:
    """Whether the network will run on the same cores as decoding and encoding. Opens nothing."""
    if model.model == NULL_MODEL:
        return False
    if model.device == "cpu" or model.backend == "openvino":
        return True
    from rtseg.system.nvidia import nvidia_driver_problem

    return nvidia_driver_problem() is not None


def decoder_threads(model: ModelSettings) -> int:
    """Decoder threads: half of the cores beside a network, else the setting (0: one per core)."""
    return half(model.threads) if shares_processor(model) else model.threads


def half(threads: int) -> int:
    """Half of the threads that a `threads` setting allows, at least one."""
    return max(1, thread_count(threads) // 2)


SWITCH_SECONDS = 0.0005
"""Python's thread switch interval during a run, in seconds. With the default of 5 ms, a decoder
returning from 0.3 ms of work waited 6.6 ms for the interpreter."""

_lock = threading.Lock()
_runs = 0
_interval_before = 0.0


@contextmanager
def quick_thread_switches() -> Iterator[None]:
    """Shorten Python's thread switch interval while any run is active.

    The interval applies to the whole process; the last run to end restores it.
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
