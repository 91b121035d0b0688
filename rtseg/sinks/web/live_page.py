"""One live picture over HTTP (page, stream, snapshot, figures), for any server to serve."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from rtseg.errors import RtsegError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.labels import LabelSet
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Event, Outcome, Sink
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.broadcast import Broadcast, Kind, Viewer
from rtseg.sinks.web.page_state import PageState, event_of, view_json
from rtseg.sinks.web.peers import OfferError, Peer
from rtseg.sinks.web.server import json_of

SLOW_SECONDS = 5.0
"""Seconds after which a viewer that has not accepted a picture is disconnected."""

SNAPSHOT_SECONDS = 10.0
"""Seconds that a snapshot waits for a picture: the run may have to wake up for it."""

GLANCE_SECONDS = 3.0
"""Seconds that a run continues after a small picture was fetched, as another is likely to be."""

SEND_BUFFER_BYTES = 256 << 10
"""The send buffer of an MJPEG connection: a few pictures of 1280x720."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MOST_EVENTS = 32
_TOO_MANY = "too many viewers; try again later, or have --max-viewers raised\n"


class LivePage(Sink):
    """Shows a run's newest picture to viewers, and passes on their requests.

    It does not listen itself: a server has to serve its `handlers`. Neither `write` nor anything
    else in this class waits for a viewer.

    Args:
        loop: the server's event loop.
        address: returns the server's address, once it is listening.
        max_viewers: the most viewers at a time.
        always: whether the run continues while nobody watches.
        state: returns what the page shows beside the picture; called on the server's thread.
        threads: threads for encoding.
    """

    wants_pixels = True
    wants_real_time = True

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        address: Callable[[], WebAddress],
        max_viewers: int,
        always: bool,
        state: Callable[[], PageState] = PageState,
        threads: int = 0,
    ) -> None:
        self._loop = loop
        self._address = address
        self._max_viewers = max_viewers
        self._always = always
        self._threads = threads
        self.state = state
        self._broadcast: Broadcast | None = None
        self._peers: set[Peer] = set()
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._labels: LabelSet | None = None
        self._faces = 0
        self._glanced = float("-inf")
        self.handlers: Mapping[tuple[str, str], Handler] = {
            ("GET", "stream.mjpg"): self._mjpeg,
            ("GET", "snapshot.jpg"): self._snapshot,
            ("GET", "stats"): self._stats,
            ("POST", "control"): self._control,
            ("POST", "offer"): self._offer,
        }

    @property
    def is_wanted(self) -> bool:  # type: ignore[override]
        """Whether anybody watches, or fetched a picture just now, or `always` is set."""
        if self._always or time.monotonic() < self._glanced + GLANCE_SECONDS:
            return True
        return self._broadcast is not None and self._broadcast.is_watched

    @property
    def is_open(self) -> bool:
        """Whether viewers can connect."""
        return self._broadcast is not None

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Get ready for viewers. See `Sink.open`."""
        self._info = info
        self._size = (width, height)
        self._broadcast = Broadcast(
            self._loop, most_viewers=self._max_viewers, threads=self._threads
        )

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Show one picture to all viewers. See `Sink.write`."""
        if picture is None:
            raise SinkError("the page needs the rendered view, and was given none")
        broadcast = self._opened()
        if broadcast.error is not None:
            raise broadcast.error
        self._labels = segmentation.label_set
        self._faces = len(segmentation.faces)
        broadcast.offer(picture[..., :3], frame.captured_ns or time.monotonic_ns())

    def poll(self) -> tuple[Event, ...]:
        """The requests made on the page since the last call."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return tuple(events)

    def close(self, outcome: Outcome) -> None:
        """Accept no more pictures; `end` ends the viewers' connections."""
        if self._broadcast is not None:
            self._broadcast.close()

    def picture(self, *, width: int) -> Awaitable[bytes | None]:
        """Return the next picture as a small JPEG, or None if none comes. Runs on the event loop.

        Args:
            width: the greatest width of the picture in pixels.
        """
        self._glanced = time.monotonic()
        return self._one("tile", width=width)

    def leave(self) -> None:
        """End all viewers' connections, from any thread; does not wait."""
        if not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.end(), self._loop)

    async def end(self) -> None:
        """End all viewers' connections. Runs on the event loop."""
        if self._broadcast is None:
            return
        for viewer in self._broadcast.viewers:
            viewer.close()
        for peer in tuple(self._peers):
            await peer.close()

    def _opened(self) -> Broadcast:
        if self._broadcast is None:
            raise SinkError("the page is not open")
        return self._broadcast

    # --- on the event loop ---

    async def _stats(self, _request: web.Request) -> web.StreamResponse:
        broadcast = self._opened()
        state = self.state()
        ages = broadcast.ages
        now = time.monotonic()
        width, height = self._size
        return web.json_response(
            {
                "source": self._info.name,
                "width": width,
                "height": height,
                "status": state.status,
                "frames_per_second": round(state.frames_per_second, 2),
                "shown_per_second": round(broadcast.frames_per_second, 2),
                "latency_ms": {"p50": round(ages.p50, 1), "p95": round(ages.p95, 1)},
                "dropped": state.dropped,
                "reconnects": state.reconnects,
                "faces": self._faces,
                "backend": state.backend,
                "is_paused": state.is_paused,
                "is_recording": state.is_recording,
                "notices": list(state.notices),
                "picture": view_json(state, self._labels),
                "viewers": [
                    {
                        "number": viewer.number,
                        "kind": viewer.kind,
                        "seconds": round(now - viewer.since, 1),
                        "delivered": viewer.delivered,
                        "dropped": viewer.dropped,
                    }
                    for viewer in broadcast.viewers
                ],
            }
        )

    async def _control(self, request: web.Request) -> web.StreamResponse:
        try:
            event = event_of(await json_of(request))
        except RtsegError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        self._events.append(event)
        return web.json_response({"taken": True})

    def _join(self, kind: Any) -> Viewer:
        viewer = self._opened().join(kind)
        if viewer is None:
            raise web.HTTPServiceUnavailable(text=_TOO_MANY, headers={"Retry-After": "10"})
        return viewer

    async def _mjpeg(self, request: web.Request) -> web.StreamResponse:
        viewer = self._join("mjpeg")
        try:
            return await send_mjpeg(request, viewer)
        finally:
            self._opened().leave(viewer)

    async def _snapshot(self, _request: web.Request) -> web.StreamResponse:
        jpeg = await self._one("snapshot")
        if jpeg is None:
            raise web.HTTPServiceUnavailable(
                text="no picture is available\n", headers={"Retry-After": "5"}
            )
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _one(self, kind: Kind, *, width: int = 0) -> bytes | None:
        """Wait for the next picture and return it as a JPEG, or None if none comes in time."""
        viewer = self._join(kind)
        viewer.width = width
        try:
            jpeg = await asyncio.wait_for(viewer.next(), SNAPSHOT_SECONDS)
        except TimeoutError:
            return None
        finally:
            self._opened().leave(viewer)
        return jpeg if isinstance(jpeg, bytes) else None

    async def _offer(self, request: web.Request) -> web.StreamResponse:
        offer = await json_of(request)
        sdp = offer.get("sdp")
        if not isinstance(sdp, str):
            raise web.HTTPBadRequest(text="sdp: must be a string\n")
        viewer = self._join("webrtc")
        peer = Peer(
            self._opened(),
            viewer,
            address=self._address(),
            on_end=self._peers.discard,
        )
        self._peers.add(peer)
        try:
            answer = await asyncio.wait_for(peer.answer(sdp), SLOW_SECONDS)
        except OfferError as error:
            await peer.close()
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        except BaseException:
            await peer.close()
            raise
        return web.json_response({"type": "answer", "sdp": answer, "viewer": viewer.number})


def _bound_buffer(request: web.Request) -> None:
    """Keep the system from buffering seconds of pictures for a slow reader."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def send_mjpeg(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """Send pictures to a viewer until it disconnects, or is disconnected for being too slow."""
    response = web.StreamResponse(
        headers={
            "Content-Type": "multipart/x-mixed-replace; boundary=picture",
            "Connection": "close",
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
    )
    await response.prepare(request)
    _bound_buffer(request)
    try:
        while isinstance(jpeg := await viewer.next(), bytes):
            head = f"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            await asyncio.wait_for(response.write(head.encode() + jpeg + b"\r\n"), SLOW_SECONDS)
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    return response
