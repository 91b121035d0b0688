"""Visitors' cameras in a real browser: there and back, refused, several, too many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.serving.stream_server import StreamServer
from rtseg.serving.visitors import VisitorPage
from rtseg.sinks.web import WebAddress
from tests.browser.conftest import FAKE_CAMERA
from tests.support.painted import PaintedBackend, scene

OpenPage = Callable[..., Any]
PIXEL = "(place) => probe.pixel(place)"


@pytest.fixture
def page() -> Iterator[VisitorPage]:
    streams = StreamServer(PaintedBackend(), most_streams=2)
    page = VisitorPage(WebAddress(host="127.0.0.1", port=0), streams)
    page.open()
    yield page
    page.close()
    streams.close()


@pytest.fixture(scope="session")
def camera_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face for a fake camera, as Y4M, which Chromium reads."""
    path = tmp_path_factory.mktemp("camera") / "face.y4m"
    image = scene(720, 1280, (640, 360, 480))[0]
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream: Any = container.add_stream("rawvideo", rate=30)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for index in range(15):
            moved = np.roll(image, 4 * (index % 8), axis=1)
            frame = av.VideoFrame.from_ndarray(moved, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return path


def start(tab: Any) -> None:
    tab.click("#start")
    tab.wait_for_function("() => using === 'WebRTC'", timeout=40_000)


def test_a_camera_comes_back_segmented_and_keeps_its_size(
    page: VisitorPage, open_page: OpenPage, camera_file: Path
) -> None:
    tab = open_page(page.url, *FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_file}")
    assert tab.is_visible("#invite")
    start(tab)
    tab.wait_for_function("() => document.getElementById('faces').textContent === '1'")
    video = tab.evaluate("() => probe.video()")
    assert (video["width"], video["height"]) == (1280, 720)
    sent = tab.evaluate("() => probe.sent()")
    assert (sent["width"], sent["height"]) == (1280, 720), "720p is held"
    cheek = ["video", 0.5, 0.62]
    tab.wait_for_selector("#legend button[data-name=skin]")
    before = tab.evaluate(PIXEL, cheek)
    tab.click("#views button[data-view=cutout]")
    tab.click("#legend button[data-name=skin]")
    for _ in range(60):
        after = tab.evaluate(PIXEL, cheek)
        if sum(abs(a - b) for a, b in zip(before, after, strict=True)) > 60:
            break
        tab.wait_for_timeout(100)
    else:
        raise AssertionError((before, after))
    assert not tab.errors
    tab.click("#stop")
    assert tab.is_visible("#start")
    for _ in range(100):
        if not page.visitors:
            return
        tab.wait_for_timeout(100)
    raise AssertionError("the visit does not end")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--use-fake-device-for-media-stream", "--deny-permission-prompts"), "was not allowed"),
        (("--use-fake-ui-for-media-stream",), "has no camera"),
    ],
)
def test_a_refused_camera_is_explained(
    page: VisitorPage, open_page: OpenPage, flags: tuple[str, ...], says: str
) -> None:
    tab = open_page(page.url, *flags)
    tab.click("#start")
    tab.wait_for_selector("#refusal", state="visible")
    assert says in tab.inner_text("#refusal")
    assert tab.is_enabled("#start")
    assert page.visitors == ()


def test_two_visitors_are_served_and_the_third_is_refused(
    page: VisitorPage, open_page: OpenPage, camera_file: Path
) -> None:
    flags = (*FAKE_CAMERA, f"--use-file-for-fake-video-capture={camera_file}")
    first, second = open_page(page.url, *flags), open_page(page.url, *flags)
    start(first)
    start(second)
    first.wait_for_selector("#views button[data-view=mask]")
    first.click("#views button[data-view=mask]")
    first.wait_for_selector("#views [data-view=mask][aria-checked=true]")
    second.wait_for_selector("#views [data-view=overlay][aria-checked=true]")
    assert first.evaluate(PIXEL, ["video", 0.02, 0.5]) is not None
    third = open_page(page.url, *flags)
    third.click("#start")
    third.wait_for_selector("#refusal", state="visible")
    assert "2 visitors are here already" in third.inner_text("#refusal")
    second.close()
    for _ in range(150):
        if len(page.visitors) == 1:
            break
        first.wait_for_timeout(100)
    start(third)
