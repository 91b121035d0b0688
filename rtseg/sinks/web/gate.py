"""Access control of the page: the token, and checks of the host and origin.

Without a token (on this machine's own address) another site in the same browser is the danger: it
may send requests here, or point a name of its own at 127.0.0.1 (DNS rebinding). So the host's name
must be this machine's, and what browsers say of where a request comes from must be this page.
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
"""What needs no token: that the process lives is no secret."""

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
"""On every answer: nothing is kept, framed, guessed or fetched from elsewhere."""


class Gate:
    """Lets a request through, or refuses it with the reason.

    Args:
        address: where the page is served.
        token: what must be known; None where anybody on this machine may look.
        is_secure: whether it is served by https.
    """

    def __init__(self, address: WebAddress, *, token: str | None, is_secure: bool) -> None:
        self._address = address
        self._token = token
        self._is_secure = is_secure
        # Not the token itself: what a browser keeps is worth nothing anywhere else.
        salt = secrets.token_bytes(16)
        self._cookie = hmac.new(salt, (token or "").encode(), hashlib.sha256).hexdigest()

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware of every request."""
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
            # What a form of another site can send without asking is never JSON.
            raise web.HTTPUnsupportedMediaType(text="send application/json\n")
        if self._token is None or request.path in OPEN_PATHS:
            return await handler(request)
        given = request.query.get("token")
        if given is not None and not self._is_right(given, self._token):
            raise web.HTTPUnauthorized(text="the token is wrong\n")
        if given is not None and request.path == "/" and request.method == "GET":
            raise self._signed_in()
        if given is None and not self._is_known(request):
            raise web.HTTPUnauthorized(
                text="this page needs its token: open it as printed, with ?token=…\n",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return await handler(request)

    def _check_host(self, request: web.Request) -> None:
        if self._token is not None:
            return  # who was led here under another name does not know it
        name = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        if name not in LOOPBACK_NAMES and name != self._address.host.lower():
            raise web.HTTPForbidden(text=f"this page is not {name[:100]}'s\n")

    def _check_origin(self, request: web.Request) -> None:
        """Refuse what another site's page asks for; programs other than browsers say nothing."""
        origin = request.headers.get("Origin")
        own = f"{'https' if self._is_secure else 'http'}://{request.headers.get('Host', '')}"
        if origin is not None and origin.lower() != own.lower():
            raise web.HTTPForbidden(text="another site's page may not ask this\n")
        site = request.headers.get("Sec-Fetch-Site", "none")
        is_visit = (
            request.method == "GET"
            and request.path == "/"
            and request.headers.get("Sec-Fetch-Mode") == "navigate"
            and request.headers.get("Sec-Fetch-Dest") == "document"
        )
        if site not in ("none", "same-origin") and not is_visit:
            raise web.HTTPForbidden(text="another site's page may not ask this\n")

    def _is_right(self, given: str, right: str) -> bool:
        return hmac.compare_digest(given.encode(), right.encode())

    def _is_known(self, request: web.Request) -> bool:
        kind, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._token is not None:
            return self._is_right(bearer.strip(), self._token)
        return self._is_right(request.cookies.get(self._cookie_name(request), ""), self._cookie)

    def _signed_in(self) -> web.HTTPSeeOther:
        """Take the token out of the address bar and the history."""
        response = web.HTTPSeeOther("/")
        response.set_cookie(
            self._cookie_name(None),
            self._cookie,
            httponly=True,
            secure=self._is_secure,
            # Strict would not come along right after a link from a chat was followed.
            samesite="Lax",
            path="/",
        )
        return response

    def _cookie_name(self, _request: web.Request | None) -> str:
        """Browsers share cookies among the ports of a host, so each port has its own."""
        return f"rtseg-{self._address.port}"
