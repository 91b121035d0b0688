"""Runs of live sources, and what a window asks for while they go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from rtseg.frames import Frame, Packet, Segmentation
from rtseg.pending import PendingSegmentation
from rtseg.runtime.pipeline import POLL_SECONDS
from rtseg.sinks.base import Event
from rtseg.testing import FakeSource
from tests.support.pipelines import (
    OVERLAPS,
    FakeSink,
    pipeline,
    segmenter,
)

# How old a frame may be when it is shown: tests/reliability/test_latency.py, on a simulated clock.


def test_a_discontinuity_is_reported_even_if_its_frame_is_dropped() -> None:
    """After a reconnect a stream sends a burst: its first frame may give way to the next one."""
    begun, release = threading.Event(), threading.Event()
    segmented: list[tuple[int, bool]] = []

    class Cutting(FakeSource):
        def items(self) -> Iterator[Frame | Packet]:
            for index in range(6):
                if index == 1:
                    begun.wait(10)
                yield replace(self.frame(index, index), discontinuity=index in (1, 5))
                if index == 3:
                    release.set()
                    time.sleep(0.3)

    def segment(frame: Frame) -> Segmentation:
        segmented.append((frame.index, frame.discontinuity))
        begun.set()
        release.wait(10)
        return segmenter()(frame)

    sink = FakeSink()
    pipeline(Cutting(6, is_live=True), sink, segment=segment).run()
    # 1 and 2 gave way to 3, which says that 1 began anew; what follows it does not.
    assert segmented[:2] == [(0, False), (3, True)]
    assert dict(segmented).get(4, False) is False
    assert segmented[-1] == (5, True)
    assert all(frame.discontinuity == dict(segmented)[frame.index] for frame in sink.frames)


def test_a_fast_live_run_drops_nothing() -> None:
    sink = FakeSink()
    summary = pipeline(FakeSource(20, is_live=True, interval=1 / 30), sink).run()
    assert (len(sink.written) + summary.dropped, summary.frames) == (20, len(sink.written))
    assert summary.dropped <= 6, "only what a busy machine makes it drop"


def test_every_frame_of_a_live_run_is_written_or_counted_as_dropped() -> None:
    """Frames are replaced by newer ones before the network and after it."""
    sink = FakeSink(seconds=0.03)
    source = FakeSource(60, is_live=True, interval=0.004)
    summary = pipeline(source, sink, segment=segmenter(0.008)).run()
    assert summary.frames + summary.dropped == 60
    assert summary.frames == len(sink.written) < 40


def test_a_live_run_holds_a_handful_of_frames() -> None:
    source = FakeSource(None, is_live=True, interval=0.002)
    sink = FakeSink()
    sink.keep_frames = False
    held = []
    sink.faults["write"] = lambda: held.append(len(source.alive))
    pipeline(source, sink, segment=segmenter(0.05), max_seconds=1.0).run()
    assert source.delivered > 100
    assert max(held) <= 6, "memory must stay flat"


def test_frames_dropped_in_the_warm_up_do_not_count() -> None:
    slow_start = iter([0.5])
    source = FakeSource(40, is_live=True, interval=0.02)

    def segment(frame: Frame) -> Segmentation:
        return segmenter(next(slow_start, 0.0))(frame)

    summary = pipeline(source, FakeSink(), segment=segment, warmup_frames=2).run()
    assert source.delivered == 40
    assert summary.dropped < 15, "the first inference alone made it drop 24"


def test_frames_that_a_camera_dropped_itself_are_counted() -> None:
    source = FakeSource(20, is_live=True, interval=0.01, missing=(4, 5, 9))
    sink = FakeSink()
    summary = pipeline(source, sink).run()
    assert summary.frames + summary.dropped == 20


@OVERLAPS
@pytest.mark.parametrize("is_live", [True, False])
def test_quit_ends_the_run_normally(overlap: bool, is_live: bool) -> None:
    source = FakeSource(None, is_live=is_live, interval=0.01)
    sink = FakeSink(events={5: "quit"})
    summary = pipeline(source, sink, overlap=overlap).run()
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert summary.ended_by == "quit"


@OVERLAPS
def test_other_events_reach_the_caller_on_its_thread(overlap: bool) -> None:
    events: list[tuple[Event, threading.Thread]] = []
    sink = FakeSink(events={1: "snapshot", 2: "hud", 3: "next-view"})
    pipeline(FakeSource(10, interval=0.01), sink, overlap=overlap).run(
        on_event=lambda event: events.append((event, threading.current_thread()))
    )
    this_thread = threading.current_thread()
    assert events == [("snapshot", this_thread), ("hud", this_thread), ("next-view", this_thread)]


def test_events_without_a_listener_are_ignored() -> None:
    sink = FakeSink(events={1: "snapshot"})
    assert pipeline(FakeSource(3), sink).run().frames == 3


def test_the_window_is_polled_while_no_frame_arrives() -> None:
    source, sink = FakeSource(3, interval=0.3), FakeSink()
    polls_before: list[int] = []
    sink.faults["write"] = lambda: polls_before.append(len(sink.polls))
    pipeline(source, sink).run()
    assert min(np.diff([0, *polls_before])) > 4, "15 are possible"


@OVERLAPS
def test_the_window_is_served_once_a_frame_and_not_for_every_packet(overlap: bool) -> None:
    """Serving a window takes as long as writing a packet, of which there are hundreds a second."""

    class Loud(FakeSource):
        def items(self) -> Iterator[Frame | Packet]:
            for frame in super().items():
                for _ in range(200):
                    yield Packet(
                        stream_index=0, time_seconds=Fraction(0), size_bytes=1, payload=None
                    )
                yield frame

    sink = FakeSink()
    summary = pipeline(Loud(5), sink, overlap=overlap).run()
    assert 6 <= len(sink.polls) <= 5 + 2 + summary.seconds / POLL_SECONDS


@OVERLAPS
def test_a_paused_file_waits_and_loses_nothing(overlap: bool) -> None:
    source = FakeSource(30)
    sink = FakeSink(events={4: "pause", 14: "pause"})
    work = pipeline(source, sink, overlap=overlap)
    counts = []
    sink.faults["poll"] = lambda: counts.append(work.statistics.frames)
    work.run()
    assert len(set(counts[4:14])) == 1, "nothing is written while it is paused"
    assert sink.polls[13] - sink.polls[3] > 0.1, "and the pause takes its time"
    assert sink.written == list(range(30))


@OVERLAPS
def test_a_paused_camera_resumes_with_a_fresh_picture(overlap: bool) -> None:
    source = FakeSource(None, is_live=True, interval=1 / 50, packets=True)
    sink = FakeSink()
    poll = sink.poll
    begun: list[int] = []
    ended: list[int] = []

    def pause_for_twelve_pictures() -> tuple[Event, ...]:
        poll()
        wanted = 12 + begun[0] if begun else 4
        if ended or source.delivered < wanted:
            return ()
        (ended if begun else begun).append(source.delivered)
        return ("pause",)

    sink.poll = pause_for_twelve_pictures  # type: ignore[method-assign]
    summary = pipeline(source, sink, overlap=overlap, max_frames=15).run()
    shown_after = [index for index in sink.written if index >= begun[0]]
    assert shown_after[0] >= ended[0] - 3, "the pictures of the pause are not shown"
    assert summary.dropped < 10, "skipped by wish is not dropped"
    last = sink.log[-1]
    assert [line for line in sink.log if "packet" in line] == [
        line for line in source.log[: source.log.index(last)] if "packet" in line
    ], "sound goes on"


def test_only_the_first_frame_after_a_pause_is_a_discontinuity() -> None:
    """While nobody watches, frames are discarded before the network."""
    answers = iter([True, True, False, False, True, True])

    class SometimesWatched(FakeSink):
        @property  # type: ignore[override]
        def is_wanted(self) -> bool:
            return next(answers)

    sink = SometimesWatched()
    pipeline(FakeSource(6, is_live=True), sink, overlap=False).run()
    marks = [(frame.index, frame.discontinuity) for frame in sink.frames]
    assert marks == [(0, False), (1, False), (4, True), (5, False)]


def test_a_live_run_makes_no_labels_for_frames_that_it_drops() -> None:
    begun: list[int] = []
    finished: list[int] = []
    whole = segmenter()

    def begin(frame: Frame) -> PendingSegmentation:
        def finish() -> Segmentation:
            finished.append(frame.index)
            return whole(frame)

        begun.append(frame.index)
        return PendingSegmentation(finish=finish, size_bytes=1000)

    sink = FakeSink(seconds=0.02)
    pipeline(FakeSource(60, is_live=True, interval=0.002), sink, segment=begin).run()
    assert finished == sink.written
    assert len(finished) < len(begun)
