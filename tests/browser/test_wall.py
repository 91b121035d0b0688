"""The wall of a server's streams in a real browser: moving pictures, faults, ended streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rtseg.serving import source_stream
from rtseg.serving.stream_server import StreamDefinition, StreamServer
from rtseg.serving.wall import WallPage
from rtseg.settings import ViewSettings
from rtseg.sinks.web import WebAddress
from tests.support.live_sources import Camera
from tests.support.painted import PaintedBackend

OpenPage = Callable[..., Any]

TILE = "article[data-name={}]"

PIXEL = """([name, x, y]) => {
  const image = document.querySelector(`article[data-name=${name}] img`);
  if (!image || image.hidden || !image.naturalWidth) return null;
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  return [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
}"""


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[WallPage, StreamServer]]:
    monkeypatch.setattr(source_stream, "FIRST_RETRY_SECONDS", 0.05)
    with StreamServer(PaintedBackend(input_height=96, input_width=96), most_streams=9) as server:
        page = WallPage(WebAddress(host="127.0.0.1", port=0), server)
        page.open()
        yield page, server
        server.close()
        page.close()


def until(condition: Callable[[], Any], tab: Any, *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        tab.wait_for_timeout(100)


def define(name: str, camera: Camera, **changes: Any) -> StreamDefinition:
    return StreamDefinition(name=name, source=camera, **changes)


def test_the_wall_shows_every_stream_and_every_problem(
    open_page: OpenPage, wall: tuple[WallPage, StreamServer]
) -> None:
    page, server = wall
    lost = Camera()
    lost.is_there.clear()
    for index in range(7):  # more than a browser opens connections to one host
        server.start(define(f"s{index}", Camera(rate=12)))
    server.start(define("lost", lost))
    page.problems = {"typo": "streams.toml: [streams.typo] viev: there is no such setting"}
    tab = open_page(page.url)
    for index in range(7):
        until(lambda name=f"s{index}": tab.evaluate(PIXEL, [name, 0.5, 0.5]), tab)
    until(lambda: tab.inner_text("#state").startswith("7 of 9 live"), tab)
    assert tab.inner_text(f"{TILE.format('lost')} .badge") == "waiting"
    assert "is not there" in tab.inner_text(f"{TILE.format('lost')} .reason")
    assert tab.inner_text(f"{TILE.format('typo')} .badge") == "failed"
    assert "viev" in tab.inner_text(f"{TILE.format('typo')} .reason")
    assert "painted on cpu" in tab.inner_text("#backend")
    assert float(tab.inner_text(f"{TILE.format('s0')} .fps")) > 0

    lost.is_there.set()
    until(lambda: tab.evaluate(PIXEL, ["lost", 0.5, 0.5]), tab)
    until(lambda: tab.inner_text(f"{TILE.format('lost')} .badge") == "live", tab)

    server.stop("s3")
    until(lambda: tab.query_selector(TILE.format("s3")) is None, tab)
    assert not tab.errors
    assert all(url.startswith((page.url, "blob:")) for url in tab.requests_made)


def test_pictures_follow_the_streams(
    open_page: OpenPage, wall: tuple[WallPage, StreamServer]
) -> None:
    page, server = wall
    server.start(define("door", Camera()))
    tab = open_page(page.url)
    place = ["door", 0.5, 0.6]
    until(lambda: tab.evaluate(PIXEL, place), tab)
    until(lambda: tab.inner_text(f"{TILE.format('door')} .faces") == "1", tab)
    before = tab.evaluate(PIXEL, place)
    (stream,) = server.started
    server.replace([define("door", stream.definition.source, view=ViewSettings(view="mask"))])
    until(lambda: tab.evaluate(PIXEL, place) not in (None, before), tab)
    assert not tab.errors


def test_a_tile_leads_to_the_streams_own_page_and_back(
    open_page: OpenPage, wall: tuple[WallPage, StreamServer]
) -> None:
    page, server = wall
    server.start(define("door", Camera(), view=ViewSettings(view="contour")))
    tab = open_page(page.url)
    until(lambda: tab.get_attribute(f"{TILE.format('door')} a", "href"), tab)
    tab.click(f"{TILE.format('door')} a")
    tab.wait_for_function(
        "() => using === 'WebRTC' && document.getElementById('video').currentTime > 0.3",
        timeout=30_000,
    )
    assert tab.get_attribute("[data-view=contour]", "aria-checked") == "true"
    tab.click("[data-view=mask]")
    until(lambda: server.started[0].page.state().settings.view == "mask", tab)
    tab.click("#home")
    until(lambda: tab.query_selector(TILE.format("door")), tab)
    assert not tab.errors


def test_a_wall_without_viewers_rests(
    open_page: OpenPage, wall: tuple[WallPage, StreamServer]
) -> None:
    page, server = wall
    stream = server.start(define("door", Camera()))
    tab = open_page(page.url)
    until(lambda: stream.statistics.frames > 3, tab)
    tab.goto("about:blank")
    until(lambda: stream.state == "resting", tab)
    tab.wait_for_timeout(500)  # what was on its way when the last viewer left is still finished
    before = stream.statistics.frames
    tab.wait_for_timeout(500)
    assert stream.statistics.frames == before
