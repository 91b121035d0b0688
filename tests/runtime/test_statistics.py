"""The figures that a run counts."""

from __future__ import annotations

import dataclasses
import time

import pytest

from rtseg.runtime.statistics import LiveStatistics, RunCounter
from rtseg.timing import StageTimes


def count_frames(counter: RunCounter, frames: int, *, age_seconds: float = 0.0) -> None:
    for _ in range(frames):
        counter.count(captured_ns=time.monotonic_ns() - round(age_seconds * 1e9), is_corrupt=False)
        time.sleep(0.001)


def test_latency_is_the_age_of_what_was_written() -> None:
    counter = RunCounter(times=StageTimes(), frame_count=None)
    count_frames(counter, 3, age_seconds=0.25)
    assert counter.statistics(dropped=0).latency_ms == pytest.approx(250, abs=20)
    summary = counter.summary(dropped=0, ended_by="end")
    assert summary.latency.p50 == pytest.approx(250, abs=20)
    assert summary.latency.count == 3


def test_time_left_needs_a_known_length_and_a_rate() -> None:
    counter = RunCounter(times=StageTimes(), frame_count=100)
    assert counter.progress(dropped=0).seconds_left is None, "no rate yet"
    count_frames(counter, 20)
    progress = counter.progress(dropped=0)
    assert progress.seconds_left == pytest.approx(80 / progress.frames_per_second, rel=0.2)
    count_frames(counter, 90)
    assert counter.progress(dropped=0).seconds_left == 0, "an estimate may have been too low"
    endless = RunCounter(times=StageTimes(), frame_count=None)
    count_frames(endless, 5)
    assert endless.progress(dropped=0).seconds_left is None


def test_a_restart_forgets_the_counts_but_not_the_progress() -> None:
    times = StageTimes()
    counter = RunCounter(times=times, frame_count=None)
    times.add("infer", 1.0)
    counter.count(captured_ns=time.monotonic_ns(), is_corrupt=True)
    counter.restart(dropped=5)
    count_frames(counter, 2)
    summary = counter.summary(dropped=7, ended_by="stop")
    assert (summary.frames, summary.corrupt, summary.dropped) == (2, 0, 2)
    assert summary.stages == {}
    assert summary.ended_by == "stop"
    assert counter.progress(dropped=7).frames == 3


def test_before_the_first_frame_all_figures_are_zero() -> None:
    assert set(dataclasses.astuple(LiveStatistics())) == {0}
    counter = RunCounter(times=StageTimes(), frame_count=None)
    assert counter.statistics(dropped=0) == LiveStatistics()
    assert set(counter.summary(dropped=0, ended_by="end").latencies_ms) == set()
