"""Measure stage times, latencies and rates with the monotonic clock."""

from __future__ import annotations

import random
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

STAGES = ("capture", "prepare", "infer", "finish", "render", "output")
"""The stages of a frame: read and decode; detect and crop faces; run the network; upsample to
labels at the frame's size; draw the view; encode, write or show."""

KEPT_SAMPLES = 8192
"""The most samples kept for a stage, so that memory stays constant in runs of many days."""


@dataclass(frozen=True, kw_only=True)
class Percentiles:
    """A distribution of durations, in milliseconds."""

    count: int
    mean: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Percentiles:
        """Compute the percentiles of durations in seconds; all zero if there are none."""
        values = np.asarray([*seconds], dtype=np.float64) * 1e3
        if not len(values):
            return cls(count=0, mean=0.0, p50=0.0, p95=0.0, p99=0.0)
        p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
        return cls(count=len(values), mean=float(values.mean()), p50=p50, p95=p95, p99=p99)


class _Samples:
    """Exact count and sum of all samples, and a uniform random sample of KEPT_SAMPLES of them.

    Algorithm R of Vitter, "Random sampling with a reservoir", 1985; seeded, so that the same
    durations give the same results.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._kept = array("d")
        self._random = random.Random(0)

    def add(self, seconds: float) -> None:
        self.count += 1
        self.total += seconds
        if len(self._kept) < KEPT_SAMPLES:
            self._kept.append(seconds)
            return
        place = self._random.randrange(self.count)
        if place < KEPT_SAMPLES:
            self._kept[place] = seconds

    @property
    def kept(self) -> tuple[float, ...]:
        return tuple(self._kept)

    def percentiles(self) -> Percentiles:
        of_kept = Percentiles.of(self._kept)
        return Percentiles(
            count=self.count,
            mean=self.total / self.count * 1e3,
            p50=of_kept.p50,
            p95=of_kept.p95,
            p99=of_kept.p99,
        )


class StageTimes:
    """Collects each stage's duration for each frame. Safe to use from several threads.

    `measure` adds one sample per call, so a stage that runs several times per frame must be summed
    by the caller. Memory is bounded: counts, sums and means are always exact, while percentiles
    come from a uniform sample once there are very many values.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples: dict[str, _Samples] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Record that `stage` took `seconds` for one frame."""
        with self._lock:
            samples = self._samples.get(stage)
            if samples is None:
                samples = self._samples[stage] = _Samples()
            samples.add(seconds)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Record the duration of the block."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - start)

    def clear(self) -> None:
        """Forget every sample, for example after a warm-up."""
        with self._lock:
            self._samples.clear()

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages with samples: those of STAGES in order, then any others."""
        with self._lock:
            measured = tuple(self._samples)
        return (
            *(stage for stage in STAGES if stage in measured),
            *(stage for stage in measured if stage not in STAGES),
        )

    def milliseconds(self, stage: str) -> tuple[float, ...]:
        """The kept samples of one stage: all, or a uniform sample of very many."""
        with self._lock:
            samples = self._samples.get(stage)
            return tuple(seconds * 1e3 for seconds in samples.kept) if samples else ()

    def percentiles(self, stage: str) -> Percentiles:
        """The distribution of one stage's samples; all zero if there are none."""
        with self._lock:
            samples = self._samples.get(stage)
            return samples.percentiles() if samples else Percentiles.of(())


class RateMeter:
    """Measures events per second over a sliding window, or by the last two where they are rarer.

    Args:
        window_seconds: length of the window.
        clock: returns monotonic seconds; replaceable in tests.
    """

    def __init__(
        self, window_seconds: float = 2.0, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._window = window_seconds
        self._clock = clock
        self._ticks: deque[float] = deque()
        self._lock = threading.Lock()

    def tick(self) -> None:
        """Count one event now."""
        with self._lock:
            self._ticks.append(self._clock())
            self._forget()

    @property
    def per_second(self) -> float:
        """The rate over the window; 0 with fewer than two events.

        Without two events in the window it is that of the last interval, or of the time since the
        last event if that is longer: slow work has a rate too, and that of halted work falls.
        """
        with self._lock:
            self._forget()
            if len(self._ticks) < 2 or self._ticks[-1] <= self._ticks[0]:
                return 0.0
            seconds = self._ticks[-1] - self._ticks[0]
            if seconds > self._window or self._ticks[-1] < self._clock() - self._window:
                return 1 / max(seconds, self._clock() - self._ticks[-1])
            return (len(self._ticks) - 1) / seconds

    def _forget(self) -> None:
        oldest = self._clock() - self._window
        while len(self._ticks) > 2 and self._ticks[0] < oldest:
            self._ticks.popleft()
