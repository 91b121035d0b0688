"""Stage latencies and rates, measured on the monotonic clock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

STAGES = ("capture", "prepare", "infer", "finish", "render", "output")
"""Where a frame's time goes: read and decode; find and crop faces; the network; probabilities to
labels at the frame's size; draw the view; encode, write or show."""


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """A distribution of durations, in milliseconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Percentiles:
        """The percentiles of durations given in seconds; all zero where there are none."""
        if not seconds:
            return cls(count=0, mean=0.0, p50=0.0, p95=0.0, p99=0.0)
        values = np.asarray(seconds) * 1e3
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return cls(count=len(seconds), mean=float(values.mean()), p50=p50, p95=p95, p99=p99)


class StageTimes:
    """Collects how long each stage took for each frame. Safe to use from several threads.

    A stage that is entered several times for one frame is summed up by the caller that owns the
    frame: `measure` adds one sample a call.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, list[float]] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Record that `stage` took `seconds` for one frame."""
        with self._lock:
            self._samples.setdefault(stage, []).append(seconds)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Record how long the block took."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def clear(self) -> None:
        """Forget every sample (after a warm-up)."""
        with self._lock:
            self._samples.clear()

    def total_seconds(self, stage: str) -> float:
        """The sum over all frames."""
        with self._lock:
            return sum(self._samples.get(stage, ()))

    def percentiles(self, stage: str) -> Percentiles:
        """The distribution of one stage's samples."""
        with self._lock:
            samples = list(self._samples.get(stage, ()))
        return Percentiles.of(samples)


class RateMeter:
    """Events a second over a sliding window."""

    def __init__(self, window_seconds: float = 2.0) -> None:
        self._window = window_seconds
        self._ticks: deque[float] = deque()
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Count one event now."""
        now = time.perf_counter()
        with self._lock:
            self._ticks.append(now)
            while self._ticks[0] < now - self._window:
                self._ticks.popleft()

    @property
    def per_second(self) -> float:
        """The rate over the window, 0 where fewer than two events lie in it."""
        with self._lock:
            if len(self._ticks) < 2:
                return 0.0
            return (len(self._ticks) - 1) / (self._ticks[-1] - self._ticks[0])
