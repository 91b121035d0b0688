"""The sink behind `--web`: a page of its own for one run."""

from __future__ import annotations

from collections.abc import Callable

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
        address: the address to listen on; port 0 means any free port.
        settings: token, certificate, the most viewers, and whether to run without any.
        state: called on the server's thread for the page's state beside the picture.
        threads: encoder threads.

    Attributes:
        url: the URL to open, including the token if one is needed; known once open.
        on_open: called with the URL once it is open.

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
        """The URL to open. It contains the token, so show it only to whoever started the run."""
        return self._server.url

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Begin to listen. See `Sink.open`."""
        super().open(info, width=width, height=height)
        self._server.at_close(self.end)
        self._server.open(
            [
                Route(method=method, path=f"/{name}", handler=handler)
                for (method, name), handler in self.handlers.items()
            ]
        )
        if self.on_open is not None:
            self.on_open(self.url)

    def close(self, outcome: Outcome) -> None:
        """End everybody's stream, and listen no more."""
        super().close(outcome)
        self._server.close()

    def describe(self) -> str:
        """The page's address, without its token."""
        return self._server.url.partition("?")[0]
