"""Live sources stay live: the age of every single frame when it is shown."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import pytest

from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.runtime.pipeline import Pipeline
from rtseg.sinks.memory import MemorySink
from rtseg.testing import FakeSource
from tests.support.simulated import SimulatedRun

INTERVAL = 1 / 30
INFERENCE = 0.2
ROUNDING = 1e-6


def check_counts(run: SimulatedRun, frames: int, dropped: int) -> None:
    """Check that every frame was shown, dropped and counted, or in progress at the end."""
    assert frames == len(run.shown)
    assert run.delivered - 4 <= frames + dropped <= run.delivered
    indexes = [shown.index for shown in run.shown]
    assert indexes == sorted(set(indexes))
    assert run.packets == run.sent_packets[: len(run.packets)], "sound is never dropped"
    assert len(run.sent_packets) - len(run.packets) <= 3 + INFERENCE / INTERVAL
    assert run.most_alive <= 6, "memory is flat"


def test_a_minute_with_a_slow_network_stays_recent(monkeypatch: pytest.MonkeyPatch) -> None:
    """30 pictures per second, 200 ms of inference: no frame is older than one and two intervals."""
    run = SimulatedRun(seconds=60, interval=INTERVAL, inference=INFERENCE)
    monkeypatch.setattr("rtseg.runtime.statistics.time", run.time_module)
    summary = run.run()
    promised = INFERENCE + 2 * INTERVAL
    assert max(shown.age for shown in run.shown) <= promised + ROUNDING
    assert summary.latency.p99 <= (promised + ROUNDING) * 1e3, "the summary says so, too"
    assert summary.latency.count == len(run.shown) == 60 / INFERENCE
    assert summary.dropped > 1490
    check_counts(run, summary.frames, summary.dropped)


@pytest.mark.parametrize("seed", range(4))
def test_an_uneven_camera_and_network_stay_recent(seed: int) -> None:
    jitter = 0.6
    run = SimulatedRun(seconds=15, interval=INTERVAL, inference=INFERENCE, jitter=jitter, seed=seed)
    summary = run.run()
    longest_interval = INTERVAL * (1 + jitter)
    for shown in run.shown:
        assert shown.age <= shown.inference + 2 * longest_interval + ROUNDING
    check_counts(run, summary.frames, summary.dropped)


@pytest.mark.parametrize(
    ("inference", "output", "inferences", "intervals"),
    [
        (0.2, 0.1, 1, 2),
        (0.01, 0.3, 1, 2),  # a slow output shows no old picture
        (0.0, 0.0, 1, 2),
        (0.2, 0.3, 2, 1),  # both are slow: a finished frame waits while the next is computed
    ],
)
def test_a_slow_output_stays_recent(
    inference: float, output: float, inferences: int, intervals: int
) -> None:
    run = SimulatedRun(seconds=10, interval=INTERVAL, inference=inference, output=output)
    summary = run.run()
    promised = inferences * inference + intervals * INTERVAL
    assert max(shown.age for shown in run.shown) <= promised + ROUNDING
    if not inference + output:
        assert summary.dropped == 0
    check_counts(run, summary.frames, summary.dropped)


# --- the same in real time ---


def live_source(*, seconds: float) -> FakeSource:
    """Delivers pictures by the clock, however slow the consumer."""
    return FakeSource(
        round(seconds / INTERVAL),
        width=640,
        height=360,
        time_base=Fraction(1, 1000),
        is_live=True,
        interval=INTERVAL,
        by_clock=True,
    )


class AgeSink(MemorySink):
    """Records the age of each shown frame, and keeps none."""

    def __init__(self) -> None:
        super().__init__(pictures=False)
        self.ages: dict[int, float] = {}

    def write(self, frame: Frame, segmentation: Segmentation, picture: object) -> None:
        self.ages[frame.index] = (time.monotonic_ns() - frame.captured_ns) / 1e9


@contextmanager
def lateness() -> Iterator[list[float]]:
    """The greatest delay in seconds with which this machine woke a thread during the block."""
    over, worst = threading.Event(), [0.0]

    def tick() -> None:
        while not over.is_set():
            begun = time.monotonic()
            time.sleep(0.01)
            worst[0] = max(worst[0], time.monotonic() - begun - 0.01)

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield worst
    finally:
        over.set()
        thread.join()


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_minute_in_real_time_stays_recent() -> None:
    inferences: dict[int, float] = {}

    def slow(frame: Frame) -> Segmentation:
        begun = time.monotonic()
        time.sleep(INFERENCE)
        inferences[frame.index] = time.monotonic() - begun
        return Segmentation(labels=frame.image[..., 0] * 0, label_set=HELEN)

    source, sink = live_source(seconds=60), AgeSink()
    pipeline = Pipeline(
        source=source, segment=slow, sink=sink, render=None, width=8, height=8, max_seconds=59.5
    )
    gc.collect()
    before = resident_mb()
    with lateness() as worst:
        summary = pipeline.run()
    assert resident_mb() - before < 20
    # The machine's own delays are measured as well: each of three threads, once.
    slack = 0.02 + 3 * worst[0]
    for index, age in sink.ages.items():
        assert age <= inferences[index] + 2 * INTERVAL + slack, (index, worst)
    assert slack < 1.0, f"{worst[0]:.2f} s late: too busy a machine to measure anything on"
    assert summary.dropped > 1200
    assert len(source.captured) - 4 <= summary.dropped + summary.frames <= 1800
