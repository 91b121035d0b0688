"""Many live streams through one backend: the newest frame of each, in fair turns."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rtseg.backends import open_beside
from rtseg.backends.base import Backend
from rtseg.backends.shared import SharedBackend
from rtseg.errors import RtsegError, SettingError
from rtseg.runtime.turns import Turns
from rtseg.segmenter import Segmenter
from rtseg.serving.pushed_stream import Deliver, MakeFrame, PushedStream
from rtseg.serving.source_stream import SourceStream
from rtseg.serving.stream_definition import StreamDefinition
from rtseg.settings import FaceSettings, ViewSettings
from rtseg.weights import finder_checkpoint_path

if TYPE_CHECKING:
    from rtseg.sinks.web.live_page import LivePage

STOP_SECONDS = 20.0
"""How long streams may take to finish their files before they are left behind."""

GPU_STREAMS_AT_ONCE = 8
PROCESSOR_STREAMS_AT_ONCE = 2
"""Frames under way at once: a GPU's largest batch; on a processor one is cut out and pasted while
the other is in the network."""

_log = logging.getLogger("rtseg")

__all__ = ["PushedStream", "ServerFullError", "SourceStream", "StreamDefinition", "StreamServer"]


class ServerFullError(RtsegError):
    """No more streams are taken now."""


class StreamServer:
    """Segments live streams with one backend, each by a segmenter of its own.

    Of each stream only the newest frame is looked at. The one that was served longest ago comes
    next: none starves, and none lags. What several ask of the network at nearly the same time is
    one batch. What fails in one stream is that stream's matter; the others go on.

    Streams are either started with a source and outputs (`start`, `replace`), or added, and then
    get the frames that are put (`add`, `put`).

    Args:
        backend: what runs the network; it stays open.
        faces: how faces are found, followed and steadied, in streams that are added.
        most_streams: more are refused.
        at_once: how many streams' frames may be under way together; 0 is what suits the device.
        make_page: makes what shows a started stream on a page.

    Raises:
        SettingError: a number is out of range.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        faces: FaceSettings | None = None,
        most_streams: int = 4,
        at_once: int = 0,
        make_page: Callable[[SourceStream], LivePage] | None = None,
    ) -> None:
        self.most_streams = most_streams
        self.make_page = make_page
        is_gpu = backend.device.startswith("cuda")
        usual = GPU_STREAMS_AT_ONCE if is_gpu else PROCESSOR_STREAMS_AT_ONCE
        self.turns = Turns(at_once or usual)
        self.backend = SharedBackend(backend, expected=self._expected)
        self._faces = faces or FaceSettings()
        self._lock = threading.Lock()
        self._pushed: list[PushedStream] = []
        self._started: dict[str, SourceStream] = {}
        self._leaving: list[SourceStream] = []
        self._stack = ExitStack()
        self._finder = self._open_finder(backend)

    def _expected(self) -> int:
        return self.turns.active

    def _open_finder(self, backend: Backend) -> Backend | None:
        """One finder network for all streams, as a segmenter alone would open it."""
        path = finder_checkpoint_path()
        if backend.model.view != "face" or path is None:
            return None
        finder = open_beside(backend, path)
        if finder is None:
            return None
        self._stack.enter_context(finder)
        return SharedBackend(finder, expected=self._expected)

    @property
    def streams(self) -> tuple[PushedStream | SourceStream, ...]:
        """Those that are served now."""
        return (*self._pushed, *self._started.values())

    @property
    def started(self) -> tuple[SourceStream, ...]:
        """Those with a source of their own, in their order."""
        return tuple(self._started.values())

    # --- streams with a source ---

    def start(self, definition: StreamDefinition) -> SourceStream:
        """Serve one stream more, from its source to its outputs. Does not wait for it to open.

        Raises:
            SettingError: there is one of that name.
            ServerFullError: there are as many as are allowed.
        """
        with self._lock:
            if definition.name in self._started:
                raise SettingError(f"`name`: a stream {definition.name!r} is served already")
            self._check_room()
            return self._begin(definition)

    def _begin(
        self, definition: StreamDefinition, after: SourceStream | None = None
    ) -> SourceStream:
        stream = SourceStream(
            definition,
            make_segmenter=self._new_segmenter,
            turn=self.turns.join(),
            make_page=self.make_page,
            after=after,
        )
        self._started[definition.name] = stream
        return stream

    def stop(self, name: str) -> None:
        """End a stream in order, and serve it no more. Does not wait for its files; `close` does.

        Raises:
            SettingError: there is none of that name.
        """
        with self._lock:
            stream = self._started.pop(name, None)
            if stream is None:
                raise SettingError(f"`name`: no stream {name!r} is served")
            self._end(stream)

    def _end(self, stream: SourceStream) -> None:
        stream.stop()
        self._leaving = [left for left in self._leaving if not left.join(0)] + [stream]

    def replace(self, definitions: Iterable[StreamDefinition]) -> dict[str, list[str]]:
        """Serve these streams, and no others. One that is the same goes on without a gap.

        One that ended or failed is started anew even where it is the same. One that differs ends
        in order, and begins anew once it has.

        Returns:
            Names of what was `added`, `removed`, `changed`, `kept`, `restarted`.

        Raises:
            ServerFullError: they are more than are allowed; nothing was changed.
            SettingError: two have one name; nothing was changed.
        """
        wanted: dict[str, StreamDefinition] = {}
        for definition in definitions:
            if definition.name in wanted:
                raise SettingError(f"`name`: {definition.name!r} stands twice; give each its own")
            wanted[definition.name] = definition
        done: dict[str, list[str]] = {
            kind: [] for kind in ("added", "removed", "changed", "kept", "restarted")
        }
        with self._lock:
            if len(wanted) + len(self._pushed) > self.most_streams:
                raise ServerFullError(
                    f"{len(wanted)} streams; allowed: {self.most_streams} at once"
                )
            before = self._started
            self._started = {}
            for name in before.keys() - wanted.keys():
                self._end(before[name])
                done["removed"].append(name)
            for name, definition in wanted.items():
                old = before.get(name)
                if old is None:
                    self._begin(definition)
                    done["added"].append(name)
                    continue
                is_over = old.state in ("ended", "failed")
                if old.definition == definition and not is_over:
                    self._started[name] = old
                    done["kept"].append(name)
                    continue
                self._end(old)
                self._begin(definition, after=old)
                done["restarted" if old.definition == definition else "changed"].append(name)
        return done

    # --- streams whose frames are put ---

    def add(self, name: str, *, deliver: Deliver, view: ViewSettings | None = None) -> PushedStream:
        """Take one stream more, whose frames `put` gives.

        Args:
            name: for people.
            deliver: gets each drawn picture and its frame, on the stream's thread; must not wait.
            view: what is drawn at first.

        Raises:
            ServerFullError: there are as many as are allowed.
        """
        with self._lock:
            self._check_room()
            stream = PushedStream(
                name,
                segmenter=self._new_segmenter(self._faces, soft=False),
                turn=self.turns.join(),
                view=view or ViewSettings(),
                deliver=deliver,
                on_error=self.remove,
            )
            self._pushed.append(stream)
            return stream

    def put(self, stream: PushedStream, make: MakeFrame) -> None:
        """Leave a stream's newest frame, from any thread; never waits.

        Args:
            stream: that `add` gave.
            make: makes the frame, on the stream's thread: what gives way is never converted.
        """
        stream.put(make)

    def remove(self, stream: PushedStream) -> None:
        """Serve it no more. May be called twice."""
        with self._lock:
            if stream not in self._pushed:
                return
            self._pushed.remove(stream)
        stream.close()

    # --- all of them ---

    def _new_segmenter(self, faces: FaceSettings, *, soft: bool) -> Segmenter:
        return Segmenter(
            backend=self.backend,
            faces=faces,
            soft=soft,
            finder="parsing" if self._finder is None else self._finder,
        )

    def _check_room(self) -> None:
        if len(self.streams) >= self.most_streams:
            raise ServerFullError(
                f"{len(self.streams)} are served already, which is as many as are allowed; "
                "try again later"
            )

    def close(self) -> None:
        """End every stream in order: files are finished. May be called twice."""
        with self._lock:
            leaving = [*self._leaving, *self._started.values()]
            pushed, self._pushed = self._pushed, []
            self._started = {}
        for source in leaving:
            source.stop()
        for stream in pushed:
            stream.close()
        deadline = time.monotonic() + STOP_SECONDS
        for source in leaving:
            # one that is only being opened has nothing to finish, and is not waited for
            while not source.join(0.05) and source.holds_outputs:
                if time.monotonic() > deadline:
                    _log.warning("%s does not end; left behind", source.name)
                    break
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
