"""A run's statistics: `Progress` and `LiveStatistics` while it runs, `RunSummary` at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

from rtseg.timing import Percentiles, RateMeter, StageTimes

EndedBy = Literal["end", "stop", "duration", "frames", "quit", "truncated", "error"]
"""`end`: the stream ended; `stop`: `Pipeline.stop` was called; `duration`, `frames`: a limit was
reached; `quit`: a user quit in a window; `truncated`: the input is truncated; `error`: any other
exception, which `Pipeline.run` raises."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a run has progressed.

    Attributes:
        frames: frames written so far, including the warm-up.
        frame_count: estimated total; None if unknown.
        seconds: time since the start, or since the end of the warm-up.
        frames_per_second: the rate over the last two seconds, or of the last frame if it took
            longer.
        seconds_left: estimated remaining time; None if unknown.
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
    """Statistics that a view can show while the run continues.

    `frames_per_second` covers the last two seconds, or the last frame if it took longer.
    `latency_ms` is the time from the last frame's capture to when it had been written. `reconnects`
    as in `RunSummary`.
    """

    frames: int = 0
    dropped: int = 0
    corrupt: int = 0
    frames_per_second: float = 0.0
    latency_ms: float = 0.0
    reconnects: int = 0


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """The summary of a run.

    Attributes:
        frames: frames written after the warm-up.
        dropped: frames of a live source that were replaced by newer ones, here or in the source.
        corrupt: written frames that the decoder reported as damaged.
        seconds: end to end, from just before the first read until the sink was closed.
        frames_per_second: `frames` divided by `seconds`.
        first_frame_seconds: from just before the first read until the first frame was written.
        latency: distribution of the time from a frame's capture until it was written.
        stages: each stage's distribution, in the order of `timing.STAGES`, then `close`, for
            closing the sink (when an encoder writes its remaining frames).
        ended_by: why the run ended.
        reconnects: how many times a live source went away and came back.
        latencies_ms: the latency of every frame, or of a uniform sample if there are very many.
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
    """Counts the frames that a run writes. Used on one thread; any may call `statistics`.

    Args:
        times: the stages' times, which `restart` clears and the summary includes.
        frame_count: how many frames the run will write, if known.
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
        """Reset the clock and the counts: at the start of a run, and after its warm-up.

        Args:
            dropped: the number of frames dropped so far, which will not be counted.
        """
        self._times.clear()
        self._latency.clear()
        self._dropped_before = dropped
        self._first_frame_seconds = 0.0
        self._corrupt = 0
        self.frames = 0
        self._started = time.perf_counter()

    def count(self, *, captured_ns: int, is_corrupt: bool) -> None:
        """Count a frame that was just written."""
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
        """Seconds since the last restart."""
        return time.perf_counter() - self._started

    def statistics(self, *, dropped: int, reconnects: int = 0) -> LiveStatistics:
        """The current statistics."""
        return LiveStatistics(
            frames=self._written,
            dropped=dropped - self._dropped_before,
            corrupt=self._corrupt,
            frames_per_second=self._rate.per_second,
            latency_ms=self._latency_seconds * 1e3,
            reconnects=reconnects,
        )

    def progress(self, *, dropped: int) -> Progress:
        """The current progress."""
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
        """Summarise the run, once its sink is closed."""
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
