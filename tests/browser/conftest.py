"""A real Chromium (Debian's) driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns,Translate,OptimizationHints,MediaRouter",
    # Load nothing except what the page requests.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-first-run",
    "--no-pings",
)
FAKE_CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")

PROBES = Path(__file__).with_name("probes.js")

Launch = Callable[..., Any]


def chromium_path() -> str | None:
    for name in ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture
def launch() -> Iterator[Launch]:
    """Start browsers, each in its own process; they end with the test."""
    path = chromium_path()
    if path is None:
        pytest.skip("Chromium is not installed")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browsers: list[Any] = []

        def start(*flags: str) -> Any:
            browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
            browsers.append(browser)
            return browser

        yield start
        for browser in browsers:
            browser.close()


@pytest.fixture
def open_page(launch: Launch) -> Callable[..., Any]:
    """Open a URL in a browser; an exception in the page's script fails the test."""
    browsers: dict[tuple[str, ...], Any] = {}

    def open_url(url: str, *flags: str, width: int = 1280, height: int = 800) -> Any:
        if flags not in browsers:
            browsers[flags] = launch(*flags)
        tab = browsers[flags].new_page(viewport={"width": width, "height": height})
        tab.errors = []
        tab.requests_made = []
        tab.on("pageerror", lambda error: tab.errors.append(str(error)))
        tab.on("request", lambda request: tab.requests_made.append(request.url))
        tab.add_init_script(path=str(PROBES))
        tab.goto(url)
        return tab

    return open_url
