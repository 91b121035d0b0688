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
from rtseg.settings import FaceSettings, ViewSettings, thread_count
from rtseg.weights import finder_checkpoint_path

if TYPE_CHECKING:
    from rtseg.sinks.web.live_page import LivePage

STOP_SECONDS = 20.0
"""Seconds that streams may take to finish their files before they are abandoned."""

GPU_STREAMS_AT_ONCE = 8
"""Frames in progress at once on a GPU: its largest batch. On a processor it is one more than there
are cores, so that no core waits while another frame is cropped, drawn or in the network."""

_log = logging.getLogger("rtseg")

__all__ = ["PushedStream", "ServerFullError", "SourceStream", "StreamDefinition", "StreamServer"]


class ServerFullError(RtsegError):
    """No more streams are accepted at the moment."""


class StreamServer:
    """Segments live streams with one backend, each with its own segmenter.

    Only the newest frame of each stream is processed. The stream that was served longest ago is
    next, so that none starves and none lags. Crops requested at nearly the same time form one
    batch, or run side by side on a processor. A failure in one stream does not affect the others.

    Streams are either started with a source and outputs (`start`, `replace`), or added without a
    source and then given frames (`add`, `put`).

    Args:
        backend: runs the network; it stays open.
        faces: how faces are detected, tracked and smoothed in added streams.
        most_streams: the most streams at a time.
        at_once: the number of streams whose frames are in progress together; 0 for a default that
            suits the device.
        make_page: makes the page that shows a started stream.

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
        usual = GPU_STREAMS_AT_ONCE if is_gpu else thread_count(0) + 1
        self.turns = Turns(at_once or usual)
        if is_gpu:
            backend.warm_up()
        self._stack = ExitStack()
        self.backend = self._share(backend)
        self._faces = faces or FaceSettings()
        self._lock = threading.Lock()
        self._pushed: list[PushedStream] = []
        self._started: dict[str, SourceStream] = {}
        self._leaving: list[SourceStream] = []
        self._finder = self._open_finder(backend)

    def _share(self, backend: Backend) -> SharedBackend:
        """A backend for all streams: in batches, or side by side on a processor."""
        shared = SharedBackend(
            backend,
            expected=lambda: self.turns.active,
            side_by_side=backend.side_by_side(min(self.turns.at_once, self.most_streams)),
        )
        self._stack.callback(shared.close)
        return shared

    def _open_finder(self, backend: Backend) -> Backend | None:
        """The finder network shared by all streams, opened as a segmenter would open it."""
        path = finder_checkpoint_path()
        if backend.model.view != "face" or path is None:
            return None
        finder = open_beside(backend, path)
        if finder is None:
            return None
        self._stack.enter_context(finder)
        if finder.device.startswith("cuda"):
            finder.warm_up()
        return self._share(finder)

    @property
    def streams(self) -> tuple[PushedStream | SourceStream, ...]:
        """The streams that are served now."""
        return (*self._pushed, *self._started.values())

    @property
    def started(self) -> tuple[SourceStream, ...]:
        """The streams with a source of their own, in order."""
        return tuple(self._started.values())

    # --- streams with a source ---

    def start(self, definition: StreamDefinition) -> SourceStream:
        """Start serving a stream, from its source to its outputs. Does not wait for it to open.

        Raises:
            SettingError: a stream with that name is served already.
            ServerFullError: the server has its most streams.
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
        """End a stream normally and stop serving it. Does not wait for its files; `close` does.

        Raises:
            SettingError: there is no stream with that name.
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
        """Serve these streams and no others. Unchanged ones continue without a gap.

        One that ended or failed is restarted even if it is unchanged. A changed one ends normally,
        and is started again once it has ended.

        Returns:
            The names of those `added`, `removed`, `changed`, `kept`, `restarted`.

        Raises:
            ServerFullError: there are more than allowed; nothing was changed.
            SettingError: two have the same name; nothing was changed.
        """
        by_name: dict[str, StreamDefinition] = {}
        for definition in definitions:
            if definition.name in by_name:
                raise SettingError(
                    f"`name`: {definition.name!r} is given twice; give each its own name"
                )
            by_name[definition.name] = definition
        done: dict[str, list[str]] = {
            kind: [] for kind in ("added", "removed", "changed", "kept", "restarted")
        }
        with self._lock:
            if len(by_name) + len(self._pushed) > self.most_streams:
                raise ServerFullError(
                    f"{len(by_name)} streams; allowed: {self.most_streams} at once"
                )
            before = self._started
            self._started = {}
            for name in before.keys() - by_name.keys():
                self._end(before[name])
                done["removed"].append(name)
            for name, definition in by_name.items():
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

    # --- streams that are given frames ---

    def add(self, name: str, *, deliver: Deliver, view: ViewSettings | None = None) -> PushedStream:
        """Add a stream whose frames are passed to `put`.

        Args:
            name: its name, for people.
            deliver: gets each drawn picture and its frame, on the stream's thread; must not wait.
            view: the initial view.

        Raises:
            ServerFullError: the server has its most streams.
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
        """Pass a stream its newest frame, from any thread; never waits.

        Args:
            stream: the stream, from `add`.
            make: makes the frame, on the stream's thread; not called if a newer frame replaces it.
        """
        stream.put(make)

    def remove(self, stream: PushedStream) -> None:
        """Stop serving a stream. May be called twice."""
        with self._lock:
            if stream not in self._pushed:
                return
            self._pushed.remove(stream)
        stream.close()

    # --- all streams ---

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
        """End every stream normally, so that files are finished. May be called twice."""
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
            # one that is still being opened has nothing to finish, and is not waited for
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
