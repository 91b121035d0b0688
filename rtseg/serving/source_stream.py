"""A served stream with a source and outputs: it is run, watched, and restarted."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from rtseg.controls import Controls
from rtseg.errors import RtsegError, SettingError, TruncatedError
from rtseg.frames import Frame, Segmentation
from rtseg.run_outputs import video_sink
from rtseg.runtime.statistics import LiveStatistics
from rtseg.runtime.turns import Turn
from rtseg.segmenter import Segmenter
from rtseg.serving.guarded_output import GuardedOutput
from rtseg.serving.stream_definition import StreamDefinition, is_sent
from rtseg.serving.stream_outputs import guarded_outputs
from rtseg.settings import FaceSettings, ModelSettings
from rtseg.sinks.base import Sink
from rtseg.sinks.callback import CallbackSink
from rtseg.sinks.web.page_state import PageState
from rtseg.sources import open_source
from rtseg.sources.base import Source
from rtseg.sources.reconnecting import ReconnectingSource
from rtseg.timing import Percentiles
from rtseg.wiring import Run, wire

if TYPE_CHECKING:
    from rtseg.media.info import StreamKind
    from rtseg.sinks.web.live_page import LivePage

StreamState = Literal[
    "starting", "live", "resting", "reconnecting", "waiting", "ended", "failed", "stopped"
]
"""`resting`: nobody is watching; `waiting`: it could not be opened, or failed, and is retried;
`ended`: its file is over; `failed`: a setting is invalid, and it is not retried."""

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 30.0
"""The wait in seconds before a restart: doubles from the first value to the second."""

PAGE = "the page"
"""The output that shows a stream on the server's page."""

_KEPT_AGES = 300

_log = logging.getLogger("rtseg")


class MakeSegmenter(Protocol):
    """Makes a segmenter on the server's backend from two arguments."""

    def __call__(self, faces: FaceSettings, *, soft: bool) -> Segmenter:
        """How faces are tracked, and whether soft masks are needed."""
        ...


class SourceStream:
    """One stream of a server, on its own threads. Made by `StreamServer.start`.

    Args:
        definition: the stream's definition.
        make_segmenter: makes its segmenter, once for each run.
        turn: its place in the queue for the network.
        make_page: makes the page that shows it; None for no page.
        after: the stream that it replaces, which must have ended before it begins.

    Attributes:
        name: the name in its definition.
        page: the page that shows it; None while it does not run, or without a page.
        starts: how many times it was started.
    """

    def __init__(
        self,
        definition: StreamDefinition,
        *,
        make_segmenter: MakeSegmenter,
        turn: Turn,
        make_page: Callable[[SourceStream], LivePage] | None = None,
        after: SourceStream | None = None,
    ) -> None:
        self.definition = definition
        self.name = definition.name
        self.page: LivePage | None = None
        self.starts = 0
        self.faces = 0
        self.outputs: tuple[GuardedOutput, ...] = ()
        self._make_segmenter = make_segmenter
        self._turn = turn
        self._make_page = make_page
        self._after = after
        self._run: Run | None = None
        self._controls: Controls | None = None
        self._state: StreamState = "starting"
        self._reason = ""
        self._before = LiveStatistics()
        self._ages: deque[float] = deque(maxlen=_KEPT_AGES)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"rtseg-{self.name}", daemon=True)
        self._thread.start()

    # --- any thread ---

    @property
    def state(self) -> StreamState:
        """The stream's current state."""
        run = self._run
        if self._state != "live" or run is None:
            return self._state
        if run.source.status:
            return "reconnecting"
        return "live" if run.sink.is_wanted else "resting"

    @property
    def reason(self) -> str:
        """The reason for the state, if it needs one."""
        run = self._run
        status = run.source.status if run is not None else ""
        return status or self._reason

    @property
    def statistics(self) -> LiveStatistics:
        """Statistics of all its runs together; rate and latency are the newest run's."""
        before, run = self._before, self._run
        now = LiveStatistics() if run is None else run.pipeline.statistics
        return _together(before, now)

    @property
    def ages(self) -> Percentiles:
        """The age of its pictures when they were written, over the last ten seconds or so."""
        return Percentiles.of(tuple(self._ages))

    def stop(self) -> None:
        """End it normally: its files are finished. Does not wait; see `join`."""
        self._over.set()
        run = self._run
        if run is not None:
            run.stop()

    def join(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def holds_outputs(self) -> bool:
        """Whether open outputs still have to be finished."""
        return self._run is not None

    # --- its own thread ---

    def _work(self) -> None:
        if self._after is not None:
            self._after.join(60.0)
            self._after = None
        delay = FIRST_RETRY_SECONDS
        while not self._over.is_set():
            began = time.monotonic()
            try:
                self._run_once()
            except Exception as error:  # noqa: BLE001  reported; it affects only this stream
                self._note(error)
            if self._state in ("ended", "failed") or self._over.is_set():
                break
            if time.monotonic() - began > LONGEST_RETRY_SECONDS:
                delay = FIRST_RETRY_SECONDS
            self._state = "waiting"
            self._over.wait(delay)
            delay = min(LONGEST_RETRY_SECONDS, 2 * delay)
        if self._over.is_set():
            self._state, self._reason = "stopped", ""

    def _note(self, error: Exception) -> None:
        """Log what went wrong, once, and whether it will be retried."""
        # a setting that has worked before is not what went wrong later
        is_wrong = isinstance(error, SettingError) and self._state != "live"
        words = str(error) if isinstance(error, RtsegError) else f"a bug: {error!r}"
        if words != self._reason or is_wrong:
            again = "" if is_wrong else "; trying again"
            if isinstance(error, RtsegError):
                _log.warning("%s: %s%s", self.name, words, again)
            else:
                _log.error("%s: ended by a bug%s", self.name, again, exc_info=error)
        self._reason = words
        self._state = "failed" if is_wrong else "waiting"

    def _run_once(self) -> None:
        definition = self.definition
        with ExitStack() as stack:
            source = stack.enter_context(self._open_source())
            if self._over.is_set():  # it was stopped while it was being opened
                return
            soft = bool(definition.effects) or definition.view.kind.uses_soft_masks
            segmenter = self._make_segmenter(definition.faces, soft=soft)
            stack.callback(segmenter.close)
            outputs = guarded_outputs(definition)
            shown_on = []
            if self._make_page is not None:
                shown_on.append(GuardedOutput(self.name, PAGE, self._new_page))
                stack.callback(self._leave_page)
            counting = CallbackSink(self._count)
            # looking at a stream's figures counts as watching only if it has no other output
            counting.is_wanted = not shown_on and not outputs
            run = wire(
                source,
                segmenter,
                [*shown_on, *outputs, counting],
                view=definition.view,
                effects=definition.effects,
                turn=self._turn,
            )
            self._controls = controls = Controls(
                run,
                record=partial(
                    video_sink,
                    encode=definition.encode.for_view(definition.view.view),
                    model=ModelSettings(threads=1),
                ),
            )
            self.outputs = (*shown_on, *outputs)
            self._run = run
            if self._over.is_set():
                run.stop()
            try:
                run.pipeline.run(on_event=controls.handle, on_start=self._begin)
            except TruncatedError as error:
                if isinstance(source, ReconnectingSource):
                    raise
                self._state, self._reason = "ended", str(error)
            else:
                if run.summary is not None and run.summary.ended_by == "end":
                    self._state, self._reason = "ended", "its source has ended"
            finally:
                self._before = _together(self._before, run.pipeline.statistics)
                self._run = None

    def _begin(self) -> None:
        """Record that the outputs are open."""
        self._state, self._reason = "live", ""
        self.starts += 1

    def _open_source(self) -> Source:
        definition = self.definition
        if callable(definition.source):
            return definition.source()
        is_heard = definition.encode.audio != "none" and any(map(is_sent, definition.outputs))
        kept: tuple[StreamKind, ...] = ("audio",) if is_heard else ()
        return open_source(
            definition.source,
            settings=definition.read,
            with_streams=kept,
            real_time=True,
            camera=definition.camera,
            stream=definition.reconnect,
            await_start=False,
            threads=1,
        )

    def _new_page(self) -> Sink:
        assert self._make_page is not None
        self.page = self._make_page(self)
        self.page.state = self._page_state
        return self.page

    def _page_state(self) -> PageState:
        return PageState() if self._controls is None else self._controls.page_state()

    def _leave_page(self) -> None:
        page, self.page = self.page, None
        if page is not None:
            page.leave()

    def _count(self, frame: Frame, segmentation: Segmentation) -> None:
        self.faces = len(segmentation.faces)
        if frame.captured_ns:
            self._ages.append((time.monotonic_ns() - frame.captured_ns) / 1e9)


def _together(before: LiveStatistics, now: LiveStatistics) -> LiveStatistics:
    return LiveStatistics(
        frames=before.frames + now.frames,
        dropped=before.dropped + now.dropped,
        corrupt=before.corrupt + now.corrupt,
        frames_per_second=now.frames_per_second,
        latency_ms=now.latency_ms,
        reconnects=before.reconnects + now.reconnects,
    )
