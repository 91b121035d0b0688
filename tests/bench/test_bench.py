"""`rtseg bench` reports what its run measured, and the times of the stages add up."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from rtseg.bench.pipeline import BenchReport, Engine, Segment, measure, run_bench
from rtseg.errors import SettingError, SourceError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.runtime.pipeline import RunSummary
from rtseg.settings import BenchSettings, ModelSettings, ViewSettings
from rtseg.sinks.memory import MemorySink
from rtseg.system.machine import this_machine
from rtseg.testing import FakeSource
from rtseg.timing import STAGES, Percentiles, StageTimes

MILLISECONDS = {
    "capture": 6.0,
    "prepare": 2.0,
    "infer": 9.0,
    "finish": 1.0,
    "output": 4.0,
}


def pause(stage: str) -> None:
    time.sleep(MILLISECONDS[stage] / 1e3)


class SleepySink(MemorySink):
    def write(self, *item: Any) -> None:
        pause("output")
        super().write(*item)


def sleepy_segmenter(times: StageTimes) -> Segment:
    def segment(frame: Frame) -> Segmentation:
        for stage in ("prepare", "infer", "finish"):
            with times.measure(stage):
                pause(stage)
        return Segmentation(labels=np.zeros((frame.height, frame.width), np.uint8), label_set=HELEN)

    return segment


def sleepy_report(settings: BenchSettings, *, count: int = 100) -> BenchReport:
    times = StageTimes()
    summary = measure(
        settings,
        source=FakeSource(count, width=32, height=24, before=lambda: pause("capture")),
        segment=sleepy_segmenter(times),
        sink=SleepySink(),
        view=ViewSettings(),
        times=times,
    )
    return BenchReport(
        settings=settings,
        source="sleepy",
        width=32,
        height=24,
        engine=Engine(model="sleepy", backend="none", device="-", precision="-"),
        threads=1,
        summary=summary,
        machine=this_machine(),
    )


def printed(report: BenchReport) -> str:
    console = Console(width=120)
    with console.capture() as capture:
        console.print(report.table())
    return capture.get()


def test_serial_stages_add_up() -> None:
    report = sleepy_report(BenchSettings(frames=30, warmup=5, overlap=False))
    for stage, milliseconds in MILLISECONDS.items():
        times = report.summary.stages[stage]
        assert times.count == 30, "the warm-up does not count"
        assert times.p50 >= milliseconds
    assert report.summary.frames == 30
    assert report.stages_ms == pytest.approx(report.frame_ms, rel=0.1)
    assert report.agrees is True
    assert report.frame_ms == pytest.approx(1e3 / report.summary.frames_per_second)
    assert "they agree" in printed(report)


def test_overlapping_stages_are_not_expected_to_add_up() -> None:
    report = sleepy_report(BenchSettings(frames=30, warmup=5))
    assert report.agrees is None
    assert report.stages_ms > report.frame_ms
    assert report.summary.frames == 30


def test_an_inconsistent_table_has_a_warning() -> None:
    report = sleepy_report(BenchSettings(frames=3, warmup=0, overlap=False))
    slower = dataclasses.replace(report.summary, seconds=report.summary.seconds * 1.3)
    report = dataclasses.replace(report, summary=slower)
    assert report.agrees is False
    assert "DISAGREE" in printed(report)


def test_table_and_json_show_the_same_figures() -> None:
    stage = Percentiles(count=40, mean=2.5, p50=2.25, p95=3.75, p99=4.125)
    summary = RunSummary(
        frames=40,
        dropped=3,
        corrupt=0,
        seconds=0.8,
        frames_per_second=50.0,
        first_frame_seconds=0.1,
        latency=Percentiles(count=40, mean=31.5, p50=30.25, p95=41.75, p99=44.5),
        stages={"infer": stage, "close": Percentiles(count=1, mean=12, p50=12, p95=12, p99=12)},
        ended_by="frames",
    )
    report = BenchReport(
        settings=BenchSettings(output="encode", overlap=False),
        source="talk.mp4",
        width=640,
        height=480,
        engine=Engine(model="face-parts", backend="torch", device="cpu", precision="bf16"),
        threads=2,
        summary=summary,
        machine=this_machine(),
    )
    assert report.frame_ms == pytest.approx(20)
    assert report.stages_ms == pytest.approx(2.5 + 12 / 40)
    text = printed(report)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["infer"] == ["2.25", "3.75", "4.12", "2.50"]
    assert rows["latency"] == ["30.25", "41.75", "44.50", "31.50"]
    assert rows["capture"] == ["-"] * 4
    assert [line for line in rows if line in STAGES] == list(STAGES)
    assert "50.0 FPS end to end: 40 frames in 0.80 s, 3 dropped" in text
    assert "finishing the file took 12 ms" in text
    for fact in ("talk.mp4, 640x480", "torch bf16 on cpu", "2 threads", this_machine().processor):
        assert fact in text
    data = json.loads(json.dumps(report.to_json()))
    assert data["stages_ms"]["infer"] == {
        "count": 40, "mean": 2.5, "p50": 2.25, "p95": 3.75, "p99": 4.125
    }  # fmt: skip
    assert data["frames_per_second"] == 50
    assert data["dropped"] == 3
    assert data["machine"]["versions"]["rtseg"]
    assert data["stages_agree"] is False


def test_an_input_shorter_than_the_warm_up_is_refused() -> None:
    with pytest.raises(SourceError, match="before the warm-up of 20 frames"):
        sleepy_report(BenchSettings(warmup=20), count=10)


def test_a_short_input_is_measured_as_far_as_it_goes() -> None:
    assert sleepy_report(BenchSettings(warmup=3), count=10).summary.frames == 7


@pytest.mark.parametrize("resolution", ["1280", "1280x", "x720", "-1x720", "8x8", "99999x720", ""])
def test_bad_resolutions_are_refused(resolution: str) -> None:
    with pytest.raises(SettingError, match="`resolution`"):
        BenchSettings(resolution=resolution)


def test_a_resolution_is_parsed() -> None:
    assert BenchSettings(resolution="1920X1080").size == (1920, 1080)


@pytest.mark.parametrize("overlap", [True, False])
def test_decoding_and_encoding_can_be_measured_alone(overlap: bool) -> None:
    settings = BenchSettings(
        resolution="320x240", frames=12, warmup=2, output="encode", overlap=overlap
    )
    report = run_bench(settings, model=ModelSettings(model="null", threads=1))
    assert report.summary.frames == 12
    assert {"capture", "render", "output"} <= set(report.summary.stages)
    assert (report.width, report.height, report.threads) == (320, 240, 1)


def test_a_real_benchmark_runs() -> None:
    settings = BenchSettings(resolution="320x240", frames=8, warmup=2, overlap=False)
    report = run_bench(settings, model=ModelSettings(threads=1))
    assert {stage: times.count for stage, times in report.summary.stages.items()} == {
        **dict.fromkeys(STAGES, 8),
        "close": 1,
    }
    assert report.stages_ms == pytest.approx(report.frame_ms, rel=0.1)
    assert report.engine.backend
    assert report.to_json()["engine"]["precision"]
