"""Access control of the page: the token, and checks of the host and origin.

Without a token (on a loopback address), the danger is another site in the same browser: it may send
requests to this server, or point its own host name at 127.0.0.1 (DNS rebinding). So the Host header
must name this machine, and the Origin that browsers send must be this page.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import web

from rtseg.sinks.web.address import LOOPBACK_NAMES, WebAddress

if TYPE_CHECKING:
    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

OPEN_PATHS = frozenset({"/healthz"})
"""Paths that need no token: whether the process is alive is no secret."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every response: no caching, framing, type guessing or foreign resources."""


class Gate:
    """Accepts a request, or rejects it with a reason.

    Args:
        address: the address of the page.
        token: the token that requests must have; None if anybody on this machine may watch.
        is_secure: whether the page is served over https.
    """

    def __init__(self, address: WebAddress, *, token: str | None, is_secure: bool) -> None:
        self._address = address
        self._token = token
        self._is_secure = is_secure
        # Not the token itself, so that a stolen cookie is worth nothing anywhere else.
        salt = secrets.token_bytes(16)
        self._cookie = hmac.new(salt, (token or "").encode(), hashlib.sha256).hexdigest()

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check every request, as a middleware."""
        try:
            response = await self._passed(request, handler)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _passed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._check_host(request)
        self._check_origin(request)
        if request.method not in ("GET", "HEAD") and request.content_type != "application/json":
            # Another site's form can be submitted without permission, but never as JSON.
            raise web.HTTPUnsupportedMediaType(text="send application/json\n")
        if self._token is None or request.path in OPEN_PATHS:
            return await handler(request)
        token = request.query.get("token")
        if token is not None and not self._is_right(token, self._token):
            raise web.HTTPUnauthorized(text="the token is wrong\n")
        if token is not None and request.path == "/" and request.method == "GET":
            raise self._signed_in()
        if token is None and not self._is_known(request):
            raise web.HTTPUnauthorized(
                text="this page needs its token: open it as printed, with ?token=…\n",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await handler(request)

    def _check_host(self, request: web.Request) -> None:
        if self._token is not None:
            return  # a user sent here under another host name does not know it
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        if name not in LOOPBACK_NAMES and name != self._address.host.lower():
            raise web.HTTPForbidden(text=f"this page is not served for {name[:100]}\n")

    def _check_origin(self, request: web.Request) -> None:
        """Reject requests of other sites' pages; programs other than browsers send no Origin."""
        origin = request.headers.get("Origin")
        page_origin = (
            f"{'https' if self._is_secure else 'http'}://{request.headers.get('Host', '')}"
        )
        if origin is not None and origin.lower() != page_origin.lower():
            raise web.HTTPForbidden(text="another site's page may not request this\n")
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_visit = (
            request.method == "GET"
            and request.path == "/"
            and request.headers.get("Sec-Fetch-Mode") == "navigate"
            and request.headers.get("Sec-Fetch-Dest") == "document"
        )
        if site not in ("none", "same-origin") and not is_visit:
            raise web.HTTPForbidden(text="another site's page may not request this\n")

    def _is_right(self, token: str, expected: str) -> bool:
        return hmac.compare_digest(token.encode(), expected.encode())

    def _is_known(self, request: web.Request) -> bool:
        kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._token is not None:
            return self._is_right(bearer.strip(), self._token)
        return self._is_right(request.cookies.get(self._cookie_name(request), ""), self._cookie)

    def _signed_in(self) -> web.HTTPSeeOther:
        """Redirect so that the token leaves the address bar and the history."""
        response = web.HTTPSeeOther("/")
        response.set_cookie(
            self._cookie_name(None),
            self._cookie,
            httponly=True,
            secure=self._is_secure,
            # A strict cookie would not be sent right after following a link from a chat.
            samesite="Lax",
            path="/",
        )
        return response

    def _cookie_name(self, _request: web.Request | None) -> str:
        """The cookie's name, with the port, since browsers share cookies among a host's ports."""
        return f"rtseg-{self._address.port}"
