"""Parse the address that the web page is served at: `[HOST:]PORT`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from rtseg.errors import SettingError

LOOPBACK = "127.0.0.1"

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class WebAddress:
    """A host and port to listen on; port 0 means any free port.

    Attributes:
        host: a name or an IP address, without brackets.
        port: 0..65535.
    """

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether it is reachable from this machine only."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def shown_host(self) -> str:
        """The host for a URL; a wildcard address is shown as this machine's own."""
        if self.host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
            return LOOPBACK
        return f"[{self.host}]" if ":" in self.host else self.host


def parse_address(text: str, *, option: str = "web") -> WebAddress:
    """Parse `8000`, `0.0.0.0:8000`, `[::1]:8000` or `my-host:8000`.

    Raises:
        SettingError: it is not an address.
    """
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = LOOPBACK, text
    is_bracketed = host.startswith("[") and host.endswith("]")
    if is_bracketed:
        host = host[1:-1]
    number = int(port) if port.isascii() and port.isdecimal() else -1
    has_no_host = not host or any(c in host for c in "/@[] ") or (":" in host and not is_bracketed)
    if has_no_host or not 0 <= number <= 65535:
        raise SettingError(
            f"`{option}`: {text!r} is not an address; allowed: PORT, HOST:PORT or [IPv6]:PORT, the "
            "port 0 to 65535 (0 is any free one)"
        )
    return WebAddress(host=host, port=number)
