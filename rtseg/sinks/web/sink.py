"""The sink behind `--web`: a page of its own for one run."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rtseg.media.info import SourceInfo
from rtseg.settings import WebSettings
from rtseg.sinks.base import Outcome
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.live_page import LivePage
from rtseg.sinks.web.page_state import PageState
from rtseg.sinks.web.server import Route, WebServer


class WebSink(LivePage):
    """Serves the page of one run.

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

    def __init__(
        self,
        address: WebAddress,
        *,
        settings: WebSettings | None = None,
        state: Callable[[], PageState] = PageState,
        threads: int = 0,
    ) -> None:
        settings = settings or WebSettings()
        self._server = WebServer(address, settings)
        super().__init__(
            self._server.loop,
            address=lambda: self._server.address,
            max_viewers=settings.max_viewers,
            always=settings.always,
            state=state,
            threads=threads,
        )
        self.on_open: Callable[[str], None] | None = None

    @property
    def url(self) -> str:
        """What a person opens. It holds the token: it is for the one who started the run."""
        return self._server.url

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Begin to listen. See `Sink.open`."""
        super().open(info, width=width, height=height)
        self._server.at_close(self.end)
        routes = [
            Route(method=method, path=f"/{name}", handler=handler)
            for (method, name), handler in self.handlers.items()
        ]
        self._server.open([*routes, Route(method="GET", path="/healthz", handler=_health)])
        if self.on_open is not None:
            self.on_open(self.url)

    def close(self, outcome: Outcome) -> None:
        """End everybody's stream, and listen no more."""
        super().close(outcome)
        self._server.close()

    def describe(self) -> str:
        """Where the page was, without its token."""
        return self._server.url.partition("?")[0]


async def _health(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="ok\n")
