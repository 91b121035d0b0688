"""The page's web server: an event loop on its own thread, with a limit on connections.

Every response comes from memory; a request's path is never used as a file path.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any, TypeVar

from aiohttp import web

from rtseg.errors import SettingError, SinkError
from rtseg.settings import WebSettings
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.gate import Gate

T = TypeVar("T")

LARGEST_REQUEST_BYTES = 64 << 10
"""The largest request body in bytes; an offer takes a tenth of that."""

HALF_OPEN_SECONDS = 10.0
"""Seconds that a connection may stay idle, and that a request may take to arrive."""

CONNECTIONS_A_VIEWER = 8
"""Connections accepted beyond the number of viewers: browsers open six each."""

_START_SECONDS = 15.0
_STOP_SECONDS = 5.0
PAGE_ASSETS: Mapping[str, tuple[str, str]] = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""The live page of one run: file and kind of each path."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path and the coroutine that answers it on the event loop."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebServer:
    """Serves the page, the given routes and `/healthz`.

    Used on one thread; its loop runs on another.

    Args:
        address: the address to listen on.
        settings: token, certificate, and the most viewers.
        assets: the page's own files by path, with their content types.

    Attributes:
        address: once open, with the actual port.
        token: the token that viewers need; None if anybody on this machine may watch.
        loop: the event loop.

    Raises:
        SettingError: the certificate cannot be used.
    """

    def __init__(
        self,
        address: WebAddress,
        settings: WebSettings,
        *,
        assets: Mapping[str, tuple[str, str]] = PAGE_ASSETS,
    ) -> None:
        self._assets = assets
        self.address = address
        self._settings = settings
        self.token = settings.token
        if self.token is None and not address.is_loopback:
            self.token = secrets.token_urlsafe(16)
        self._tls = _tls_context(settings)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rtseg-web", daemon=True)
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The URL to open, including the token if there is one."""
        scheme = "http" if self._tls is None else "https"
        query = "" if self.token is None else f"?token={self.token}"
        return f"{scheme}://{self.address.shown_host}:{self.address.port}/{query}"

    def open(self, routes: Sequence[Route]) -> None:
        """Start listening.

        Raises:
            SinkError: the port is in use, or the host is not this machine's.
        """
        self._thread.start()
        try:
            self.call(self._open(routes), seconds=_START_SECONDS)
        except OSError as error:
            raise SinkError(
                f"http://{self.address.shown_host}:{self.address.port}: cannot listen on it: "
                f"{error.strerror or error}; give another port, or 0 for any free one"
            ) from None

    def call(self, work: Coroutine[Any, Any, T], *, seconds: float) -> T:
        """Run a coroutine on the loop, and wait for it up to a time limit."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)

    def at_close(self, work: Callable[[], Awaitable[None]]) -> None:
        """Register a coroutine to run before the server closes."""
        self._closing.append(work)

    def close(self) -> None:
        """Stop listening and end all connections. May be called twice."""
        if not self._thread.is_alive():
            if not self.loop.is_running() and not self.loop.is_closed():
                self.loop.close()
            return
        try:
            self.call(self._close(), seconds=_STOP_SECONDS)
        except TimeoutError:
            _log.warning("the web server did not stop in time; its thread is abandoned")
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
            self.loop.close()

    async def _open(self, routes: Sequence[Route]) -> None:
        # The gate learns the port once it is bound; connections are accepted after that.
        server = await self.loop.create_server(
            self._protocol,
            self.address.host,
            self.address.port,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else HALF_OPEN_SECONDS,
            start_serving=False,
        )
        port = server.sockets[0].getsockname()[1]
        self.address = replace(self.address, port=port)
        gate = Gate(self.address, token=self.token, is_secure=self._tls is not None)

        @web.middleware
        async def gatekeeper(request: web.Request, handler: Any) -> web.StreamResponse:
            return await gate.check(request, handler)

        app = web.Application(middlewares=[gatekeeper], client_max_size=LARGEST_REQUEST_BYTES)
        for path, (name, kind) in self._assets.items():
            app.router.add_get(path, _asset(name, kind))
        app.router.add_get("/healthz", _health)
        for route in routes:
            app.router.add_route(route.method, route.path, route.handler)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            keepalive_timeout=HALF_OPEN_SECONDS,
            lingering_time=0.0,
            shutdown_timeout=1.0,
        )
        await self._runner.setup()
        self._server = server
        await server.start_serving()

    def _protocol(self) -> asyncio.BaseProtocol:
        """Make the protocol for a new connection; beyond the limit, one that hangs up."""
        assert self._runner is not None
        server = self._runner.server
        assert server is not None
        most = CONNECTIONS_A_VIEWER * (self._settings.max_viewers + 1)
        if len(server.connections) >= most:
            return _HangUp()
        return server()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        for work in self._closing:
            try:
                await asyncio.wait_for(work(), 2.0)
            except TimeoutError:
                _log.warning("a viewer's connection did not close in time")
        if self._runner is not None:
            await self._runner.cleanup()
        current = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() if task is not current]
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1.0) if left else None


class _HangUp(asyncio.Protocol):
    """Closes a connection beyond the limit."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def json_of(request: web.Request) -> Mapping[str, Any]:
    """Read the JSON object in a request's body.

    Raises:
        HTTPRequestEntityTooLarge, HTTPRequestTimeout, HTTPBadRequest: it has none.
    """
    if (request.content_length or 0) > LARGEST_REQUEST_BYTES:
        raise web.HTTPRequestEntityTooLarge(
            max_size=LARGEST_REQUEST_BYTES, actual_size=request.content_length or 0
        )
    try:
        data = await asyncio.wait_for(request.read(), HALF_OPEN_SECONDS)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the request did not arrive in time\n") from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise web.HTTPBadRequest(text="the body is not JSON\n") from None
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text="an object is needed\n")
    return value


async def _health(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="ok\n")


def _asset(name: str, kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    data = resources.files("rtseg.web").joinpath(name).read_bytes()

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, content_type=kind, charset="utf-8")

    return answer


def _tls_context(settings: WebSettings) -> ssl.SSLContext | None:
    if settings.ssl_cert is None or settings.ssl_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.ssl_cert, settings.ssl_key)
    except (OSError, ssl.SSLError) as error:
        raise SettingError(
            f"`ssl_cert` {settings.ssl_cert}, `ssl_key` {settings.ssl_key}: cannot be used: "
            f"{error.strerror or error}; both are PEM files, and belong together"
        ) from None
    return context
