"""The page of a server without a browser: pictures, figures, each stream's own page."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rtseg.serving import source_stream
from rtseg.serving.stream_server import StreamDefinition, StreamServer
from rtseg.serving.wall import WallPage
from rtseg.settings import ViewSettings, WebSettings
from rtseg.sinks.web import WebAddress
from tests.serving.served import wait
from tests.support.live_sources import Camera
from tests.support.painted import PaintedBackend


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamServer]:
    monkeypatch.setattr(source_stream, "FIRST_RETRY_SECONDS", 0.05)
    with StreamServer(PaintedBackend(input_height=96, input_width=96)) as server:
        yield server


@pytest.fixture
def wall(server: StreamServer) -> Iterator[WallPage]:
    wall = WallPage(
        WebAddress(host="127.0.0.1", port=0), server, settings=WebSettings(max_viewers=3)
    )
    wall.open()
    yield wall
    server.close()
    wall.close()


def ask(
    wall: WallPage, path: str, *, body: object = None, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", wall.address.port, timeout=15)
    try:
        data = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, data, kind | headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def stats(wall: WallPage) -> dict[str, dict[str, object]]:
    status, _, body = ask(wall, "/stats")
    assert status == 200
    return {stream["name"]: stream for stream in json.loads(body)["streams"]}


def define(name: str, camera: Camera, **changes: object) -> StreamDefinition:
    return StreamDefinition(name=name, source=camera, **changes)  # type: ignore[arg-type]


def picture(wall: WallPage, name: str, query: str = "") -> np.ndarray:
    status, headers, body = ask(wall, f"/streams/{name}/picture.jpg{query}")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(body, np.uint8), -1), cv2.COLOR_BGR2RGB)


def test_a_tile_shows_the_newest_picture_shrunk(server: StreamServer, wall: WallPage) -> None:
    server.start(define("door", Camera(), view=ViewSettings(view="mask")))
    server.start(define("yard", Camera()))
    wait(lambda: all(stats(wall)[name]["state"] == "resting" for name in ("door", "yard")))
    assert picture(wall, "door", "?width=160").shape == (120, 160, 3)
    assert picture(wall, "door", "?width=1280").shape == (240, 320, 3), "none is made larger"
    mask, overlay = picture(wall, "door"), picture(wall, "yard")
    assert np.abs(mask.astype(int) - overlay).max() > 50, "each has its own"
    # a viewer will look again, so its faces are tracked meanwhile
    assert stats(wall)["door"]["state"] == "live"


def test_nothing_is_segmented_while_nobody_watches(server: StreamServer, wall: WallPage) -> None:
    stream = server.start(define("door", Camera()))
    wait(lambda: stream.state == "resting")
    time.sleep(0.3)
    assert stream.statistics.frames == 0


def test_a_stream_has_its_own_page(server: StreamServer, wall: WallPage) -> None:
    server.start(define("door", Camera()))
    wait(lambda: stats(wall)["door"]["state"] == "resting")
    for path, words in (
        ("/", b"wall.js"),
        ("/wall.js", b"picture.jpg"),
        ("/streams/door/", b"page.js"),
        ("/streams/door/page.js", b"stream.mjpg"),
        ("/streams/door/page.css", b"header"),
    ):
        status, _, body = ask(wall, path)
        assert (status, words in body) == (200, True), path
    before = picture(wall, "door")
    status, _, _ = ask(
        wall, "/streams/door/control", method="POST", body={"view": {"view": "mask"}}
    )
    assert status == 200
    wait(lambda: np.abs(picture(wall, "door").astype(int) - before).max() > 50)
    _, _, body = ask(wall, "/streams/door/stats")
    assert json.loads(body)["picture"]["view"] == "mask"
    assert json.loads(body)["source"] == "a drawn camera"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/streams/nobody/picture.jpg", "GET", 404),
        ("/streams/nobody/stats", "GET", 404),
        ("/streams/door/nothing", "GET", 404),
        ("/streams/door/control", "GET", 404),
        ("/streams/door/picture.jpg?width=9", "GET", 400),
        ("/streams/door/picture.jpg?width=99999999999999", "GET", 400),
        ("/streams/door/picture.jpg?width=a", "GET", 400),
        ("/streams/../stats", "GET", 404),
    ],
)
def test_wrong_paths_are_refused(
    server: StreamServer, wall: WallPage, path: str, method: str, status: int
) -> None:
    server.start(define("door", Camera()))
    wait(lambda: stats(wall)["door"]["state"] == "resting")
    assert ask(wall, path, method=method)[0] == status


def test_a_failed_stream_gives_the_reason_and_has_no_picture(
    server: StreamServer, wall: WallPage
) -> None:
    lost = Camera()
    lost.is_there.clear()
    server.start(define("lost", lost))
    server.start(define("door", Camera()))
    wall.problems = {"typo": "streams.toml: [streams.typo] viev: there is no such setting"}
    wait(lambda: stats(wall)["lost"]["state"] == "waiting")
    now = stats(wall)
    assert now["lost"]["reason"] == "a drawn camera: is not there"
    assert now["typo"]["state"] == "failed"
    assert "viev" in str(now["typo"]["reason"])
    assert ask(wall, "/streams/lost/picture.jpg")[0] == 503
    wait(lambda: ask(wall, "/streams/door/picture.jpg")[0] == 200)
    assert picture(wall, "door").shape == (240, 320, 3)
    lost.is_there.set()
    wait(lambda: stats(wall)["lost"]["state"] == "resting")
    assert picture(wall, "lost").shape == (240, 320, 3)


def test_prometheus_reads_the_figures(server: StreamServer, wall: WallPage) -> None:
    stream = server.start(define("door", Camera()))
    wall.problems = {"typo": "wrong"}
    wait(lambda: stats(wall)["door"]["state"] == "resting")
    picture(wall, "door")
    wait(lambda: stream.statistics.frames > 3)
    status, headers, body = ask(wall, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain")
    figures = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    door = ("stream", "door")
    assert figures["rtseg_stream_up", door] == 1
    assert figures["rtseg_stream_up", ("stream", "typo")] == 0
    assert figures["rtseg_stream_frames_total", ("outcome", "written"), door] > 3
    assert figures["rtseg_stream_faces", door] == 1
    assert 0 < figures["rtseg_stream_age_seconds", ("quantile", "0.95"), door] < 10
    assert figures["rtseg_backend_crops_total",] > 3
    assert (
        figures[
            "rtseg_backend_info",
            ("device", "cpu"),
            ("name", "painted"),
            ("precision", "exact"),
        ]
        == 1
    )


def test_a_token_protects_every_page(server: StreamServer) -> None:
    wall = WallPage(
        WebAddress(host="127.0.0.1", port=0), server, settings=WebSettings(token="long-enough-1")
    )
    wall.open()
    try:
        for path in ("/", "/stats", "/metrics", "/streams/door/picture.jpg", "/streams/door/"):
            assert ask(wall, path)[0] == 401, path
        assert ask(wall, "/healthz")[0] == 200
        assert ask(wall, "/metrics", Authorization="Bearer long-enough-1")[0] == 200
    finally:
        wall.close()
