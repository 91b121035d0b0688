"""The live page in a real browser: playing, controls, reconnecting."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rtseg.sinks.base import ViewChange
from rtseg.sinks.web import WebAddress, peers
from tests.support.pages import CLOCK_BITS, CLOCK_CELL, serving_page

OpenPage = Callable[..., Any]

VIDEO = "() => probe.video()"
DECODED = "() => probe.decoded()"
PIXEL = "(place) => probe.pixel(place)"
AGE = "(clock) => probe.age(clock)"


def plays(tab: Any, *, seconds: float = 30.0) -> None:
    """Wait until pictures are shown through WebRTC."""
    tab.wait_for_function(
        "() => using === 'WebRTC' && document.getElementById('video').currentTime > 0.3",
        timeout=seconds * 1000,
    )


def until(condition: Callable[[], Any], *, seconds: float = 20.0, tab: Any = None) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        if tab is not None:
            tab.wait_for_timeout(100)
        else:
            time.sleep(0.1)


def is_near(colour: list[int], expected: tuple[int, int, int], tolerance: int = 14) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(colour, expected, strict=True))


def test_the_video_plays_and_the_figures_update(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360) as page:
        tab = open_page(page.sink.url)
        plays(tab)
        before, decoded = tab.evaluate(VIDEO), tab.evaluate(DECODED)
        tab.wait_for_timeout(1500)
        after = tab.evaluate(VIDEO)
        assert (before["width"], before["height"]) == (640, 360)
        assert not before["hidden"]
        assert after["time"] > before["time"]
        assert tab.evaluate(DECODED) > decoded + 5
        assert tab.inner_text("#fps") == "30.0"
        assert "a stand-in" in tab.inner_text("#backend")
        assert tab.inner_text("#source") == "a drawn camera"
        assert "WebRTC (you)" in tab.inner_text("#viewers")
        assert not tab.errors
        foreign = [url for url in tab.requests_made if not url.startswith(page.sink.url)]
        assert not foreign, "the page asks nobody else"


def test_the_controls_change_the_picture(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360) as page:
        tab = open_page(page.sink.url)
        plays(tab)
        skin = ["video", 0.5, 0.5]
        until(lambda: not is_near(tab.evaluate(PIXEL, skin), (90, 90, 90)), tab=tab)  # coloured
        assert is_near(tab.evaluate(PIXEL, ["video", 0.05, 0.5]), (90, 90, 90))
        tab.click("#legend button[data-name=skin]")
        until(lambda: is_near(tab.evaluate(PIXEL, skin), (90, 90, 90)), tab=tab)
        # a response requested before the click may arrive after it
        button = "#legend button[data-name=skin]"
        until(lambda: tab.get_attribute(button, "aria-pressed") == "false", tab=tab)
        tab.click("#all")
        until(lambda: not is_near(tab.evaluate(PIXEL, skin), (90, 90, 90)), tab=tab)
        tab.click("#views button[data-view=mask]")
        until(lambda: not is_near(tab.evaluate(PIXEL, ["video", 0.05, 0.5]), (90, 90, 90)), tab=tab)
        tab.click("#views button[data-view=overlay]")
        tab.evaluate("() => probe.opacity(0)")
        until(lambda: is_near(tab.evaluate(PIXEL, skin), (90, 90, 90)), tab=tab)
        for key in ("snapshot", "record", "hud"):
            tab.click(f"[data-key={key}]")
        until(lambda: page.events[-3:] == ["snapshot", "record", "hud"])
        tab.wait_for_selector("#badge", state="visible")
        assert tab.inner_text("[data-key=record]") == "Finish"
        assert any(isinstance(event, ViewChange) for event in page.events)
        assert not tab.errors


def test_colours_are_the_same_by_webrtc_and_by_mjpeg(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360) as page:
        tab = open_page(page.sink.url)
        plays(tab)
        places = [(0.05, 0.5), (0.5, 0.5), (0.5, 0.25)]
        by_webrtc = [tab.evaluate(PIXEL, ["video", *place]) for place in places]
        tab.select_option("#transport", "mjpeg")
        tab.wait_for_function("() => using === 'MJPEG'")
        by_mjpeg = [tab.evaluate(PIXEL, ["still", *place]) for place in places]
        for one, other in zip(by_webrtc, by_mjpeg, strict=True):
            assert is_near(one, tuple(other)), (by_webrtc, by_mjpeg)
        until(lambda: [v["kind"] for v in page.stats()["viewers"]] == ["mjpeg"], seconds=40)


def test_a_browser_without_webrtc_falls_back_to_mjpeg(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360) as page:
        tab = open_page("about:blank")
        tab.add_init_script("delete window.RTCPeerConnection")
        tab.goto(page.sink.url)
        tab.wait_for_function("() => using === 'MJPEG'", timeout=20_000)
        until(lambda: "MJPEG" in tab.inner_text("#state"), tab=tab)


def test_two_viewers_watch_and_a_stalled_one_is_disconnected(
    open_page: OpenPage, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "SILENT_SECONDS", 3.0)
    with serving_page(width=640, height=360) as page:
        first = open_page(page.sink.url)
        plays(first)
        # A separate browser, whose processes can be stopped without the others.
        second = open_page(page.sink.url, "--user-agent=second")
        plays(second)
        until(lambda: len(page.stats()["viewers"]) == 2)
        stopped = _processes("--user-agent=second")
        _signal(stopped, signal.SIGSTOP)
        try:
            before = first.evaluate(DECODED)
            until(lambda: len(page.stats()["viewers"]) == 1, seconds=30, tab=first)
            assert first.evaluate(DECODED) > before + 10, "the other went on meanwhile"
        finally:
            _signal(stopped, signal.SIGCONT)
        plays(second)


def test_the_page_reconnects_when_the_server_returns(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360) as page:
        tab = open_page(page.sink.url)
        plays(tab)
        port = page.port
    until(lambda: tab.get_attribute("#state", "class") == "lost", tab=tab)
    address = WebAddress(host="127.0.0.1", port=port)
    with serving_page(width=640, height=360, address=address) as page:
        until(lambda: page.stats()["viewers"], seconds=40, tab=tab)
        plays(tab, seconds=40)
        assert not tab.errors


def test_the_token_opens_the_page_and_leaves_the_address_bar(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360, token="correct-horse-battery") as page:
        tab = open_page(page.sink.url)
        assert tab.url == f"http://127.0.0.1:{page.port}/"
        plays(tab)
        tab.select_option("#transport", "mjpeg")
        tab.wait_for_function("() => using === 'MJPEG'")
        tab.reload()
        plays(tab)
        tab.context.clear_cookies()
        until(lambda: "token" in tab.inner_text("#state"), tab=tab)


def test_another_site_can_neither_show_nor_control_the_page(open_page: OpenPage) -> None:
    with serving_page(width=640, height=360) as victim:
        url = victim.sink.url
        tab = open_page("about:blank")
        html = f"<img id=picture src='{url}snapshot.jpg'><iframe id=frame src='{url}'></iframe>"
        tab.route(
            "http://evil.example/**",
            lambda route: route.fulfill(content_type="text/html", body=html),
        )
        tab.goto("http://evil.example/")
        tab.wait_for_timeout(1000)
        assert tab.evaluate("() => document.getElementById('picture').naturalWidth") == 0
        assert tab.evaluate("(url) => probe.tried(url)", f"{url}stats") == "refused"
        options = {"method": "POST", "mode": "no-cors", "body": '{"key": "record"}'}
        tab.evaluate("([url, o]) => probe.tried(url, o)", [f"{url}control", options])
        options = {
            "method": "POST",
            "body": '{"key": "record"}',
            "headers": {"Content-Type": "application/json"},
        }
        asked = tab.evaluate("([url, o]) => probe.tried(url, o)", [f"{url}control", options])
        assert asked == "refused"
        tab.wait_for_timeout(300)
        assert victim.events == []
        assert not victim.sink.is_wanted


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_nothing_overflows_the_page(
    open_page: OpenPage, width: int, height: int, tmp_path: Path
) -> None:
    with serving_page(width=640, height=360) as page:
        tab = open_page(page.sink.url, width=width, height=height)
        plays(tab)
        tab.wait_for_timeout(300)
        assert tab.evaluate("() => document.documentElement.scrollWidth") <= width
        assert tab.evaluate("() => probe.outside()") == 0
        assert tab.evaluate("() => probe.tooSmall()") == 0, "large enough for a finger"
        folder = os.environ.get("RTSEG_SCREENSHOTS")
        tab.screenshot(path=str(Path(folder or tmp_path) / f"page-{width}.png"), full_page=True)


@pytest.mark.parametrize("transport", ["webrtc", "mjpeg"])
def test_the_picture_is_recent(open_page: OpenPage, transport: str) -> None:
    """A time code is painted into each picture; the limit is loose, benchmarks measure it."""
    with serving_page(width=1280, height=720, with_time_code=True) as page:
        tab = open_page(page.sink.url)
        element = "video" if transport == "webrtc" else "still"
        if transport == "mjpeg":
            tab.select_option("#transport", "mjpeg")
            tab.wait_for_function("() => using === 'MJPEG'", timeout=20_000)
        else:
            plays(tab)
        tab.wait_for_timeout(1500)
        ages = []
        for _ in range(20):
            ages.append(tab.evaluate(AGE, [element, CLOCK_BITS, CLOCK_CELL]))
            tab.wait_for_timeout(50)
        assert 0 <= sorted(ages)[10] < 1500, ages


def _signal(processes: list[int], number: signal.Signals) -> None:
    """Send a signal to those that still run: a browser ends some of its processes by itself."""
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _processes(argument: str) -> list[int]:
    """The processes that were started with an argument, and all their descendants."""
    parents: dict[int, int] = {}
    descendants: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            parents[int(folder.name)] = int(
                (folder / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
        if argument.encode() in command and b"python" not in command[0]:
            descendants.add(int(folder.name))
    while more := {pid for pid, parent in parents.items() if parent in descendants} - descendants:
        descendants |= more
    assert descendants
    return sorted(descendants)


def test_a_browser_that_shows_old_pictures_restarts_its_stream(open_page: OpenPage) -> None:
    """As in a browser that had no time for a while, and whose own figures say that it lags."""
    with serving_page(width=640, height=360) as page:
        tab = open_page(page.sink.url)
        plays(tab)
        before = [viewer["number"] for viewer in page.stats()["viewers"]]
        tab.evaluate("() => probe.holdBack()")
        until(
            lambda: [viewer["number"] for viewer in page.stats()["viewers"]] not in (before, []),
            seconds=30,
            tab=tab,
        )
        plays(tab)
