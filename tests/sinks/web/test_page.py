"""The page's paths, without a browser: pictures, figures, requests, its end."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from importlib import resources

import av
import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError, SinkError
from rtseg.settings import WebSettings
from rtseg.sinks.base import ViewChange
from rtseg.sinks.web import WebAddress, live_page, parse_address
from rtseg.sinks.web.sink import WebSink
from tests.sinks.drawn import info
from tests.support.pages import serving_page


def shown(jpeg: bytes) -> np.ndarray:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), -1), cv2.COLOR_BGR2RGB)


def test_a_snapshot_equals_the_drawn_picture() -> None:
    with serving_page() as page:
        status, headers, body = page.ask("/snapshot.jpg")
    assert status == 200
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Cache-Control"] == "no-store"
    picture = shown(body)
    assert picture.shape == (240, 320, 3)
    assert np.abs(picture[5, 5].astype(int) - 90).max() < 4, "what is not labelled is as it was"
    assert np.abs(picture[120, 160].astype(int) - 90).max() > 30, "skin is coloured"


def test_mjpeg_plays() -> None:
    """Read as PyAV, and so FFmpeg, VLC and the like, read it."""
    with serving_page() as page:
        with av.open(
            f"http://127.0.0.1:{page.port}/stream.mjpg", format="mpjpeg", timeout=10
        ) as container:
            frames = [frame for frame, _ in zip(container.decode(video=0), range(5), strict=False)]
        assert (frames[0].width, frames[0].height) == (320, 240)
        page.wait(lambda: not page.stats()["viewers"])


def test_the_figures_are_right() -> None:
    with serving_page() as page:
        page.ask("/snapshot.jpg")
        stats = page.stats()
    assert stats["source"] == "a drawn camera"
    assert (stats["width"], stats["height"]) == (320, 240)
    assert stats["backend"] == "a stand-in"
    assert 0 < stats["latency_ms"]["p50"] <= stats["latency_ms"]["p95"] < 5000
    classes = stats["picture"]["classes"]
    assert classes[0] == {"name": "skin", "colour": classes[0]["colour"], "shown": True}
    assert re.fullmatch("#[0-9a-f]{6}", classes[0]["colour"])
    assert "overlay" in stats["picture"]["views"]
    assert "side-by-side" not in stats["picture"]["views"], "the picture's size stays"


def test_nothing_is_encoded_while_nobody_watches() -> None:
    with serving_page() as page:
        time.sleep(0.3)
        assert page.written == 0
        assert page.stats()["viewers"] == []
        assert page.ask("/healthz")[::2] == (200, b"ok\n")
        assert page.written == 0
        page.ask("/snapshot.jpg")
        assert page.written > 0
        page.wait(lambda: not page.sink.is_wanted)
    with serving_page(always=True) as page:
        page.wait(lambda: page.written > 3)


def test_requests_change_the_picture() -> None:
    with serving_page() as page:
        before = shown(page.ask("/snapshot.jpg")[2])
        for asked in ({"view": {"opacity": 0.0}}, {"key": "snapshot"}, {"key": "record"}):
            assert page.ask("/control", method="POST", body=asked)[0] == 200
        page.wait(lambda: len(page.events) == 3)
        assert page.events == [ViewChange(fields={"opacity": 0.0}), "snapshot", "record"]
        after = shown(page.ask("/snapshot.jpg")[2])
        assert np.abs(before[120, 160].astype(int) - 90).max() > 30
        assert np.abs(after[120, 160].astype(int) - 90).max() < 4
        assert page.stats()["is_recording"]
        page.ask("/control", method="POST", body={"view": {"classes": ["hair"], "opacity": 1.0}})
        page.wait(lambda: len(page.events) == 4)
        hair_only = shown(page.ask("/snapshot.jpg")[2])
        assert np.abs(hair_only[120, 160].astype(int) - 90).max() < 4
        assert np.abs(hair_only[60, 160].astype(int) - 90).max() > 30


@pytest.mark.parametrize(
    "asked",
    [
        {"key": "quit"},
        {"key": ["snapshot"]},
        {"key": "snapshot", "view": {}},
        {},
        {"view": {"opacity": 7}},
        {"view": {"opacity": "0.5"}},
        {"view": {"opacity": True}},
        {"view": {"view": "nothing"}},
        {"view": {"view": ["overlay"]}},
        {"view": {"classes": "skin"}},
        {"view": {"classes": [1]}},
        {"view": {"background": "/etc/passwd"}},
        {"view": {"legend": 1}},
        {"view": [1]},
    ],
)
def test_invalid_requests_are_refused(asked: object) -> None:
    with serving_page() as page:
        status, _, body = page.ask("/control", method="POST", body=asked)
        assert status == 400, body
        assert b"Traceback" not in body
        time.sleep(0.1)
        assert page.events == []


def test_a_viewer_that_does_not_read_is_dropped_without_blocking_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_page, "SLOW_SECONDS", 0.5)
    with serving_page(width=1280, height=720, always=True) as page:
        with socket.create_connection(("127.0.0.1", page.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
            page.wait(lambda: page.stats()["viewers"])
            written, begun = page.written, time.monotonic()
            page.wait(lambda: not page.stats()["viewers"])
            rate = (page.written - written) / (time.monotonic() - begun)
        assert rate > 5, "the run went on meanwhile"


def test_viewers_above_the_limit_are_refused() -> None:
    with serving_page(max_viewers=1) as page:
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
        connection.request("GET", "/stream.mjpg")
        answer = connection.getresponse()
        page.wait(lambda: page.stats()["viewers"])
        status, headers, body = page.ask("/snapshot.jpg")
        assert (status, headers["Retry-After"]) == (503, "10")
        assert body.startswith(b"too many viewers")
        status, _, _ = page.ask("/offer", method="POST", body={"sdp": "v=0"})
        assert status == 503
        answer.close()
        connection.close()
        page.wait(lambda: not page.stats()["viewers"])
        assert page.ask("/snapshot.jpg")[0] == 200


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for name in ("index.html", "page.css", "page.js", "icon.svg"):
        text = resources.files("rtseg.web").joinpath(name).read_text("utf-8")
        foreign = re.findall(r"https?://[^\s\"')]+|//cdn[^\s\"')]*", text)
        assert set(foreign) <= {"http://www.w3.org/2000/svg"}, name
    with serving_page() as page:
        _, headers, body = page.ask("/")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        for path in re.findall(r'(?:src|href)="([^"]+)"', body.decode()):
            assert path == "snapshot.jpg" or page.ask(f"/{path}")[0] == 200


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sink = WebSink(WebAddress(host="127.0.0.1", port=taken.getsockname()[1]))
        with pytest.raises(SinkError, match=r"cannot listen on it: .*; give another port"):
            sink.open(info(), width=64, height=48)
        sink.close("failed")


def test_nothing_is_left_after_closing() -> None:
    before = set(threading.enumerate())
    with serving_page() as page:
        connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=10)
        connection.request("GET", "/stream.mjpg")
        answer = connection.getresponse()
        answer.read(1000)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    connection.close()
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("8000", "127.0.0.1", 8000, True),
        ("localhost:0", "localhost", 0, True),
        ("127.0.0.2:1", "127.0.0.2", 1, True),
        ("[::1]:8000", "::1", 8000, True),
        ("0.0.0.0:8000", "0.0.0.0", 8000, False),
        ("[::]:65535", "::", 65535, False),
        ("my-host.lan:80", "my-host.lan", 80, False),
    ],
)
def test_addresses_are_parsed(text: str, host: str, port: int, is_loopback: bool) -> None:
    address = parse_address(text)
    assert address == WebAddress(host=host, port=port)
    assert address.is_loopback == is_loopback


@pytest.mark.parametrize(
    "text", ["", "host", ":80", "65536", "-1", "1.5", "::1:80", "http://x:80", "a b:80", "h:", "٣"]
)
def test_invalid_addresses_are_refused(text: str) -> None:
    with pytest.raises(SettingError, match=r"`web`: .* is not an address; allowed: PORT"):
        parse_address(text)


def test_a_snapshot_without_a_picture_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_page, "SNAPSHOT_SECONDS", 0.2)
    sink = WebSink(WebAddress(host="127.0.0.1", port=0), settings=WebSettings())
    sink.open(info(), width=64, height=48)
    try:
        host = sink.url.split("/")[2]
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", "/snapshot.jpg")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (503, b"no picture is available\n")
        connection.close()
        assert json.loads(_get(host, "/stats"))["picture"] == {}
    finally:
        sink.close("finished")


def _get(host: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(host, timeout=10)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body
