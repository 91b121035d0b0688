"""A served stream that is given its frames: a visitor's camera, or a program's own pictures."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rtseg.errors import RtsegError
from rtseg.frames import Frame, Picture
from rtseg.runtime.channel import StopFlag
from rtseg.runtime.statistics import LiveStatistics
from rtseg.runtime.turns import Turn
from rtseg.segmenter import Segmenter
from rtseg.settings import ViewSettings
from rtseg.timing import RateMeter
from rtseg.view_controls import ViewControls
from rtseg.views.live import LiveView

MakeFrame = Callable[[], Frame]
Deliver = Callable[[Picture, Frame], None]

_LONGEST_WAIT_SECONDS = 0.2
_JOIN_SECONDS = 30.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Waiting:
    make: MakeFrame
    captured_ns: int


class PushedStream:
    """One stream of a server: its own tracker, smoothing and view. Made by `StreamServer.add`.

    Its thread waits for a frame, then for its turn at the network, and takes the newest frame then.

    Attributes:
        name: its name, for people.
        view, controls: the view, and how it is changed during the run.
        faces: the faces in the newest frame.
        error: the error that ended it, if any; the other streams continue.
    """

    def __init__(
        self,
        name: str,
        *,
        segmenter: Segmenter,
        turn: Turn,
        view: ViewSettings,
        deliver: Deliver,
        on_error: Callable[[PushedStream], None],
    ) -> None:
        self.name = name
        self.segmenter = segmenter
        self.view = LiveView(view, alpha=False, statistics=lambda: self.statistics)
        self.controls = ViewControls(self.view, segmenter)
        self.faces = 0
        self.error: Exception | None = None
        self._turn = turn
        self._deliver = deliver
        self._on_error = on_error
        self._rate = RateMeter()
        self._frames = self._dropped = 0
        self._latency_ms = 0.0
        self._waiting: _Waiting | None = None
        self._arrival = threading.Condition()
        self._over = StopFlag()
        self._thread = threading.Thread(target=self._work, name=f"rtseg-{name}", daemon=True)
        self._thread.start()

    @property
    def statistics(self) -> LiveStatistics:
        """The stream's current state."""
        return LiveStatistics(
            frames=self._frames,
            dropped=self._dropped,
            frames_per_second=self._rate.per_second,
            latency_ms=self._latency_ms,
        )

    def put(self, make: MakeFrame) -> None:
        """Replace the waiting frame with a newer one. See `StreamServer.put`."""
        with self._arrival:
            self._dropped += self._waiting is not None
            self._waiting = _Waiting(make, time.monotonic_ns())
            self._arrival.notify()

    def close(self) -> None:
        """Stop serving it; waits for the frame in progress."""
        self._over.set()
        with self._arrival:
            self._arrival.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_SECONDS)
        self.segmenter.close()

    def _work(self) -> None:
        while self._has_waiting():
            try:
                self._serve()
            except Exception as error:  # noqa: BLE001  reported; it ends only this stream
                # A bug is shown with its traceback; in any case only this stream ends.
                if isinstance(error, RtsegError):
                    _log.warning("%s: ended: %s", self.name, error)
                else:
                    _log.exception("%s: ended by a bug", self.name)
                self.error = error
                self._on_error(self)
                return

    def _has_waiting(self) -> bool:
        """Wait for a frame; False at the end."""
        with self._arrival:
            while self._waiting is None and not self._over.is_set():
                self._arrival.wait(_LONGEST_WAIT_SECONDS)
        return not self._over.is_set()

    def _serve(self) -> None:
        """Segment, draw and deliver the waiting frame."""
        if not self._turn.take(self._over):
            return
        try:
            with self._arrival:
                waiting, self._waiting = self._waiting, None
            if waiting is None:
                return
            frame = waiting.make()
            segmentation = self.segmenter(frame)
        finally:
            self._turn.give_back()
        self.faces = len(segmentation.faces)
        self._deliver(self.view(frame, segmentation), frame)
        self._frames += 1
        self._rate.tick()
        self._latency_ms = (time.monotonic_ns() - waiting.captured_ns) / 1e6
