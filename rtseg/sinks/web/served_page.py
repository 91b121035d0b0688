"""A page with a web server of its own: opening, listening and closing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.server import Route, WebServer


class ServedPage(ABC):
    """A page that listens from `open` until `close`.

    Args:
        server: serves the page and its routes; it is opened and closed with the page.
    """

    def __init__(self, server: WebServer) -> None:
        self._server = server

    @property
    def address(self) -> WebAddress:
        """The address it listens on, with the actual port once it is open."""
        return self._server.address

    @property
    def url(self) -> str:
        """The URL to open, including the token if one is needed."""
        return self._server.url

    @abstractmethod
    def routes(self) -> Sequence[Route]:
        """List what the page answers besides its own files."""

    @abstractmethod
    async def end(self) -> None:
        """End all connections. Called on the event loop, before the server stops."""

    def open(self) -> None:
        """Start listening.

        Raises:
            SinkError: the port is in use, or the host is not this machine's.
        """
        self._server.at_close(self.end)
        self._server.open(self.routes())

    def close(self) -> None:
        """End all connections, and stop listening."""
        self._server.close()
