"""What a run delivers: every frame in order, on which thread, rendered or not."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest

from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.pending import PendingSegmentation
from rtseg.sinks.base import Event
from rtseg.testing import FakeSource
from tests.support.pipelines import (
    OVERLAPS,
    FakeSink,
    Fault,
    pipeline,
    renderer,
    rtseg_threads,
    segmenter,
)


@OVERLAPS
@pytest.mark.parametrize("slow", ["capture", "segment", "render", "write", "none"])
def test_a_file_loses_nothing_whatever_is_slow(overlap: bool, slow: str) -> None:
    pause = {slow: 0.008}
    source = FakeSource(40, packets=True, interval=pause.get("capture", 0.0))
    sink = FakeSink(seconds=pause.get("write", 0.0))
    summary = pipeline(
        source,
        sink,
        segment=segmenter(pause.get("segment", 0.0)),
        render=renderer(pause.get("render", 0.0)),
        overlap=overlap,
    ).run()
    assert sink.log == source.log, "every frame and packet, in the source's order"
    assert sink.written == list(range(40))
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert (summary.frames, summary.dropped, summary.ended_by) == (40, 0, "end")
    assert not source.closed.is_set(), "the source belongs to the caller"


def test_overlap_changes_no_result() -> None:
    sinks = []
    for overlap in (True, False):
        sinks.append(FakeSink())
        pipeline(FakeSource(60, packets=True), sinks[-1], overlap=overlap).run()
    threaded, serial = sinks
    assert threaded.log == serial.log
    assert threaded.labels == serial.labels
    for index, (one, other) in enumerate(zip(threaded.pictures, serial.pictures, strict=True)):
        assert one is not None
        assert other is not None
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one[0, 0], index + index % len(HELEN))
    assert [frame.pts for frame in threaded.frames] == [frame.pts for frame in serial.frames]


def test_capture_and_inference_have_threads_and_the_sink_uses_the_callers() -> None:
    source, sink = FakeSource(5), FakeSink()
    segmented_on = set()

    def segment(frame: Frame) -> Segmentation:
        segmented_on.add(threading.current_thread().name)
        return segmenter()(frame)

    pipeline(source, sink, segment=segment).run()
    assert sink.threads == {threading.current_thread()}
    assert segmented_on == {"rtseg-infer"}
    assert source.reader is not None
    assert source.reader.name == "rtseg-capture"


def test_stages_overlap_in_time() -> None:
    """While one frame is written, a later one is segmented and a still later one is read."""
    together = threading.Barrier(3)  # breaks unless all three stages wait at the same time

    source = FakeSource(20, before=lambda: _meet_after(together, source.delivered, 4))
    counter = itertools.count()
    shown = itertools.count()
    pipeline(
        source,
        FakeSink(faults={"write": lambda: _meet_after(together, next(shown), 0)}),
        segment=segmenter(fault=lambda: _meet_after(together, next(counter), 2)),
    ).run()
    assert not together.broken


def _meet_after(barrier: threading.Barrier, count: int, wanted: int) -> None:
    if count == wanted:
        barrier.wait(10)


@OVERLAPS
def test_a_source_without_frames_ends_normally(overlap: bool) -> None:
    sink = FakeSink()
    summary = pipeline(FakeSource(0), sink, overlap=overlap).run()
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert (summary.frames, summary.frames_per_second, summary.ended_by) == (0, 0, "end")


@OVERLAPS
def test_nothing_is_rendered_if_no_sink_wants_pixels(overlap: bool) -> None:
    sink = FakeSink(wants_pixels=False)
    fault = Fault(AssertionError("rendered"), at=0)
    summary = pipeline(FakeSource(3), sink, render=renderer(fault=fault), overlap=overlap).run()
    assert sink.pictures == [None] * 3
    assert "render" not in summary.stages
    sink = FakeSink()
    pipeline(FakeSource(3), sink, render=None, overlap=overlap).run()
    assert sink.pictures == [None] * 3


def test_a_sink_may_start_wanting_pixels_later() -> None:
    """A recording that starts in the middle is added to the sinks of a run."""
    sink = FakeSink(wants_pixels=False)

    def want(_event: Event) -> None:
        sink.wants_pixels = True

    sink.events = {3: "record"}
    pipeline(FakeSource(30), sink, overlap=False).run(on_event=want)
    assert sink.pictures[0] is None
    assert sink.pictures[-1] is not None


@OVERLAPS
def test_the_output_is_open_before_the_run_is_reported_as_started(overlap: bool) -> None:
    source, sink = FakeSource(3), FakeSink()
    states = []

    def on_start() -> None:
        states.append((list(sink.calls), source.reader, rtseg_threads()))

    pipeline(source, sink, overlap=overlap).run(on_start=on_start)
    assert states == [(["open fake 8x6"], None, [])]


@OVERLAPS
def test_what_the_segmenter_leaves_is_finished_in_order_on_the_calling_thread(
    overlap: bool,
) -> None:
    whole = segmenter()
    finished: list[tuple[int, str]] = []

    def begin(frame: Frame) -> PendingSegmentation:
        def finish() -> Segmentation:
            finished.append((frame.index, threading.current_thread().name))
            return whole(frame)

        return PendingSegmentation(finish=finish, size_bytes=1000)

    sink = FakeSink()
    pipeline(FakeSource(20), sink, segment=begin, overlap=overlap).run()
    here = threading.current_thread().name
    assert finished == [(index, here) for index in range(20)]
    assert sink.written == list(range(20))


@OVERLAPS
def test_a_failure_while_finishing_ends_the_run(overlap: bool) -> None:
    def begin(frame: Frame) -> PendingSegmentation:
        def finish() -> Segmentation:
            if frame.index == 3:
                raise ArithmeticError("no labels")
            return segmenter()(frame)

        return PendingSegmentation(finish=finish, size_bytes=1000)

    sink = FakeSink()
    with pytest.raises(ArithmeticError, match="no labels"):
        pipeline(FakeSource(20), sink, segment=begin, overlap=overlap).run()
    assert sink.written == [0, 1, 2]
    assert not rtseg_threads()
