"""The page that accepts each visitor's own camera, and returns it segmented."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from aiohttp import web

from rtseg.errors import RtsegError
from rtseg.frames import Frame, Picture
from rtseg.serving.pushed_stream import PushedStream
from rtseg.serving.stream_server import ServerFullError, StreamServer
from rtseg.settings import ViewSettings, WebSettings
from rtseg.sinks.base import ViewChange
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.broadcast import Broadcast
from rtseg.sinks.web.page_state import PageState, event_of, view_json
from rtseg.sinks.web.peers import OfferError, Peer
from rtseg.sinks.web.served_page import ServedPage
from rtseg.sinks.web.server import Route, WebServer, json_of
from rtseg.view_controls import described

ANSWER_SECONDS = 5.0

START_BITRATE = 2500
"""The initial bit rate of a visitor's camera in kilobits per second: enough for 720p at once."""

LARGEST_PIXELS = 1920 * 1080
"""Larger pictures are shrunk before they are segmented."""

_TIME_BASE = Fraction(1, 1_000_000)


class Visitor:
    """One visitor: an incoming camera, a stream of the server, an outgoing picture.

    Attributes:
        secret: known to the visitor's page, so that it can change only its own picture.
    """

    def __init__(self, page: VisitorPage, loop: asyncio.AbstractEventLoop, *, threads: int) -> None:
        self.secret = secrets.token_urlsafe(16)
        self.since = time.monotonic()
        self.notice = ""
        self.size = (0, 0)
        self._page = page
        self._count = 0
        self._broadcast = Broadcast(
            loop, most_viewers=1, threads=threads, name="rtseg-visitor-encode"
        )
        self.stream: PushedStream | None = None
        viewer = self._broadcast.join("webrtc")
        assert viewer is not None
        self.viewer = viewer
        self.peer = Peer(
            self._broadcast,
            viewer,
            address=page.address,
            on_frame=self._on_frame,
            on_end=self._on_end,
        )

    async def begin(self) -> None:
        """Start serving the visitor; loading a network takes a while, on another thread.

        Raises:
            ServerFullError: the server has its most streams.
        """
        self.stream = await asyncio.get_running_loop().run_in_executor(
            None,
            lambda: self._page.streams.add(
                "a visitor", deliver=self._deliver, view=self._page.view
            ),
        )

    @property
    def broadcast(self) -> Broadcast:
        """The pictures that are sent back."""
        return self._broadcast

    def _on_frame(self, picture: Any) -> None:
        """Accept a picture on the event loop; the work is done elsewhere."""
        if self.stream is None:
            return
        if self.stream.error is not None:
            asyncio.ensure_future(self.peer.close())  # noqa: RUF006  it ends by itself
            return
        index, captured_ns = self._count, time.monotonic_ns()
        self._count += 1
        self._page.streams.put(
            self.stream, lambda: frame_of(picture, index=index, captured_ns=captured_ns)
        )

    def _deliver(self, picture: Picture, frame: Frame) -> None:
        self.size = (frame.width, frame.height)
        self._broadcast.offer(picture, frame.captured_ns)

    def _on_end(self, _peer: Peer) -> None:
        self._page.forget(self)

    def close(self) -> None:
        """Release its resources; waits briefly for a thread."""
        if self.stream is not None:
            self._page.streams.remove(self.stream)
        self._broadcast.close()


class VisitorPage(ServedPage):
    """Serves the page to visitors.

    Args:
        address: the address to listen on.
        streams: segments the pictures; it stays open.
        settings: token and certificate.
        view: the initial view.
        threads: threads for encoding each visitor's picture.

    Raises:
        SettingError: the certificate cannot be used.
    """

    def __init__(
        self,
        address: WebAddress,
        streams: StreamServer,
        *,
        settings: WebSettings | None = None,
        view: ViewSettings | None = None,
        threads: int = 1,
    ) -> None:
        super().__init__(WebServer(address, settings or WebSettings()))
        self.streams = streams
        self.view = view or ViewSettings()
        self._threads = threads
        self._visitors: dict[str, Visitor] = {}

    @property
    def visitors(self) -> tuple[Visitor, ...]:
        """The current visitors."""
        return tuple(self._visitors.values())

    def routes(self) -> Sequence[Route]:
        """See `ServedPage.routes`."""
        return [
            Route(method="GET", path="/stats", handler=self._stats),
            Route(method="POST", path="/visit", handler=self._visit),
            Route(method="POST", path="/control", handler=self._control),
        ]

    def forget(self, visitor: Visitor) -> None:
        """Handle the end of a visit, on the event loop."""
        if self._visitors.pop(visitor.secret, None) is not None:
            self._server.loop.run_in_executor(None, visitor.close)

    # --- on the event loop ---

    async def _visit(self, request: web.Request) -> web.StreamResponse:
        offer = await json_of(request)
        sdp = offer.get("sdp")
        if not isinstance(sdp, str):
            raise web.HTTPBadRequest(text="sdp: must be a string\n")
        if len(self._visitors) >= self.streams.most_streams:
            raise _full(f"{len(self._visitors)} visitors are here already; try again later")
        visitor = Visitor(self, self._server.loop, threads=self._threads)
        self._visitors[visitor.secret] = visitor
        try:
            await visitor.begin()
            answer = await asyncio.wait_for(
                visitor.peer.answer(sdp, start_bitrate=START_BITRATE), ANSWER_SECONDS
            )
        except ServerFullError as error:
            await visitor.peer.close()
            raise _full(str(error)) from None
        except OfferError as error:
            await visitor.peer.close()
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        except BaseException:
            await visitor.peer.close()
            raise
        return web.json_response({"type": "answer", "sdp": answer, "visitor": visitor.secret})

    async def _control(self, request: web.Request) -> web.StreamResponse:
        message = dict(await json_of(request))
        visitor = self._visitors.get(str(message.pop("visitor", "")))
        if visitor is None or visitor.stream is None:
            raise web.HTTPNotFound(text="this visit is over\n")
        try:
            event = event_of(message)
            if isinstance(event, ViewChange):
                visitor.stream.controls.change(event.fields)
            elif event == "hud":
                visitor.stream.view.toggle("hud")
        except RtsegError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        return web.json_response({"taken": True})

    async def _stats(self, request: web.Request) -> web.StreamResponse:
        current = self._visitors.get(request.query.get("visitor", ""))
        stream = None if current is None else current.stream
        figures = None if stream is None else stream.statistics
        ages = None if current is None else current.broadcast.ages
        now = time.monotonic()
        width, height = (0, 0) if current is None else current.size
        return web.json_response(
            {
                "source": "your camera",
                "visits": self.streams.most_streams,
                "width": width,
                "height": height,
                "status": "",
                "frames_per_second": 0 if figures is None else round(figures.frames_per_second, 2),
                "latency_ms": {
                    "p50": 0 if ages is None else round(ages.p50, 1),
                    "p95": 0 if ages is None else round(ages.p95, 1),
                },
                "dropped": 0 if figures is None else figures.dropped,
                "reconnects": 0,
                "faces": 0 if stream is None else stream.faces,
                "backend": described(self.streams.backend),
                "is_paused": False,
                "is_recording": False,
                "notices": [],
                "picture": {} if stream is None else _picture(stream),
                "viewers": [
                    {
                        "number": number,
                        "kind": "visitor",
                        "you": visitor is current,
                        "seconds": round(now - visitor.since, 1),
                        "delivered": visitor.viewer.delivered,
                        "dropped": visitor.viewer.dropped,
                    }
                    for number, visitor in enumerate(self.visitors, start=1)
                ],
            }
        )

    async def end(self) -> None:
        """See `ServedPage.end`."""
        for visitor in self.visitors:
            await visitor.peer.close()


def _picture(stream: PushedStream) -> dict[str, Any]:
    state = PageState(
        settings=stream.view.settings,
        effects=stream.controls.choices,
        chosen_effects=stream.controls.effects,
    )
    return view_json(state, stream.segmenter.label_set)


def _full(words: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text=f"{words}\n", headers={"Retry-After": "30"})


def frame_of(picture: Any, *, index: int, captured_ns: int) -> Frame:
    """Convert a decoded picture of a browser's camera to a frame of at most LARGEST_PIXELS."""
    scale = min(1.0, (LARGEST_PIXELS / (picture.width * picture.height)) ** 0.5)
    image = picture.to_ndarray(
        format="rgb24",
        width=max(16, round(picture.width * scale)),
        height=max(16, round(picture.height * scale)),
    )
    return Frame(
        image=image,
        index=index,
        pts=captured_ns // 1000,
        time_base=_TIME_BASE,
        captured_ns=captured_ns,
    )
