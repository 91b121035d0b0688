"""The page of a server: a wall of all streams' pictures, a page for each, and statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rtseg.serving.metrics import ServerCollector, registry_of, server_json
from rtseg.serving.source_stream import SourceStream
from rtseg.serving.stream_server import StreamServer
from rtseg.settings import WebSettings
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.live_page import LivePage
from rtseg.sinks.web.served_page import ServedPage
from rtseg.sinks.web.server import PAGE_ASSETS, Route, WebServer

_ASSETS = {
    "/": ("wall.html", "text/html"),
    "/wall.css": ("wall.css", "text/css"),
    "/wall.js": ("wall.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"/streams/{{name}}{path}": asset for path, asset in PAGE_ASSETS.items()},
}

TILE_WIDTHS = (64, 1280)
"""The least and greatest width of a picture on the wall, in pixels."""

_TILE_WIDTH = 480


class WallPage(ServedPage):
    """Serves the wall.

    Args:
        address: the address to listen on.
        server: the server whose streams are shown; this object provides its `make_page`.
        settings: token, certificate, the most viewers of a stream, and whether streams without
            viewers or other outputs keep running.

    Attributes:
        problems: the problems of streams that cannot be served, by name; shown beside the others.

    Raises:
        SettingError: the certificate cannot be used.
    """

    def __init__(
        self, address: WebAddress, server: StreamServer, *, settings: WebSettings | None = None
    ) -> None:
        self._settings = settings or WebSettings()
        super().__init__(WebServer(address, self._settings, assets=_ASSETS))
        self._streams = server
        self._collector = ServerCollector(server, {})
        self._registry = registry_of(self._collector)
        server.make_page = self._make_page

    @property
    def problems(self) -> Mapping[str, str]:
        """See the class."""
        return self._collector.problems

    @problems.setter
    def problems(self, problems: Mapping[str, str]) -> None:
        self._collector.problems = problems

    def routes(self) -> Sequence[Route]:
        """See `ServedPage.routes`."""
        return [
            Route(method="GET", path="/stats", handler=self._stats),
            Route(method="GET", path="/metrics", handler=self._metrics),
            Route(method="GET", path="/streams/{name}/picture.jpg", handler=self._picture),
            Route(method="*", path="/streams/{name}/{path}", handler=self._of_stream),
        ]

    def _make_page(self, _stream: SourceStream) -> LivePage:
        return LivePage(
            self._server.loop,
            address=lambda: self._server.address,
            max_viewers=self._settings.max_viewers,
            always=self._settings.always,
            threads=1,
        )

    # --- on the event loop ---

    async def _stats(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response(server_json(self._streams, self.problems))

    async def _metrics(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        width = request.query.get("width", str(_TILE_WIDTH))
        low, high = TILE_WIDTHS
        if not width.isascii() or not width.isdecimal() or not low <= int(width[:6]) <= high:
            raise web.HTTPBadRequest(text=f"width: allowed: {low} to {high}\n")
        jpeg = await self._page(request).picture(width=int(width))
        if jpeg is None:
            raise _nothing()
        return web.Response(body=jpeg, content_type="image/jpeg")

    async def _of_stream(self, request: web.Request) -> web.StreamResponse:
        page = self._page(request)
        handler = page.handlers.get((request.method, request.match_info["path"]))
        if handler is None:
            raise web.HTTPNotFound(text="there is no such page\n")
        return await handler(request)

    def _page(self, request: web.Request) -> LivePage:
        """The page of the requested stream.

        Raises:
            HTTPNotFound: there is no such stream.
            HTTPServiceUnavailable: it has no picture at the moment.
        """
        name = request.match_info["name"]
        for stream in self._streams.started:
            if stream.name == name:
                if stream.page is None or not stream.page.is_open:
                    raise _nothing()
                return stream.page
        raise web.HTTPNotFound(text="there is no such stream\n")

    async def end(self) -> None:
        """See `ServedPage.end`."""
        for stream in self._streams.started:
            if stream.page is not None:
                await stream.page.end()


def _nothing() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(
        text="no picture is available yet\n", headers={"Retry-After": "2"}
    )
