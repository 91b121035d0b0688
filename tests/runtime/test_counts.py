"""What a run reports: its summary, its progress, its stages' times."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rtseg.errors import SettingError
from rtseg.frames import Frame, Segmentation
from rtseg.runtime.pipeline import Progress
from rtseg.testing import FakeSource
from rtseg.timing import StageTimes
from tests.support.pipelines import (
    OVERLAPS,
    FakeSink,
    pipeline,
    renderer,
    segmenter,
)


def total_seconds(times: StageTimes, stage: str) -> float:
    distribution = times.percentiles(stage)
    return distribution.count * distribution.mean / 1e3


@OVERLAPS
def test_the_summary_is_right(overlap: bool) -> None:
    times = StageTimes()
    source = FakeSource(10, corrupt=(3, 7))
    work = pipeline(source, FakeSink(), times=times, overlap=overlap)
    assert work.summary is None
    summary = work.run()
    assert work.summary is summary
    assert (summary.frames, summary.corrupt, summary.dropped) == (10, 2, 0)
    assert summary.latency.count == 10
    assert summary.frames_per_second == pytest.approx(10 / summary.seconds)
    assert 0 < summary.first_frame_seconds <= summary.seconds
    assert list(summary.stages) == ["capture", "render", "output", "close"]
    assert {stage: distribution.count for stage, distribution in summary.stages.items()} == {
        "capture": 10,
        "render": 10,
        "output": 10,
        "close": 1,
    }
    assert work.statistics.frames == 10
    assert work.statistics.corrupt == 2
    assert work.statistics.latency_ms > 0


def test_serial_stage_times_add_up_to_the_whole() -> None:
    times = StageTimes()

    def segment(frame: Frame) -> Segmentation:
        with times.measure("infer"):
            return segmenter(0.008)(frame)

    def pause() -> None:
        time.sleep(0.002)

    summary = pipeline(
        FakeSource(30, interval=0.02, packets=True),
        FakeSink(seconds=0.003, faults={"poll": pause, "copy": pause}),
        segment=segment,
        render=renderer(0.002),
        times=times,
        overlap=False,
    ).run()
    total = sum(total_seconds(times, stage) for stage in times.stages)
    assert total == pytest.approx(summary.seconds, rel=0.1)
    assert summary.stages["infer"].p50 >= 8
    assert summary.stages["render"].p50 >= 2
    assert summary.stages["output"].p50 >= 5, "a window's part is output as well"


@OVERLAPS
def test_the_clock_starts_when_the_output_is_open(overlap: bool) -> None:
    sink = FakeSink(faults={"open": lambda: time.sleep(0.3), "close": lambda: time.sleep(0.1)})
    begun = time.perf_counter()
    summary = pipeline(FakeSource(3), sink, overlap=overlap).run()
    whole = time.perf_counter() - begun
    assert 0.1 <= summary.seconds <= whole - 0.3, "and runs until it is closed"
    assert summary.first_frame_seconds <= whole - 0.3 - 0.1
    assert summary.stages["close"].mean >= 100


def test_waiting_for_a_neighbour_counts_towards_no_stage() -> None:
    times = StageTimes()
    pipeline(FakeSource(14), FakeSink(), segment=segmenter(0.05), times=times).run()
    assert total_seconds(times, "capture") < 0.35  # of the 0.7 s that they waited
    assert total_seconds(times, "output") < 0.35


@OVERLAPS
def test_a_warm_up_is_written_but_not_counted(overlap: bool) -> None:
    sink, times = FakeSink(), StageTimes()
    slow_start = iter([0.4] + [0.0] * 100)

    def segment(frame: Frame) -> Segmentation:
        with times.measure("infer"):
            return segmenter(next(slow_start))(frame)

    reports: list[Progress] = []
    summary = pipeline(
        FakeSource(None, interval=0.002),
        sink,
        segment=segment,
        times=times,
        overlap=overlap,
        warmup_frames=15,
        max_frames=20,
    ).run(on_progress=reports.append)
    assert sink.written == list(range(35))
    assert (summary.frames, summary.ended_by) == (20, "frames")
    assert times.percentiles("output").count == 20
    assert total_seconds(times, "infer") < 0.4
    assert (reports[-1].frames, reports[-1].frame_count) == (35, 35)


@OVERLAPS
def test_progress_is_reported(overlap: bool) -> None:
    reports: list[Progress] = []
    source = FakeSource(30, interval=0.02)
    summary = pipeline(source, FakeSink(), overlap=overlap).run(on_progress=reports.append)
    assert reports[0].frames == 0
    assert reports[0].seconds_left is None
    assert reports[-1].frames == reports[-1].frame_count == 30
    assert reports[-1].seconds_left == 0
    assert 4 <= len(reports) <= summary.seconds / 0.1 + 2, "at most ten a second"
    assert 10 < reports[-1].frames_per_second < 200


def test_a_pipeline_runs_once() -> None:
    work = pipeline(FakeSource(1), FakeSink())
    work.run()
    with pytest.raises(RuntimeError, match="run only once"):
        work.run()


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"width": 0}, "found 0x6"),
        ({"max_seconds": 0.0}, "max_seconds must be positive"),
        ({"max_seconds": float("nan")}, "max_seconds must be positive"),
        ({"max_frames": 0}, "max_frames must be 1 or more; found 0"),
        ({"warmup_frames": -1}, "warmup_frames must be 0 or more; found -1"),
    ],
)
def test_bad_limits_are_refused(option: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        pipeline(FakeSource(1), FakeSink(), **option)
