"""A run from source to sink: what it delivers, how it ends, and that nothing is left behind."""

from __future__ import annotations

import gc
import inspect
import itertools
import logging
import os
import random
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest

from rtseg.errors import SettingError, SinkError, SourceError, TruncatedError
from rtseg.frames import Frame, Packet, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.runtime.pipeline import Pipeline, Progress
from rtseg.sinks.base import Event, Outcome, Picture, Sink
from rtseg.sources.base import Source
from rtseg.timing import StageTimes

WIDTH, HEIGHT = 8, 6
DEADLINE_SECONDS = 2.0
OVERLAPS = pytest.mark.parametrize("overlap", [True, False], ids=["overlap", "serial"])


# --- a source, a segmenter and a sink that do, slow down and fail as they are told ---


class Fault:
    """Raises its error when it is reached for the `at`-th time, and remembers when."""

    def __init__(self, error: BaseException, *, at: int) -> None:
        self.error = error
        self.at = at
        self.raised_at = 0.0
        self._seen = itertools.count()

    def __call__(self) -> None:
        if next(self._seen) == self.at:
            self.raised_at = time.monotonic()
            raise self.error


def nothing() -> None:
    """No fault."""


class FakeSource(Source):
    """Delivers `count` frames, `interval` seconds apart; two packets before every third one."""

    def __init__(
        self,
        count: int | None,
        *,
        is_live: bool = False,
        interval: float = 0.0,
        packets: bool = False,
        fault: Callable[[], None] = nothing,
        end: BaseException | None = None,
        corrupt: tuple[int, ...] = (),
        missing: tuple[int, ...] = (),
    ) -> None:
        self.info = SourceInfo(
            name="fake",
            width=WIDTH,
            height=HEIGHT,
            time_base=Fraction(1, 25),
            is_live=is_live,
            frame_count=count,
        )
        self.count = count
        self.interval = interval
        self.packets = packets
        self.fault = fault
        self.end = end
        self.corrupt = corrupt
        self.missing = missing
        self.closed = threading.Event()
        self.delivered = 0
        self.log: list[str] = []
        self.alive: weakref.WeakSet[Frame] = weakref.WeakSet()
        self.reader: threading.Thread | None = None
        self.ended_on: threading.Thread | None = None

    def __iter__(self) -> Iterator[Frame | Packet]:
        self.reader = threading.current_thread()
        try:
            yield from self._items()
        finally:
            self.ended_on = threading.current_thread()
        if self.end is not None:
            raise self.end

    def _items(self) -> Iterator[Frame | Packet]:
        for index in itertools.count() if self.count is None else range(self.count):
            self.fault()
            if self.interval:
                # From the last one, not by the clock: a busy machine must cause no bursts.
                time.sleep(self.interval)
            if index in self.missing:
                continue
            if self.packets and index % 3 == 0:
                yield from (self._packet(index, place) for place in range(2))
            yield self._frame(index)

    def _packet(self, index: int, place: int) -> Packet:
        packet = Packet(
            stream_index=1,
            time_seconds=Fraction(index, 25),
            size_bytes=1 << 10,
            payload=f"packet {index}.{place}",
        )
        self.log.append(str(packet.payload))
        return packet

    def _frame(self, index: int) -> Frame:
        frame = Frame(
            image=np.full((HEIGHT, WIDTH, 3), index % 251, np.uint8),
            index=index,
            pts=2 * index,
            time_base=Fraction(1, 25),
            captured_ns=time.monotonic_ns(),
            is_corrupt=index in self.corrupt,
        )
        self.log.append(f"frame {index}")
        self.alive.add(frame)
        self.delivered += 1
        return frame

    def close(self) -> None:
        self.closed.set()


class StuckSource(FakeSource):
    """Delivers `count` frames, then waits in a read until it is closed (or `released`)."""

    def __init__(self, count: int, *, obeys_close: bool = True, **options: Any) -> None:
        super().__init__(count, **options)
        self.obeys_close = obeys_close
        self.released = threading.Event()

    def _items(self) -> Iterator[Frame | Packet]:
        yield from super()._items()
        (self.closed if self.obeys_close else self.released).wait(60)
        raise SourceError("closed under a read")


class FakeSink(Sink):
    """Logs what it gets."""

    def __init__(
        self,
        *,
        seconds: float = 0.0,
        faults: dict[str, Callable[[], None]] | None = None,
        events: dict[int, Event] | None = None,
        wants_pixels: bool = True,
    ) -> None:
        self.seconds = seconds
        self.faults = faults or {}
        self.events = events or {}
        self.wants_pixels = wants_pixels
        self.log: list[str] = []
        self.frames: list[Frame] = []
        self.labels: list[bytes] = []
        self.pictures: list[Picture | None] = []
        self.ages: list[float] = []
        self.calls: list[str] = []
        self.polls: list[float] = []
        self.threads: set[threading.Thread] = set()
        self.keep_frames = True

    def _enter(self, name: str) -> None:
        self.threads.add(threading.current_thread())
        self.faults.get(name, nothing)()

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        self.calls.append(f"open {info.name} {width}x{height}")
        self.open_threads = rtseg_threads()
        self._enter("open")

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        self.ages.append((time.monotonic_ns() - frame.captured_ns) / 1e9)
        self._enter("write")
        if self.seconds:
            time.sleep(self.seconds)
        self.log.append(f"frame {frame.index}")
        if self.keep_frames:
            self.frames.append(frame)
        self.labels.append(segmentation.labels.tobytes())
        self.pictures.append(picture)

    def copy(self, packet: Packet) -> None:
        self._enter("copy")
        self.log.append(str(packet.payload))

    def poll(self) -> tuple[Event, ...]:
        self.polls.append(time.monotonic())
        self._enter("poll")
        event = self.events.get(len(self.polls))
        return () if event is None else (event,)

    def close(self, outcome: Outcome) -> None:
        self.calls.append(f"close {outcome}")
        self._enter("close")

    @property
    def written(self) -> list[int]:
        return [int(line.split()[1]) for line in self.log if line.startswith("frame")]


def segmenter(
    seconds: float = 0.0, fault: Callable[[], None] = nothing
) -> Callable[[Frame], Segmentation]:
    def segment(frame: Frame) -> Segmentation:
        fault()
        if seconds:
            time.sleep(seconds)
        labels = np.full((frame.height, frame.width), frame.index % len(HELEN), np.uint8)
        return Segmentation(labels=labels, label_set=HELEN)

    return segment


def renderer(
    seconds: float = 0.0, fault: Callable[[], None] = nothing
) -> Callable[[Frame, Segmentation], Picture]:
    def render(frame: Frame, segmentation: Segmentation) -> Picture:
        fault()
        if seconds:
            time.sleep(seconds)
        return frame.image + segmentation.labels[..., None]

    return render


def pipeline(source: Source, sink: Sink, **options: Any) -> Pipeline:
    return Pipeline(
        **{
            "source": source,
            "sink": sink,
            "segment": segmenter(),
            "render": renderer(),
            "width": WIDTH,
            "height": HEIGHT,
            **options,
        }
    )


def rtseg_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rtseg-")]


@pytest.fixture(autouse=True)
def _leave_no_thread_behind() -> Iterator[None]:
    before = threading.enumerate()
    yield
    assert threading.enumerate() == before


# --- what a run delivers ---


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


def test_capture_and_inference_have_threads_and_the_sink_has_the_callers() -> None:
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

    source = FakeSource(20, fault=lambda: _meet_after(together, source.delivered, 4))
    seen = itertools.count()
    shown = itertools.count()
    pipeline(
        source,
        FakeSink(faults={"write": lambda: _meet_after(together, next(shown), 0)}),
        segment=segmenter(fault=lambda: _meet_after(together, next(seen), 2)),
    ).run()
    assert not together.broken


def _meet_after(barrier: threading.Barrier, count: int, wanted: int) -> None:
    if count == wanted:
        barrier.wait(10)


@OVERLAPS
def test_no_frames_at_all(overlap: bool) -> None:
    sink = FakeSink()
    summary = pipeline(FakeSource(0), sink, overlap=overlap).run()
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert (summary.frames, summary.frames_per_second, summary.ended_by) == (0, 0, "end")


@OVERLAPS
def test_nothing_is_rendered_where_nobody_looks(overlap: bool) -> None:
    sink = FakeSink(wants_pixels=False)
    fault = Fault(AssertionError("rendered"), at=0)
    summary = pipeline(FakeSource(3), sink, render=renderer(fault=fault), overlap=overlap).run()
    assert sink.pictures == [None] * 3
    assert "render" not in summary.stages
    sink = FakeSink()
    pipeline(FakeSource(3), sink, render=None, overlap=overlap).run()
    assert sink.pictures == [None] * 3


def test_a_sink_may_want_pixels_later() -> None:
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
    seen = []

    def on_start() -> None:
        seen.append((list(sink.calls), source.reader, rtseg_threads()))

    pipeline(source, sink, overlap=overlap).run(on_start=on_start)
    assert seen == [(["open fake 8x6"], None, [])]


# --- how it counts ---


@OVERLAPS
def test_summary(overlap: bool) -> None:
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
    assert {stage: found.count for stage, found in summary.stages.items()} == {
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
    total = sum(times.total_seconds(stage) for stage in times.stages)
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


def test_waiting_for_a_neighbour_counts_to_no_stage() -> None:
    times = StageTimes()
    pipeline(FakeSource(14), FakeSink(), segment=segmenter(0.05), times=times).run()
    assert times.total_seconds("capture") < 0.35  # of 0.7 s that they waited
    assert times.total_seconds("output") < 0.35


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
    assert times.total_seconds("infer") < 0.4
    assert (reports[-1].frames, reports[-1].frame_count) == (35, 35)


@OVERLAPS
def test_progress(overlap: bool) -> None:
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
    with pytest.raises(RuntimeError, match="runs once"):
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


# --- live sources ---


# How old a frame may be when it is shown: tests/reliability/test_latency.py, on a simulated clock.


def test_a_cut_is_said_even_where_the_frame_that_says_it_is_dropped() -> None:
    """After a reconnect a stream sends a burst: its first frame may give way to the next one."""
    begun, release = threading.Event(), threading.Event()
    seen: list[tuple[int, bool]] = []

    class Cutting(FakeSource):
        def _items(self) -> Iterator[Frame | Packet]:
            for index in range(6):
                if index == 1:
                    begun.wait(10)
                yield replace(self._frame(index), discontinuity=index in (1, 5))
                if index == 3:
                    release.set()
                    time.sleep(0.3)

    def segment(frame: Frame) -> Segmentation:
        seen.append((frame.index, frame.discontinuity))
        begun.set()
        release.wait(10)
        return segmenter()(frame)

    sink = FakeSink()
    pipeline(Cutting(6, is_live=True), sink, segment=segment).run()
    # 1 and 2 gave way to 3, which says that 1 began anew; what follows it does not.
    assert seen[:2] == [(0, False), (3, True)]
    assert dict(seen).get(4, False) is False
    assert seen[-1] == (5, True)
    assert all(frame.discontinuity == dict(seen)[frame.index] for frame in sink.frames)


def test_a_fast_live_run_drops_nothing() -> None:
    sink = FakeSink()
    summary = pipeline(FakeSource(20, is_live=True, interval=1 / 30), sink).run()
    assert (len(sink.written) + summary.dropped, summary.frames) == (20, len(sink.written))
    assert summary.dropped <= 6, "only what a busy machine makes it drop"


def test_a_live_run_holds_a_handful_of_frames() -> None:
    source = FakeSource(None, is_live=True, interval=0.002)
    sink = FakeSink()
    sink.keep_frames = False
    held = []
    sink.faults["write"] = lambda: held.append(len(source.alive))
    pipeline(source, sink, segment=segmenter(0.05), max_seconds=1.0).run()
    assert source.delivered > 100
    assert max(held) <= 6, "memory must stay flat"


def test_what_a_warm_up_drops_does_not_count() -> None:
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


# --- events and pauses ---


@OVERLAPS
@pytest.mark.parametrize("is_live", [True, False])
def test_quit_ends_in_order(overlap: bool, is_live: bool) -> None:
    source = FakeSource(None, is_live=is_live, interval=0.01)
    sink = FakeSink(events={5: "quit"})
    summary = pipeline(source, sink, overlap=overlap).run()
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert summary.ended_by == "quit"


@OVERLAPS
def test_other_events_go_to_the_caller_on_its_thread(overlap: bool) -> None:
    seen: list[tuple[Event, threading.Thread]] = []
    sink = FakeSink(events={1: "snapshot", 2: "hud", 3: "next-view"})
    pipeline(FakeSource(10, interval=0.01), sink, overlap=overlap).run(
        on_event=lambda event: seen.append((event, threading.current_thread()))
    )
    here = threading.current_thread()
    assert seen == [("snapshot", here), ("hud", here), ("next-view", here)]


def test_events_are_ignored_where_nobody_listens() -> None:
    sink = FakeSink(events={1: "snapshot"})
    assert pipeline(FakeSource(3), sink).run().frames == 3


def test_the_window_is_served_while_no_frame_comes() -> None:
    source, sink = FakeSource(3, interval=0.3), FakeSink()
    polls_before: list[int] = []
    sink.faults["write"] = lambda: polls_before.append(len(sink.polls))
    pipeline(source, sink).run()
    assert min(np.diff([0, *polls_before])) > 4, "15 are possible"


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
def test_a_paused_camera_goes_on_with_a_fresh_picture(overlap: bool) -> None:
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


# --- how it ends early ---


@OVERLAPS
@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("reason", ["frames", "duration", "stop"])
def test_limits(overlap: bool, is_live: bool, reason: str) -> None:
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


def test_a_duration_ends_a_run_to_which_no_frame_comes() -> None:
    source = StuckSource(0, is_live=True)
    sink = FakeSink()
    start = time.monotonic()
    assert pipeline(source, sink, max_seconds=0.1).run().ended_by == "duration"
    assert time.monotonic() - start < 0.1 + DEADLINE_SECONDS


def test_stop_before_the_run() -> None:
    sink = FakeSink()
    work = pipeline(FakeSource(None), sink)
    work.stop()
    assert work.run().ended_by == "stop"
    assert sink.calls == ["open fake 8x6", "close finished"]


@pytest.mark.parametrize("seed", range(12))
def test_stop_at_any_moment(seed: int) -> None:
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
def test_a_truncated_input_keeps_what_came_before(overlap: bool) -> None:
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
def test_a_truncated_input_of_which_enough_was_read_is_no_error(overlap: bool) -> None:
    source = FakeSource(8, end=TruncatedError("fake: ends in the middle"))
    summary = pipeline(source, FakeSink(), overlap=overlap, max_frames=8).run()
    assert (summary.frames, summary.ended_by) == (8, "frames")


# --- errors ---

Place = Literal["capture", "segment", "render", "write"]


def run_into(
    place: Place, fault: Fault, *, slow: str = "none", is_live: bool = False, overlap: bool = True
) -> FakeSink:
    """Run into a fault; check that it comes out as it went in, in time, with all closed."""

    def at(name: str) -> Callable[[], None]:
        return fault if place == name else nothing

    pauses = {slow: 0.015}
    source = FakeSource(
        None,
        is_live=is_live,
        interval=pauses.get("capture", 0.002 if is_live else 0.0),
        packets=True,
        fault=at("capture"),
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
def test_any_exception_at_all_comes_through(place: Place, error: BaseException) -> None:
    run_into(place, Fault(error, at=2))


@OVERLAPS
@pytest.mark.parametrize("place", ["copy", "poll", "on_start", "on_progress", "on_event"])
def test_errors_from_the_smaller_doors(place: str, overlap: bool) -> None:
    fault = Fault(SinkError("injected"), at=0)
    sink = FakeSink(faults={place: fault}, events={1: "hud"})
    callbacks = {place: lambda *_: fault()} if place.startswith("on_") else {}
    with pytest.raises(SinkError) as caught:
        pipeline(FakeSource(None, packets=True), sink, overlap=overlap).run(**callbacks)
    assert caught.value is fault.error
    assert sink.calls == ["open fake 8x6", "close failed"]


@OVERLAPS
def test_an_output_that_cannot_be_opened(overlap: bool) -> None:
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
def test_an_output_that_cannot_be_finished(overlap: bool) -> None:
    fault = Fault(SinkError("disk full"), at=0)
    sink = FakeSink(faults={"close": fault})
    work = pipeline(FakeSource(5), sink, overlap=overlap)
    with pytest.raises(SinkError) as caught:
        work.run()
    assert caught.value is fault.error
    assert sink.calls == ["open fake 8x6", "close finished"]
    assert work.summary is not None
    assert work.summary.ended_by == "error"


def test_an_error_while_closing_does_not_hide_the_first() -> None:
    first = ValueError("first")
    sink = FakeSink(faults={"close": Fault(OSError("second"), at=0), "write": Fault(first, at=1)})
    with pytest.raises(ValueError, match="first") as caught:
        pipeline(FakeSource(5), sink).run()
    assert caught.value is first
    assert caught.value.__notes__ == ["while the run ended, also: OSError: second"]
    assert caught.value.__context__ is None


def test_an_error_does_not_wait_for_what_is_queued() -> None:
    """Four frames of 0.7 s lie before the error: they must not be segmented first."""
    fault = Fault(SourceError("injected"), at=5)
    with pytest.raises(SourceError):
        pipeline(FakeSource(None, fault=fault), FakeSink(), segment=segmenter(0.7)).run()
    assert time.monotonic() - fault.raised_at < DEADLINE_SECONDS


@OVERLAPS
@pytest.mark.parametrize("end", ["stop", "error"])
def test_a_decoder_is_ended_also_where_the_source_keeps_it(overlap: bool, end: str) -> None:
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
def test_a_stuck_read_is_freed_by_closing_the_source(place: Place) -> None:
    fault = Fault(ValueError("injected"), at=1)
    source = StuckSource(2)
    sink = FakeSink(faults={"write": fault if place == "write" else nothing})
    segment = segmenter(fault=fault if place == "segment" else nothing)
    with pytest.raises(ValueError, match="injected"):
        pipeline(source, sink, segment=segment).run()
    assert time.monotonic() - fault.raised_at < DEADLINE_SECONDS
    assert source.closed.is_set()
    assert sink.calls[-1] == "close failed"


def test_what_a_source_says_when_closed_under_a_read_is_no_error() -> None:
    source, sink = StuckSource(3), FakeSink()
    work = pipeline(source, sink)
    sink.faults["poll"] = lambda: work.stop() if len(sink.written) == 3 else None
    assert work.run().ended_by == "stop"
    assert source.closed.is_set()
    assert sink.calls[-1] == "close finished"


def test_a_read_that_nothing_frees_is_left_behind_and_said(
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
def test_an_error_holds_no_frame_once_it_is_dealt_with(place: Place) -> None:
    count = itertools.count()

    def fail() -> None:
        if next(count) == 4:
            raise ValueError("injected")

    source, sink = FakeSource(None), FakeSink()
    sink.keep_frames = False
    source.fault = fail if place == "capture" else nothing
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


# --- Ctrl-C ---


def test_a_thread_whose_start_was_interrupted_is_not_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The instant between a thread's creation and its first line, made long."""
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
    """Sends this process a Ctrl-C after some seconds."""
    timers = []
    # A shell's background jobs ignore it.
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
        # From within the run, so that it cannot come before it.
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
