"""Run a source through a segmenter into a sink. The only package with threads.

    source -> channel -> segment -> channel -> finish -> render -> sink
    `---- capture ----´  `- infer -´           `-- the calling thread --´

The calling thread alone decides when a run ends; the workers only record an error and close their
channel. So the first error is chosen in one place, the sink is closed in one place, and a signal
handler cannot deadlock with either.

Longer than most modules, because how a run proceeds, ends and cleans up belongs together: neither
half could be understood without the other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from rtseg.errors import SettingError, TruncatedError
from rtseg.frames import Frame, Packet, Segmentation
from rtseg.pending import PendingSegmentation
from rtseg.runtime.channel import Channel, Nothing, StopFlag
from rtseg.runtime.statistics import EndedBy, LiveStatistics, Progress, RunCounter, RunSummary
from rtseg.runtime.turns import Turn
from rtseg.sinks.base import Event, Outcome, Picture, Sink
from rtseg.sources.base import Source
from rtseg.system.threads import quick_thread_switches
from rtseg.timing import StageTimes

__all__ = ["EndedBy", "LiveStatistics", "Pipeline", "Progress", "RunSummary"]

POLL_SECONDS = 0.02
"""Seconds that the calling thread waits for a frame before it polls the window and the clock."""

PROGRESS_SECONDS = 0.1
"""The shortest time between two progress reports."""

CAPTURE_GRACE_SECONDS = 0.4
"""Seconds that a read may continue after a run's end before the source is closed."""

CLOSED_CAPTURE_SECONDS = 1.0
"""Seconds that it may continue after that before its (by then harmless) thread is abandoned."""

START_SECONDS = 1.0
"""Seconds that a thread may take to start if its start was interrupted."""

INFER_GRACE_SECONDS = 30.0
"""Seconds to wait for the inference of one frame: it ends by itself, and the caller is about to
close the device that it uses."""

_WAITING_FRAMES = 4
_WAITING_BYTES = 64 << 20
_PACKET_BYTES = 16 << 20
"""Limits of each of a file's two channels: frames, bytes of frames (one frame is always allowed),
and bytes of audio."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Captured:
    """A frame, when it was captured, how many discontinuities the source has had up to it, and its
    segmentation, finished or not, once there is one."""

    frame: Frame
    captured_ns: int
    cuts: int
    segmentation: Segmentation | PendingSegmentation | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes in memory: the picture, the labels, and what else the segmentation keeps (soft
        masks, a copy of a still)."""
        size = self.frame.image.nbytes
        if isinstance(self.segmentation, PendingSegmentation):
            size += self.segmentation.size_bytes
        elif self.segmentation is not None:
            size += self.segmentation.labels.nbytes
            image = self.segmentation.image
            if image is not None and image is not self.frame.image:
                size += image.nbytes
        return size


_Item = _Captured | Packet


class Pipeline:
    """One run of one source. Create and `run` it on the thread that owns the sink's window.

    The caller opens and closes the source. If a run ends while a read is stuck, the run closes it
    too.

    Args:
        source: the source of frames. If `source.info.is_live`, late frames are dropped (policy
            `newest`); otherwise every frame is written.
        segment: the segmenter; called on one thread, in the order of the frames. What it leaves
            pending is finished on the calling thread, so that the network can go on meanwhile;
            of frames that are dropped in between it never is.
        sink: where results are written; used on the calling thread only.
        render: draws the view; None draws nothing, nor does a sink that wants no pixels.
        width, height: size of every rendered view in pixels.
        times: records the duration of each stage; the segmenter adds its own stages.
        overlap: whether capture, inference and output run concurrently. False runs them one
            after the other on the calling thread, and drops nothing even of a live source.
        max_seconds: ends the run after this many seconds.
        max_frames: ends the run after this many written frames, not counting the warm-up.
        warmup_frames: frames that are processed and written before timing and counting start.
        turn: the run's place in the queue for a network shared with other runs. It is taken before
            a frame, so that the frame is the newest.

    Raises:
        SettingError: a size or a limit is out of range.
    """

    def __init__(
        self,
        *,
        source: Source,
        segment: Callable[[Frame], Segmentation | PendingSegmentation],
        sink: Sink,
        render: Callable[[Frame, Segmentation], Picture] | None,
        width: int,
        height: int,
        times: StageTimes | None = None,
        overlap: bool = True,
        max_seconds: float | None = None,
        max_frames: int | None = None,
        warmup_frames: int = 0,
        turn: Turn | None = None,
    ) -> None:
        if width < 1 or height < 1:
            raise SettingError(f"a view must be 1x1 or larger; found {width}x{height}")
        if max_seconds is not None and not max_seconds > 0:
            raise SettingError(f"max_seconds must be positive; found {max_seconds}")
        if max_frames is not None and max_frames < 1:
            raise SettingError(f"max_frames must be 1 or more; found {max_frames}")
        if warmup_frames < 0:
            raise SettingError(f"warmup_frames must be 0 or more; found {warmup_frames}")
        self._source = source
        self._segment = segment
        self._sink = sink
        self._render = render
        self._width, self._height = width, height
        self._times = StageTimes() if times is None else times
        self._overlap = overlap
        self._max_seconds = max_seconds
        self._max_frames = max_frames
        self._warmup_left = warmup_frames
        self._turn = turn
        self._is_live = source.info.is_live

        self._over = StopFlag()
        self._asked: EndedBy | None = None
        self._worker_errors: list[BaseException] = []
        self._truncated: TruncatedError | None = None
        self._has_run = False
        self._captured, self._segmented = self._make_channels()
        self._summary: RunSummary | None = None

        self._is_paused = False
        self._skipped = 0
        self._extra_output_seconds = 0.0
        self._polled = self._reported = float("-inf")
        self._counter = RunCounter(
            times=self._times,
            frame_count=_smallest(
                source.info.frame_count,
                None if max_frames is None else max_frames + warmup_frames,
            ),
        )

    def _make_channels(self) -> tuple[Channel[_Item], Channel[_Item]]:
        if self._is_live:
            # One queued frame each, since a longer queue would add delay. Segmented frames are
            # dropped as well, or a slow output would show frames that had queued before it.
            return (
                Channel(capacity=1, policy="newest", stop=self._over),
                Channel(capacity=1, policy="newest", stop=self._over),
            )
        bounds = {"max_bytes": _PACKET_BYTES, "max_item_bytes": _WAITING_BYTES}
        return (
            Channel(capacity=_WAITING_FRAMES, policy="block", stop=self._over, **bounds),
            Channel(capacity=_WAITING_FRAMES, policy="block", stop=self._over, **bounds),
        )

    # --- what others call ---

    def run(
        self,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_start: Callable[[], None] | None = None,
    ) -> RunSummary:
        """Process the source until it ends or the run is stopped.

        Args:
            on_progress: called on this thread, at most ten times a second and once at the end.
            on_event: called with the window's events, except `quit` and `pause`, which are handled
                here.
            on_start: called once the output is open, before the first read.

        Returns:
            The summary, once the sink is closed and all threads of the run have ended.

        Raises:
            TruncatedError: the input is truncated. Every frame before that was written, the sink is
                closed as finished, and `summary` is set.
            BaseException: the first exception of the source, the segmenter, the renderer, the sink
                or a callback. The sink is closed as failed, and `summary` is set.
        """
        if self._has_run:
            raise RuntimeError("a pipeline can run only once; make a new one")
        self._has_run = True
        workers: list[threading.Thread] = []
        ended_by: EndedBy = "error"
        errors: list[BaseException] = []
        try:
            self._sink.open(self._source.info, width=self._width, height=self._height)
            if on_start is not None:
                on_start()
            self._counter.restart(dropped=0)
            with quick_thread_switches(), closing(self._items(workers)) as items:
                ended_by = self._drive(items, on_progress, on_event)
        except BaseException as error:  # noqa: BLE001  raised again below, once all is closed
            ended_by = "error"
            errors.append(error)
        finally:
            if ended_by == "error":
                errors[:0] = self._worker_errors[:1]
            # From here on errors in workers are ignored: the source may be closed during a read,
            # and nobody is waiting for their frames any more.
            self._over.set()
            errors.extend(self._close_sink("failed" if ended_by == "error" else "finished"))
        self._summary = self._counter.summary(
            dropped=self._dropped,
            ended_by="error" if errors else ended_by,
            reconnects=self._source.reconnects,
        )
        self._join(workers)
        if ended_by == "truncated" and not errors and self._truncated is not None:
            errors.append(self._truncated)
        self._truncated = None
        self._worker_errors.clear()
        _raise_first(errors)
        if on_progress is not None:
            on_progress(self._counter.progress(dropped=self._dropped))
        return self._summary

    def stop(self) -> None:
        """End the run normally. Safe from any thread and from signal handlers: takes no lock."""
        if self._asked is None:
            self._asked = "stop"

    @property
    def statistics(self) -> LiveStatistics:
        """The current statistics of the run."""
        return self._counter.statistics(dropped=self._dropped, reconnects=self._source.reconnects)

    @property
    def is_paused(self) -> bool:
        """Whether a user has paused the picture."""
        return self._is_paused

    @property
    def summary(self) -> RunSummary | None:
        """The summary of the run, even if `run` raised; None until it has ended."""
        return self._summary

    # --- the calling thread ---

    def _drive(
        self,
        items: Iterator[_Item | None],
        on_progress: Callable[[Progress], None] | None,
        on_event: Callable[[Event], None] | None,
    ) -> EndedBy:
        wrote_frame = False
        while True:
            now = time.perf_counter()
            if wrote_frame or now - self._polled >= POLL_SECONDS:
                self._polled = now
                self._serve_events(on_event)
            if on_progress is not None and now - self._reported >= PROGRESS_SECONDS:
                self._reported = now
                on_progress(self._counter.progress(dropped=self._dropped))
            if (ended_by := self._reason_to_end()) is not None:
                return ended_by
            wrote_frame = False
            if self._is_paused and not self._is_live:
                time.sleep(POLL_SECONDS)
                continue
            try:
                item = next(items)
            except StopIteration:
                if self._worker_errors:
                    return "error"
                return "end" if self._truncated is None else "truncated"
            if isinstance(item, Packet):
                self._copy(item)
            elif item is not None and not self._is_paused:
                self._write(item)
                wrote_frame = True

    def _reason_to_end(self) -> EndedBy | None:
        if self._max_frames is not None and self._counter.frames >= self._max_frames:
            return "frames"
        if self._asked is not None:
            return self._asked
        if self._worker_errors:
            return "error"
        if self._max_seconds is not None and self._counter.seconds >= self._max_seconds:
            return "duration"
        return None

    def _serve_events(self, on_event: Callable[[Event], None] | None) -> None:
        start = time.perf_counter()
        events = self._sink.poll()
        self._extra_output_seconds += time.perf_counter() - start
        for event in events:
            if event == "quit":
                self._asked = self._asked or "quit"
            elif event == "pause":
                self._is_paused = not self._is_paused
            elif on_event is not None:
                on_event(event)

    def _copy(self, packet: Packet) -> None:
        start = time.perf_counter()
        self._sink.copy(packet)
        self._extra_output_seconds += time.perf_counter() - start

    def _write(self, item: _Captured) -> None:
        frame, segmentation = item.frame, item.segmentation
        assert segmentation is not None
        if isinstance(segmentation, PendingSegmentation):
            segmentation = segmentation.finish()
        picture = None
        if self._render is not None and self._sink.wants_pixels:
            with self._times.measure("render"):
                picture = self._render(frame, segmentation)
        start = time.perf_counter()
        self._sink.write(frame, segmentation, picture)
        # Time spent on packets and the window since the last frame counts as output too.
        self._times.add("output", time.perf_counter() - start + self._extra_output_seconds)
        self._extra_output_seconds = 0.0
        self._counter.count(captured_ns=item.captured_ns, is_corrupt=frame.is_corrupt)
        if self._warmup_left:
            self._warmup_left -= 1
            self._counter.restart(dropped=self._dropped)

    def _close_sink(self, outcome: Outcome) -> list[BaseException]:
        start = time.perf_counter()
        try:
            self._sink.close(outcome)
        except BaseException as error:  # noqa: BLE001  `run` raises it or notes it on the first
            return [error]
        seconds = time.perf_counter() - start
        self._times.add("close", seconds + self._extra_output_seconds)
        return []

    # --- producing items: on two threads, or on the calling one ---

    def _items(self, workers: list[threading.Thread]) -> Generator[_Item | None]:
        if not self._overlap:
            with closing(self._capture()) as captured:
                yield from self._segment_all(captured)
            return
        for name, work in (("capture", self._capture_work), ("infer", self._infer_work)):
            worker = threading.Thread(target=work, name=f"rtseg-{name}", daemon=True)
            workers.append(worker)
            worker.start()
        while True:
            item = self._segmented.get(timeout_seconds=POLL_SECONDS)
            if item is Nothing.EVER:
                return
            yield None if item is Nothing.YET else item

    def _capture_work(self) -> None:
        try:
            with closing(self._capture()) as captured:
                _pass_on(captured, self._captured)
        except BaseException as error:  # noqa: BLE001  raised again on the calling thread
            self._worker_errors.append(error)
        finally:
            self._captured.close()

    def _infer_work(self) -> None:
        try:
            with closing(self._taken()) as items:
                _pass_on(self._segment_all(items), self._segmented)
        except BaseException as error:  # noqa: BLE001  raised again on the calling thread
            self._worker_errors.append(error)
        finally:
            self._segmented.close()

    def _taken(self) -> Generator[_Item]:
        if self._turn is None:
            yield from _taken_from(self._captured)
            return
        while self._captured.wait() and self._turn.take(self._over):
            try:
                # Riders come with the frame after them: they must not take turns of their own.
                while not isinstance(item := self._captured.get(timeout_seconds=0), Nothing):
                    yield item
                    if not isinstance(item, Packet):
                        break
            finally:
                self._turn.give_back()

    def _capture(self) -> Generator[_Item]:
        iterator = iter(self._source)
        try:
            yield from self._read(iterator)
        except TruncatedError as error:
            self._truncated = error
        finally:
            # Closed now, on this thread; otherwise a half-used decoder would be closed wherever
            # its last reference happens to be dropped.
            if isinstance(iterator, Generator):
                iterator.close()

    def _read(self, iterator: Iterator[Frame | Packet]) -> Iterator[_Item]:
        seconds = 0.0
        cuts = 0
        next_index: int | None = None
        while not self._over.is_set():
            start = time.perf_counter()
            try:
                item = next(iterator)
            except StopIteration:
                return
            seconds += time.perf_counter() - start
            if isinstance(item, Packet):
                yield item
                continue
            self._times.add("capture", seconds)
            seconds = 0.0
            if self._is_live and next_index is not None:
                self._skipped += max(0, item.index - next_index)
            next_index = item.index + 1
            cuts += item.discontinuity
            yield _Captured(item, item.captured_ns or time.monotonic_ns(), cuts)

    def _segment_all(self, items: Iterator[_Item]) -> Iterator[_Item]:
        cuts = 0
        was_away = False
        for item in items:
            if isinstance(item, Packet):
                yield item
                continue
            if self._is_live and not self._sink.is_wanted:
                was_away = True
                continue
            frame = item.frame
            if (item.cuts > cuts or was_away) and not frame.discontinuity:
                # The marked frame was dropped, or frames were discarded while nobody was watching.
                frame = replace(frame, discontinuity=True)
            cuts, was_away = item.cuts, False
            segmentation = self._segment(frame)
            if self._turn is not None:
                self._turn.give_back()  # others need not wait for the consumer of the result
            yield _Captured(frame, item.captured_ns, cuts, segmentation)

    # --- the end ---

    def _join(self, workers: list[threading.Thread]) -> None:
        for worker in workers:
            if not _has_started(worker):
                continue
            if worker.name == "rtseg-capture":
                worker.join(CAPTURE_GRACE_SECONDS)
                if worker.is_alive():
                    self._close_source()
                    worker.join(CLOSED_CAPTURE_SECONDS)
            else:
                worker.join(INFER_GRACE_SECONDS)
            if worker.is_alive():
                _log.warning("%s is stuck in a call that does not return; abandoned", worker.name)

    def _close_source(self) -> None:
        try:
            self._source.close()
        except Exception as error:  # noqa: BLE001  what ended the run matters more, and is raised
            _log.warning("closing %s failed: %s", self._source.info.name, error)

    @property
    def _dropped(self) -> int:
        return self._captured.dropped + self._segmented.dropped + self._skipped


def _has_started(worker: threading.Thread) -> bool:
    """Whether a thread may be joined. After a Ctrl-C inside `start`, it may be about to run."""
    deadline = time.monotonic() + START_SECONDS
    while not worker.is_alive() and worker in threading.enumerate():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return worker.is_alive()


def _smallest(*counts: int | None) -> int | None:
    return min((count for count in counts if count is not None), default=None)


def _raise_first(errors: list[BaseException]) -> None:
    """Raise the first error, with the others as notes; a Ctrl-C takes precedence."""
    if not errors:
        return
    first = next((error for error in errors if isinstance(error, KeyboardInterrupt)), errors[0])
    other: BaseException | None
    for other in errors:
        if other is not first:
            first.add_note(f"while the run ended, also: {type(other).__name__}: {other}")
    try:
        raise first
    finally:
        # The traceback refers to these stack frames; breaking the cycle frees their images.
        errors.clear()
        first = other = None  # type: ignore[assignment]


def _pass_on(items: Iterator[_Item], channel: Channel[_Item]) -> None:
    for item in items:
        if isinstance(item, Packet):
            is_accepted = channel.put(item, size_bytes=item.size_bytes)
        else:
            is_accepted = channel.put(item, item_bytes=item.size_bytes)
        if not is_accepted:
            return


def _taken_from(channel: Channel[_Item]) -> Iterator[_Item]:
    while not isinstance(item := channel.get(), Nothing):
        yield item
