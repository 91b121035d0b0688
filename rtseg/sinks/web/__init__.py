"""A live page for browsers: the picture by WebRTC or MJPEG, statistics, legend and controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rtseg.errors import SettingError
from rtseg.settings import WebSettings
from rtseg.sinks.web.address import WebAddress, parse_address
from rtseg.sinks.web.page_state import PageState

if TYPE_CHECKING:
    from rtseg.sinks.web.sink import WebSink

__all__ = ["PageState", "WebAddress", "check_web_installed", "open_web_sink", "parse_address"]


def open_web_sink(
    address: str | WebAddress,
    *,
    settings: WebSettings | None = None,
    state: Callable[[], PageState] = PageState,
    threads: int = 0,
) -> WebSink:
    """Make the sink behind `--web`, closed; `Sink.open` opens it.

    Args:
        address: `[HOST:]PORT`.
        settings, state, threads: as for `WebSink`.

    Raises:
        SettingError: the address is invalid, the certificate cannot be used, or rtseg was installed
            without the extra `web`.
    """
    check_web_installed()
    from rtseg.sinks.web.sink import WebSink

    parsed = parse_address(address) if isinstance(address, str) else address
    return WebSink(parsed, settings=settings, state=state, threads=threads)


def check_web_installed(option: str = "web") -> None:
    """Raise SettingError if the extra `web` is not installed."""
    try:
        import aiohttp  # noqa: F401
        import aiortc  # noqa: F401
        import prometheus_client  # noqa: F401
    except ImportError as error:
        raise SettingError(
            f"`{option}`: {error.name} is not installed; pip install 'rtseg[web]'"
        ) from None
