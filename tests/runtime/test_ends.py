"""How a run ends early: limits, a stop, a truncated input, Ctrl-C."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from rtseg.errors import TruncatedError
from rtseg.testing import FakeSource
from tests.support.pipelines import (
    DEADLINE_SECONDS,
    OVERLAPS,
    FakeSink,
    StuckSource,
    pipeline,
    rtseg_threads,
    segmenter,
)


@OVERLAPS
@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("reason", ["frames", "duration", "stop"])
def test_limits_end_a_run(overlap: bool, is_live: bool, reason: str) -> None:
    source = FakeSource(None, is_live=is_live, interval=0.01)
    sink = FakeSink()
    limits = {"frames": {"max_frames": 7}, "duration": {"max_seconds": 0.25}, "stop": {}}[reason]
    work = pipeline(source, sink, overlap=overlap, **limits)
    if reason == "stop":
        sink.faults["write"] = lambda: work.stop() if len(sink.written) == 4 else None
    summary = work.run()
    assert summary.ended_by == reason
    assert sink.calls == ["open fake 8x6", "close finished"]
    if reason == "frames":
        assert len(sink.written) == summary.frames == 7
    if reason == "duration":
        assert 0.25 <= summary.seconds < 0.25 + DEADLINE_SECONDS
    assert source.ended_on is source.reader, "a decoder is ended on the thread that ran it"


def test_a_duration_ends_a_run_without_frames() -> None:
    source = StuckSource(0, is_live=True)
    sink = FakeSink()
    start = time.monotonic()
    assert pipeline(source, sink, max_seconds=0.1).run().ended_by == "duration"
    assert time.monotonic() - start < 0.1 + DEADLINE_SECONDS


def test_stop_before_the_run_is_effective() -> None:
    sink = FakeSink()
    work = pipeline(FakeSource(None), sink)
    work.stop()
    assert work.run().ended_by == "stop"
    assert sink.calls == ["open fake 8x6", "close finished"]


@pytest.mark.parametrize("seed", range(12))
def test_stop_works_at_any_moment(seed: int) -> None:
    chance = random.Random(seed)
    is_live = chance.random() < 0.5
    source = FakeSource(None, is_live=is_live, interval=0.002 * is_live, packets=True)
    sink = FakeSink(seconds=chance.choice((0, 0.01)))
    work = pipeline(source, sink, segment=segmenter(chance.choice((0, 0.01))))
    timer = threading.Timer(chance.uniform(0, 0.06), work.stop)
    timer.start()
    summary = work.run()
    timer.join()
    assert summary.ended_by == "stop"
    assert sink.calls == ["open fake 8x6", "close finished"]
    if not source.info.is_live:
        assert sink.log == source.log[: len(sink.log)]


@OVERLAPS
def test_a_truncated_input_keeps_the_frames_before_its_end(overlap: bool) -> None:
    error = TruncatedError("fake: ends in the middle")
    source, sink = FakeSource(25, packets=True, end=error), FakeSink(seconds=0.005)
    work = pipeline(source, sink, overlap=overlap)
    with pytest.raises(TruncatedError) as caught:
        work.run()
    assert caught.value is error
    assert sink.log == source.log
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert work.summary is not None
    assert (work.summary.frames, work.summary.ended_by) == (25, "truncated")


@OVERLAPS
def test_a_truncation_after_the_limit_is_not_an_error(overlap: bool) -> None:
    source = FakeSource(8, end=TruncatedError("fake: ends in the middle"))
    summary = pipeline(source, FakeSink(), overlap=overlap, max_frames=8).run()
    assert (summary.frames, summary.ended_by) == (8, "frames")


def test_a_thread_interrupted_while_starting_is_joined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prolong the instant between a thread's creation and its first line."""
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if thread.name != "rtseg-capture":
            start(thread)
            return
        bootstrap = thread._bootstrap_inner  # type: ignore[attr-defined]

        def late() -> None:
            time.sleep(0.2)
            bootstrap()

        thread._bootstrap_inner = late  # type: ignore[attr-defined]
        monkeypatch.setattr(thread._started, "wait", _interrupt)  # type: ignore[attr-defined]
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pipeline(FakeSource(None), FakeSink()).run()
    assert rtseg_threads() == []


def _interrupt(_timeout: float | None = None) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def interrupt() -> Iterator[Callable[[float], None]]:
    """Send this process a Ctrl-C after some seconds."""
    timers = []
    # Background jobs of a shell ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def send_after(seconds: float) -> None:
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        timers.append(timer)

    yield send_after
    for timer in timers:
        timer.join()
    signal.signal(signal.SIGINT, before)


def interrupted_run(
    chance: random.Random, interrupt: Callable[[float], None], *, overlap: bool
) -> FakeSink:
    is_live = chance.random() < 0.5
    source = FakeSource(None, is_live=is_live, interval=0.002 * is_live, packets=True)
    sink = FakeSink(seconds=chance.choice((0, 0.004)))
    work = pipeline(source, sink, segment=segmenter(chance.choice((0, 0.004))), overlap=overlap)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        # From within the run, so that it cannot arrive before it.
        work.run(on_start=lambda: interrupt(chance.uniform(0.0, 0.06)))
    assert time.monotonic() - start < 0.06 + DEADLINE_SECONDS
    assert rtseg_threads() == []
    return sink


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself a Ctrl-C there")
@pytest.mark.parametrize(
    "seed", [*range(10), *(pytest.param(s, marks=pytest.mark.slow) for s in range(10, 200))]
)
def test_an_interrupt_closes_the_output(seed: int, interrupt: Callable[[float], None]) -> None:
    sink = interrupted_run(random.Random(seed), interrupt, overlap=seed % 3 != 0)
    assert sink.calls == ["open fake 8x6", "close failed"]


@pytest.mark.skipif(os.name == "nt", reason="a process cannot send itself a Ctrl-C there")
@pytest.mark.parametrize("overlap", [True, False])
def test_a_signal_handler_may_stop_a_run(overlap: bool, interrupt: Callable[[float], None]) -> None:
    sink = FakeSink()
    work = pipeline(FakeSource(None), sink, overlap=overlap)
    before = signal.signal(signal.SIGINT, lambda *_: work.stop())
    try:
        interrupt(0.05)
        assert work.run().ended_by == "stop"
    finally:
        signal.signal(signal.SIGINT, before)
    assert sink.calls == ["open fake 8x6", "close finished"]
