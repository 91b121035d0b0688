"""Parse the names of inputs and outputs (paths, URLs), and hide secrets when showing them."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

STANDARD_INPUT = "-"

LIVE_SCHEMES = frozenset(
    {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "srtp", "udp", "srt", "tcp", "mms", "mmsh"}
)
"""URL schemes whose frames arrive in real time."""

_SECRET_IN_PATH = re.compile(
    r"(?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|key|auth|secret)=.*", re.IGNORECASE
)


def scheme_of(location: str) -> str | None:
    """The scheme of a URL in lower case; None for a path. One letter is a Windows drive."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", location)
    return match[1].lower() if match else None


def url_scheme(name: str) -> str | None:
    """The scheme in lower case of anything written like a URL, even with a slash missing.

    None otherwise. `rtmp:/host/live` is a typing error rather than a folder of that name; one
    letter is a Windows drive.
    """
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/", name)
    return match[1].lower() if match else None


def local_path(location: str) -> Path | None:
    """The file that a location names, with `~` expanded; None for other URLs and `-`."""
    if location == STANDARD_INPUT:
        return None
    scheme = scheme_of(location)
    if scheme == "file":
        return Path(unquote(urlsplit(location).path))
    return Path(location).expanduser() if scheme is None else None


def display_name(location: str) -> str:
    """The location as shown to people: a file name, or a URL without credentials and query."""
    if location == STANDARD_INPUT:
        return "standard input"
    path = local_path(location)
    if path is not None:
        return path.name or str(path)
    scheme, _, rest = location.partition("://")
    address, slash, path_and_query = rest.partition("/")
    # A password may contain "/", "?" and "#" unescaped, so nothing before the last "@" is shown.
    if "@" in path_and_query and "@" not in address and ":" in address:
        address, slash, path_and_query = path_and_query.rpartition("@")[2].partition("/")
    host = address.rpartition("@")[2].partition("?")[0].partition("#")[0]
    shown_path = path_and_query.partition("?")[0].partition("#")[0]
    return f"{scheme}://{host}{slash}{_SECRET_IN_PATH.sub('***', shown_path)}"
