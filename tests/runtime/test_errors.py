"""Errors: the first one wins, all threads are woken and joined, everything is closed."""

from __future__ import annotations

import gc
import inspect
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal

import pytest

from rtseg.errors import SinkError, SourceError
from rtseg.frames import Frame, Packet
from rtseg.testing import FakeSource, nothing
from tests.support.pipelines import (
    DEADLINE_SECONDS,
    OVERLAPS,
    FakeSink,
    Fault,
    StuckSource,
    pipeline,
    renderer,
    rtseg_threads,
    segmenter,
)

Place = Literal["capture", "segment", "render", "write"]


def run_into(
    place: Place, fault: Fault, *, slow: str = "none", is_live: bool = False, overlap: bool = True
) -> FakeSink:
    """Provoke a fault; check that it is raised unchanged, in time, with everything closed."""

    def at(name: str) -> Callable[[], None]:
        return fault if place == name else nothing

    pauses = {slow: 0.015}
    source = FakeSource(
        None,
        is_live=is_live,
        interval=pauses.get("capture", 0.002 if is_live else 0.0),
        packets=True,
        before=at("capture"),
    )
    sink = FakeSink(seconds=pauses.get("write", 0.0), faults={"write": at("write")})
    work = pipeline(
        source,
        sink,
        segment=segmenter(pauses.get("segment", 0.0), at("segment")),
        render=renderer(fault=at("render")),
        overlap=overlap,
    )
    with pytest.raises(type(fault.error)) as caught:
        work.run()
    assert time.monotonic() - fault.raised_at < DEADLINE_SECONDS
    assert caught.value is fault.error
    assert caught.traceback[-1].name == "__call__", "the traceback leads to where it was raised"
    assert sink.calls == ["open fake 8x6", "close failed"]
    assert rtseg_threads() == []
    assert work.summary is not None
    assert work.summary.ended_by == "error"
    return sink


@pytest.mark.parametrize("place", ["capture", "segment", "render", "write"])
@pytest.mark.parametrize("at", [0, 1, 9])
@pytest.mark.parametrize("slow", ["none", "capture", "segment", "write"])
def test_the_first_error_ends_a_file(place: Place, at: int, slow: str) -> None:
    sink = run_into(place, Fault(ValueError("injected"), at=at), slow=slow)
    assert sink.written == list(range(len(sink.written)))
    assert len(sink.written) <= at


@pytest.mark.parametrize("place", ["capture", "segment", "render", "write"])
@pytest.mark.parametrize("slow", ["none", "capture", "write"])
def test_the_first_error_ends_a_live_run(place: Place, slow: str) -> None:
    run_into(place, Fault(SourceError("injected"), at=5), slow=slow, is_live=True)


@pytest.mark.parametrize("place", ["capture", "segment", "render", "write"])
@pytest.mark.parametrize("at", [0, 9])
def test_the_first_error_ends_a_serial_run(place: Place, at: int) -> None:
    sink = run_into(place, Fault(KeyError("injected"), at=at), overlap=False)
    assert len(sink.written) == at


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), MemoryError()])
@pytest.mark.parametrize("place", ["segment", "write"])
def test_any_exception_is_re_raised(place: Place, error: BaseException) -> None:
    run_into(place, Fault(error, at=2))


@OVERLAPS
@pytest.mark.parametrize("place", ["copy", "poll", "on_start", "on_progress", "on_event"])
def test_errors_from_callbacks_and_other_calls_end_the_run(place: str, overlap: bool) -> None:
    fault = Fault(SinkError("injected"), at=0)
    sink = FakeSink(faults={place: fault}, events={1: "hud"})
    callbacks = {place: lambda *_: fault()} if place.startswith("on_") else {}
    with pytest.raises(SinkError) as caught:
        pipeline(FakeSource(None, packets=True), sink, overlap=overlap).run(**callbacks)
    assert caught.value is fault.error
    assert sink.calls == ["open fake 8x6", "close failed"]


@OVERLAPS
def test_an_output_that_cannot_be_opened_ends_the_run(overlap: bool) -> None:
    fault = Fault(SinkError("no such folder"), at=0)
    source, sink = FakeSource(5), FakeSink(faults={"open": fault})
    started: list[str] = []
    with pytest.raises(SinkError) as caught:
        pipeline(source, sink, overlap=overlap).run(on_start=lambda: started.append("started"))
    assert caught.value is fault.error
    assert sink.calls == ["open fake 8x6", "close failed"]
    assert started == []
    assert source.reader is None, "nothing was read"


@OVERLAPS
def test_an_output_that_cannot_be_finished_raises(overlap: bool) -> None:
    fault = Fault(SinkError("disk full"), at=0)
    sink = FakeSink(faults={"close": fault})
    work = pipeline(FakeSource(5), sink, overlap=overlap)
    with pytest.raises(SinkError) as caught:
        work.run()
    assert caught.value is fault.error
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert work.summary is not None
    assert work.summary.ended_by == "error"


def test_an_error_while_closing_does_not_hide_the_first_error() -> None:
    first = ValueError("first")
    sink = FakeSink(faults={"close": Fault(OSError("second"), at=0), "write": Fault(first, at=1)})
    with pytest.raises(ValueError, match="first") as caught:
        pipeline(FakeSource(5), sink).run()
    assert caught.value is first
    assert caught.value.__notes__ == ["while the run ended, also: OSError: second"]
    assert caught.value.__context__ is None


def test_an_error_does_not_wait_for_queued_frames() -> None:
    """Four frames of 0.7 s are queued before the error: they must not be segmented first."""
    fault = Fault(SourceError("injected"), at=5)
    with pytest.raises(SourceError):
        pipeline(FakeSource(None, before=fault), FakeSink(), segment=segmenter(0.7)).run()
    assert time.monotonic() - fault.raised_at < DEADLINE_SECONDS


@OVERLAPS
@pytest.mark.parametrize("end", ["stop", "error"])
def test_a_decoder_is_closed_even_if_the_source_keeps_it(overlap: bool, end: str) -> None:
    class KeepingSource(FakeSource):
        def __iter__(self) -> Iterator[Frame | Packet]:
            self.kept = super().__iter__()
            return self.kept

    source, sink = KeepingSource(None), FakeSink()
    work = pipeline(source, sink, overlap=overlap)
    sink.faults["write"] = work.stop if end == "stop" else Fault(ValueError("injected"), at=0)
    with suppress(ValueError):
        work.run()
    assert inspect.getgeneratorstate(source.kept) == inspect.GEN_CLOSED  # type: ignore[arg-type]
    assert source.ended_on is source.reader


@pytest.mark.parametrize("place", ["segment", "write"])
def test_closing_the_source_releases_a_stuck_read(place: Place) -> None:
    fault = Fault(ValueError("injected"), at=1)
    source = StuckSource(2)
    sink = FakeSink(faults={"write": fault if place == "write" else nothing})
    segment = segmenter(fault=fault if place == "segment" else nothing)
    with pytest.raises(ValueError, match="injected"):
        pipeline(source, sink, segment=segment).run()
    assert time.monotonic() - fault.raised_at < DEADLINE_SECONDS
    assert source.closed.is_set()
    assert sink.calls[-1] == "close failed"


def test_an_error_caused_by_closing_the_source_is_ignored() -> None:
    source, sink = StuckSource(3), FakeSink()
    work = pipeline(source, sink)
    sink.faults["poll"] = lambda: work.stop() if len(sink.written) == 3 else None
    assert work.run().ended_by == "stop"
    assert source.closed.is_set()
    assert sink.calls[-1] == "close finished"


def test_a_read_that_cannot_be_released_is_abandoned_with_a_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault = Fault(ValueError("injected"), at=0)
    source = StuckSource(1, obeys_close=False)
    with caplog.at_level(logging.WARNING, "rtseg"), pytest.raises(ValueError, match="injected"):
        pipeline(source, FakeSink(faults={"write": fault})).run()
    assert time.monotonic() - fault.raised_at < DEADLINE_SECONDS
    assert "rtseg-capture is stuck" in caplog.text
    source.released.set()
    with suppress(AttributeError):
        source.reader.join(5)  # type: ignore[union-attr]


@pytest.mark.parametrize("place", ["capture", "segment", "write"])
def test_a_handled_error_keeps_no_frame_in_memory(place: Place) -> None:
    count = itertools.count()

    def fail() -> None:
        if next(count) == 4:
            raise ValueError("injected")

    source = FakeSource(None, before=fail if place == "capture" else nothing)
    sink = FakeSink()
    sink.keep_frames = False
    sink.faults["write"] = fail if place == "write" else nothing
    segment = segmenter(fault=fail if place == "segment" else nothing)
    work = pipeline(source, sink, segment=segment)
    gc.collect()
    gc.disable()
    try:
        with suppress(ValueError):
            work.run()
        del work
        assert len(source.alive) == 0, "no cycle may keep images until the next collection"
    finally:
        gc.enable()
