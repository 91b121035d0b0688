"""A run's figures: `Progress` and `LiveStatistics` while it runs, `RunSummary` at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from rtseg.timing import Percentiles, RateMeter, StageTimes

EndedBy = Literal["end", "stop", "duration", "frames", "quit", "truncated", "error"]
"""`end`: of the stream; `stop`: asked by `Pipeline.stop`; `duration`, `frames`: a limit was
reached; `quit`: asked in a window; `truncated`: the input ends in the middle; `error`: any other
exception, which `Pipeline.run` raises."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run is.

    Attributes:
        frames: written so far, a warm-up included.
        frame_count: how many there will be, an estimate; None where unknown.
        seconds: since the start, or since the end of the warm-up.
        frames_per_second: over the last two seconds.
        seconds_left: an estimate; None where unknown.
        dropped, corrupt: as in `RunSummary`.
    """

    frames: int
    frame_count: int | None
    seconds: float
    frames_per_second: float
    seconds_left: float | None
    dropped: int
    corrupt: int


@dataclass(frozen=True, kw_only=True)
class LiveStatistics:
    """What a view may show of the run it is part of.

    `frames_per_second` is over the last two seconds; `latency_ms` is the age of the last written
    frame, from its capture to after it was written; `reconnects` as in `RunSummary`.
    """

    frames: int = 0
    dropped: int = 0
    corrupt: int = 0
    frames_per_second: float = 0.0
    latency_ms: float = 0.0
    reconnects: int = 0


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """What a run did.

    Attributes:
        frames: written (after the warm-up, where there is one).
        dropped: frames of a live source that gave way to newer ones, here or in the source.
        corrupt: written frames that the decoder called damaged.
        seconds: end to end: from just before the first read to after the sink was closed.
        frames_per_second: `frames` over `seconds`.
        first_frame_seconds: from just before the first read to the first frame written.
        latency: of each written frame, from its capture to after it was written.
        stages: each stage's distribution, in the order of `timing.STAGES`, then `close`: the one
            closing of the sink (an encoder writes what it held back).
        ended_by: why the run is over.
        reconnects: how often a live source was away and came (back).
        latencies_ms: the frames' latencies; a uniform choice where there are very many.
    """

    frames: int
    dropped: int
    corrupt: int
    seconds: float
    frames_per_second: float
    first_frame_seconds: float
    latency: Percentiles
    stages: dict[str, Percentiles] = field(repr=False)
    ended_by: EndedBy
    reconnects: int = 0
    latencies_ms: tuple[float, ...] = field(default=(), repr=False)


class RunCounter:
    """Counts what a run writes. Used on one thread; others may look at `statistics`.

    Args:
        times: the stages, which `restart` clears and the summary shows.
        frame_count: how many frames the run will write, where known.
    """

    def __init__(self, *, times: StageTimes, frame_count: int | None) -> None:
        self._times = times
        self._frame_count = frame_count
        self._written = 0
        self._rate = RateMeter()
        self._latency = StageTimes()
        self._latency_seconds = 0.0
        self._dropped_before = 0
        self.restart(dropped=0)

    def restart(self, *, dropped: int) -> None:
        """Begin the clock and the counts anew: at the start of a run, and after its warm-up.

        Args:
            dropped: all frames dropped so far, which will not count.
        """
        self._times.clear()
        self._latency.clear()
        self._dropped_before = dropped
        self._first_frame_seconds = 0.0
        self._corrupt = 0
        self.frames = 0
        self._started = time.perf_counter()

    def count(self, *, captured_ns: int, is_corrupt: bool) -> None:
        """One frame was written just now."""
        self._latency_seconds = (time.monotonic_ns() - captured_ns) / 1e9
        self._latency.add("latency", self._latency_seconds)
        if self.frames == 0:
            self._first_frame_seconds = self.seconds
        self.frames += 1
        self._written += 1
        self._corrupt += is_corrupt
        self._rate.tick()

    @property
    def seconds(self) -> float:
        """Since the last restart."""
        return time.perf_counter() - self._started

    def statistics(self, *, dropped: int, reconnects: int = 0) -> LiveStatistics:
        """Where the run stands now."""
        return LiveStatistics(
            frames=self._written,
            dropped=dropped - self._dropped_before,
            corrupt=self._corrupt,
            frames_per_second=self._rate.per_second,
            latency_ms=self._latency_seconds * 1e3,
            reconnects=reconnects,
        )

    def progress(self, *, dropped: int) -> Progress:
        """How far the run is now."""
        rate = self._rate.per_second
        total = self._frame_count
        return Progress(
            frames=self._written,
            frame_count=total,
            seconds=self.seconds,
            frames_per_second=rate,
            seconds_left=max(0, total - self._written) / rate if total and rate else None,
            dropped=dropped - self._dropped_before,
            corrupt=self._corrupt,
        )

    def summary(self, *, dropped: int, ended_by: EndedBy, reconnects: int = 0) -> RunSummary:
        """What the run did; asked once its sink is closed."""
        seconds = self.seconds
        return RunSummary(
            frames=self.frames,
            dropped=dropped - self._dropped_before,
            corrupt=self._corrupt,
            seconds=seconds,
            frames_per_second=self.frames / seconds if seconds > 0 else 0.0,
            first_frame_seconds=self._first_frame_seconds,
            latency=self._latency.percentiles("latency"),
            stages={stage: self._times.percentiles(stage) for stage in self._times.stages},
            ended_by=ended_by,
            reconnects=reconnects,
            latencies_ms=self._latency.milliseconds("latency"),
        )
