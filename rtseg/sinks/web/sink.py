"""The sink behind `--web`: whoever opens the page sees the newest picture."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from rtseg.errors import RtsegError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.labels import LabelSet
from rtseg.media.info import SourceInfo
from rtseg.settings import WebSettings
from rtseg.sinks.base import Event, Outcome, Sink
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.broadcast import Broadcast, Viewer
from rtseg.sinks.web.page_state import PageState, event_of, view_json
from rtseg.sinks.web.peers import OfferError, Peer
from rtseg.sinks.web.server import Route, WebServer, json_of

SLOW_SECONDS = 5.0
"""A viewer that does not take one picture within that is dropped."""

SNAPSHOT_SECONDS = 10.0
"""How long a snapshot may wait for a picture: the run may have to wake up for it."""

SEND_BUFFER_BYTES = 256 << 10
"""Of an MJPEG connection: a few pictures of 1280x720."""

_MOST_EVENTS = 32
_TOO_MANY = "too many watch already; try again later, or have --max-viewers raised\n"


class WebSink(Sink):
    """Serves the page. Neither `write` nor anything else here waits for a viewer.

    Args:
        address: where; port 0 is any free one.
        settings: token, certificate, how many may watch, whether to go on when nobody does.
        state: asked for what the page shows beside the picture, on the server's thread.
        threads: for encoding.

    Attributes:
        url: what a person opens, with the token where one is needed; once it is open.
        on_open: gets the URL once it is open.

    Raises:
        SettingError: the certificate cannot be used.
    """

    wants_pixels = True
    wants_real_time = True

    def __init__(
        self,
        address: WebAddress,
        *,
        settings: WebSettings | None = None,
        state: Callable[[], PageState] = PageState,
        threads: int = 0,
    ) -> None:
        self._settings = settings or WebSettings()
        self._server = WebServer(address, self._settings)
        self._threads = threads
        self.state = state
        self.on_open: Callable[[str], None] | None = None
        self._broadcast: Broadcast | None = None
        self._peers: set[Peer] = set()
        self._events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        self._labels: LabelSet | None = None
        self._faces = 0
        self._stopped_at = 0.0

    @property
    def url(self) -> str:
        """What a person opens. It holds the token: it is for the one who started the run."""
        return self._server.url

    @property
    def is_wanted(self) -> bool:  # type: ignore[override]
        """Whether anybody watches, or `always` is set."""
        return self._settings.always or (self._broadcast is not None and self._broadcast.is_watched)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Begin to listen. See `Sink.open`."""
        self._info = info
        self._size = (width, height)
        self._broadcast = Broadcast(
            self._server.loop,
            most_viewers=self._settings.max_viewers,
            threads=self._threads,
        )
        self._server.at_close(self._end_peers)
        self._server.open(
            [
                Route(method="GET", path="/stream.mjpg", handler=self._mjpeg),
                Route(method="GET", path="/snapshot.jpg", handler=self._snapshot),
                Route(method="GET", path="/stats", handler=self._stats),
                Route(method="GET", path="/healthz", handler=self._health),
                Route(method="POST", path="/control", handler=self._control),
                Route(method="POST", path="/offer", handler=self._offer),
            ]
        )
        if self.on_open is not None:
            self.on_open(self.url)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Show one picture to whoever watches. See `Sink.write`."""
        if picture is None:
            raise SinkError("the page needs the rendered view, and was given none")
        broadcast = self._opened()
        if broadcast.error is not None:
            raise broadcast.error
        self._labels = segmentation.label_set
        self._faces = len(segmentation.faces)
        broadcast.offer(picture[..., :3], frame.captured_ns or time.monotonic_ns())

    def poll(self) -> tuple[Event, ...]:
        """What was asked on the page since."""
        events = []
        while self._events:
            events.append(self._events.popleft())
        return tuple(events)

    def close(self, outcome: Outcome) -> None:
        """End everybody's stream, and listen no more."""
        if self._broadcast is not None:
            self._broadcast.close()
        self._server.close()

    def describe(self) -> str:
        """Where the page was, without its token."""
        return self._server.url.partition("?")[0]

    def _opened(self) -> Broadcast:
        if self._broadcast is None:
            raise SinkError("the page is not open")
        return self._broadcast

    # --- on the event loop ---

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

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
        viewer = self._join("snapshot")
        try:
            jpeg = await asyncio.wait_for(viewer.next(), SNAPSHOT_SECONDS)
        except TimeoutError:
            raise web.HTTPServiceUnavailable(
                text="there is no picture now\n", headers={"Retry-After": "5"}
            ) from None
        finally:
            self._opened().leave(viewer)
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _offer(self, request: web.Request) -> web.StreamResponse:
        offer = await json_of(request)
        sdp = offer.get("sdp")
        if not isinstance(sdp, str):
            raise web.HTTPBadRequest(text="sdp: a text is needed\n")
        viewer = self._join("webrtc")
        peer = Peer(
            self._opened(),
            viewer,
            address=self._server.address,
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

    async def _end_peers(self) -> None:
        for viewer in self._opened().viewers:
            viewer.close()
        for peer in tuple(self._peers):
            await peer.close()


def _bound_buffer(request: web.Request) -> None:
    """Keep the system from holding seconds of pictures back for one that reads slowly."""
    connection = None if request.transport is None else request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


async def send_mjpeg(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """Send a viewer's pictures until it has gone, or is too slow: then it is dropped."""
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
