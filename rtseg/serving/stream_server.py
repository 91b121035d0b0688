"""Many live streams through one backend: the newest frame of each, in fair turns."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from rtseg.backends.base import Backend
from rtseg.errors import RtsegError
from rtseg.frames import Frame, Picture
from rtseg.runtime.statistics import LiveStatistics
from rtseg.segmenter import Segmenter
from rtseg.serving.view_controls import ViewControls
from rtseg.settings import FaceSettings, ViewSettings
from rtseg.timing import RateMeter
from rtseg.views.live import LiveView

MakeFrame = Callable[[], Frame]
Deliver = Callable[[Picture, Frame], None]

_LONGEST_WAIT_SECONDS = 0.2
_JOIN_SECONDS = 30.0

_log = logging.getLogger(__name__)


class ServerFullError(RtsegError):
    """No more streams are taken now."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    make: MakeFrame
    captured_ns: int


class ServedStream:
    """One stream of a server: its own tracker, smoothing and view. Made by `StreamServer.add`.

    Attributes:
        name: for people.
        view, controls: what is drawn, and how it is changed while it runs.
        faces: in the newest frame.
        error: what ended it, where something did; the others go on.
    """

    def __init__(
        self, name: str, *, segmenter: Segmenter, view: ViewSettings, deliver: Deliver
    ) -> None:
        self.name = name
        self.segmenter = segmenter
        self.view = LiveView(view, alpha=False, statistics=lambda: self.statistics)
        self.controls = ViewControls(self.view, segmenter)
        self.faces = 0
        self.error: Exception | None = None
        self.served_at = 0.0
        self._deliver = deliver
        self._rate = RateMeter()
        self._frames = self._dropped = 0
        self._latency_ms = 0.0
        self._waiting: _Waiting | None = None
        self._lock = threading.Lock()

    @property
    def statistics(self) -> LiveStatistics:
        """Where it stands now."""
        return LiveStatistics(
            frames=self._frames,
            dropped=self._dropped,
            frames_per_second=self._rate.per_second,
            latency_ms=self._latency_ms,
        )

    def put(self, make: MakeFrame) -> bool:
        """Leave the newest frame; the one before it gives way. See `StreamServer.put`."""
        with self._lock:
            was_waiting = self._waiting is not None
            self._dropped += was_waiting
            self._waiting = _Waiting(make, time.monotonic_ns())
        return not was_waiting

    @property
    def has_waiting(self) -> bool:
        """Whether a frame waits."""
        return self._waiting is not None

    def serve(self) -> None:
        """Segment, draw and deliver the frame that waits, on the server's thread."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        self.served_at = time.monotonic()
        frame = waiting.make()
        segmentation = self.segmenter(frame)
        self.faces = len(segmentation.faces)
        self._deliver(self.view(frame, segmentation), frame)
        self._frames += 1
        self._rate.tick()
        self._latency_ms = (time.monotonic_ns() - waiting.captured_ns) / 1e6


class StreamServer:
    """Segments live streams with one backend, each by a segmenter of its own.

    The stream that was served longest ago comes next, with its newest frame: none starves, and none
    lags. What fails in one ends that one; the others go on.

    Args:
        backend: what runs the network; it stays open.
        faces: how faces are found, followed and steadied, in every stream.
        most_streams: more are refused.
    """

    def __init__(
        self, backend: Backend, *, faces: FaceSettings | None = None, most_streams: int = 4
    ) -> None:
        self.backend = backend
        self.most_streams = most_streams
        self._faces = faces
        self._streams: list[ServedStream] = []
        self._arrival = threading.Condition()
        self._is_over = False
        self._thread = threading.Thread(target=self._work, name="rtseg-serve", daemon=True)
        self._thread.start()

    @property
    def streams(self) -> tuple[ServedStream, ...]:
        """Those that are served now."""
        return tuple(self._streams)

    def add(self, name: str, *, deliver: Deliver, view: ViewSettings | None = None) -> ServedStream:
        """Take one stream more.

        Args:
            name: for people.
            deliver: gets each drawn picture and its frame, on the server's thread; must not wait.
            view: what is drawn at first.

        Raises:
            ServerFullError: there are as many as are allowed.
        """
        if len(self._streams) >= self.most_streams:
            raise ServerFullError(
                f"{len(self._streams)} are served already, which is as many as are allowed; "
                "try again later"
            )
        segmenter = Segmenter(backend=self.backend, faces=self._faces)
        stream = ServedStream(
            name, segmenter=segmenter, view=view or ViewSettings(), deliver=deliver
        )
        with self._arrival:
            self._streams.append(stream)
        return stream

    def put(self, stream: ServedStream, make: MakeFrame) -> None:
        """Leave a stream's newest frame, from any thread; never waits.

        Args:
            stream: that `add` gave.
            make: makes the frame, on the server's thread: what gives way is never converted.
        """
        if stream.put(make):
            with self._arrival:
                self._arrival.notify()

    def remove(self, stream: ServedStream) -> None:
        """Serve it no more. May be called twice."""
        with self._arrival:
            if stream not in self._streams:
                return
            self._streams.remove(stream)
        stream.segmenter.close()

    def close(self) -> None:
        """Serve nobody any more, and end the thread."""
        with self._arrival:
            self._is_over = True
            self._arrival.notify()
        self._thread.join(_JOIN_SECONDS)
        for stream in self.streams:
            self.remove(stream)

    def _work(self) -> None:
        while (stream := self._next()) is not None:
            try:
                stream.serve()
            except Exception as error:  # noqa: BLE001  told, and one stream ends by it
                # A bug is shown with its trace; either way it is one stream's matter.
                if isinstance(error, RtsegError):
                    _log.warning("%s: ended: %s", stream.name, error)
                else:
                    _log.exception("%s: ended by a bug", stream.name)
                stream.error = error
                self.remove(stream)

    def _next(self) -> ServedStream | None:
        """The stream to serve now; None at the end."""
        with self._arrival:
            while not self._is_over:
                ready = [stream for stream in self._streams if stream.has_waiting]
                if ready:
                    return min(ready, key=lambda stream: stream.served_at)
                self._arrival.wait(_LONGEST_WAIT_SECONDS)
        return None
