"""Percentiles, stage times and rates."""

from __future__ import annotations

import threading

import pytest

from rtseg.timing import KEPT_SAMPLES, Percentiles, RateMeter, StageTimes


def test_percentiles_are_in_milliseconds() -> None:
    percentiles = Percentiles.of([i / 1000 for i in range(101)])
    assert percentiles.count == 101
    assert (percentiles.mean, percentiles.p50) == (pytest.approx(50), pytest.approx(50))
    assert (percentiles.p95, percentiles.p99) == (pytest.approx(95), pytest.approx(99))


def test_no_samples_give_zeros() -> None:
    nothing = Percentiles(count=0, mean=0, p50=0, p95=0, p99=0)
    assert Percentiles.of([]) == nothing
    assert StageTimes().percentiles("infer") == nothing


def test_stages_come_in_the_order_of_the_pipeline() -> None:
    times = StageTimes()
    for stage in ("close", "output", "capture", "infer", "own"):
        times.add(stage, 1.0)
    assert times.stages == ("capture", "infer", "output", "close", "own")
    times.clear()
    assert times.stages == ()


def test_measure_records_even_if_the_block_raises() -> None:
    times = StageTimes()
    with pytest.raises(ZeroDivisionError), times.measure("infer"):
        1 / 0  # noqa: B018
    assert times.percentiles("infer").count == 1


def test_long_runs_have_an_exact_mean_and_close_percentiles() -> None:
    times = StageTimes()
    count = 5 * KEPT_SAMPLES
    for i in range(count):
        times.add("infer", i / count)  # rising: the newest alone would be wrong
    percentiles = times.percentiles("infer")
    assert percentiles.count == count
    assert percentiles.mean == pytest.approx(500 * (count - 1) / count)
    assert percentiles.p50 == pytest.approx(500, abs=25)
    assert percentiles.p95 == pytest.approx(950, abs=15)
    assert len(times._samples["infer"]._kept) == KEPT_SAMPLES, "memory must stay flat"


def test_several_threads_lose_no_sample() -> None:
    times = StageTimes()
    workers = [
        threading.Thread(target=lambda: [times.add("infer", 0.5) for _ in range(2000)])
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert times.percentiles("infer").count == 8000
    assert times.percentiles("infer").mean == 500


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_covers_the_window() -> None:
    clock = Clock()
    rate = RateMeter(2.0, clock=clock)
    for _ in range(10):
        clock.now += 0.5
        rate.tick()
    assert rate.per_second == pytest.approx(2.0)
    for _ in range(100):
        clock.now += 0.04
        rate.tick()
    assert rate.per_second == pytest.approx(25.0), "what lies before the window does not count"


def test_the_rate_falls_without_events() -> None:
    clock = Clock()
    rate = RateMeter(2.0, clock=clock)
    assert rate.per_second == 0
    for _ in range(10):
        clock.now += 0.1
        rate.tick()
    assert rate.per_second == pytest.approx(10)
    clock.now += 4
    assert rate.per_second == pytest.approx(1 / 4)
    clock.now += 996
    assert rate.per_second == pytest.approx(1 / 1000)


@pytest.mark.parametrize("seconds", [1.5, 2.5, 30.0])
def test_slow_events_have_a_rate(seconds: float) -> None:
    clock = Clock()
    rate = RateMeter(2.0, clock=clock)
    for _ in range(4):
        clock.now += seconds
        rate.tick()
        clock.now += 0.01
    assert rate.per_second == pytest.approx(1 / seconds, rel=0.02)


def test_the_rate_of_simultaneous_events_is_finite() -> None:
    rate = RateMeter(clock=Clock())
    rate.tick()
    rate.tick()
    assert rate.per_second == 0
