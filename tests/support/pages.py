"""A web page with a moving picture for tests, which handles requests like a run."""

from __future__ import annotations

import dataclasses
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from rtseg.frames import Frame, Image, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.settings import ViewSettings, WebSettings
from rtseg.sinks.base import Event, ViewChange
from rtseg.sinks.web import PageState, WebAddress
from rtseg.sinks.web.sink import WebSink
from rtseg.views import render

CLOCK_BITS = 24
CLOCK_CELL = 16
"""Side in pixels of a bit of the time code."""


def time_code(image: Image, milliseconds: int) -> None:
    """Paint a time into the picture's first rows as black and white cells."""
    for bit in range(CLOCK_BITS):
        left = bit * CLOCK_CELL
        image[:CLOCK_CELL, left : left + CLOCK_CELL] = 255 * (milliseconds >> bit & 1)


@dataclass
class Page:
    """A running page, as a test uses it."""

    sink: WebSink
    view: ViewSettings
    events: list[Event] = field(default_factory=list)
    written: int = 0
    status: str = ""

    @property
    def port(self) -> int:
        return int(self.sink.url.split(":")[2].partition("/")[0])

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; returns (status, headers, body)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            data = None if body is None else json.dumps(body).encode()
            given = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, data, given | (headers or {}))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def stats(self) -> dict[str, Any]:
        status, _, body = self.ask("/stats", headers=self.bearer)
        assert status == 200, body
        return dict(json.loads(body))

    @property
    def bearer(self) -> dict[str, str]:
        token = self.sink.url.partition("token=")[2]
        return {"Authorization": f"Bearer {token}"} if token else {}

    def wait(self, until: Callable[[], object], *, seconds: float = 15.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)


def face(width: int, height: int) -> tuple[Image, Segmentation]:
    """A grey picture with skin in the middle and hair above it."""
    image = np.full((height, width, 3), 90, np.uint8)
    labels = np.zeros((height, width), np.uint8)
    labels[height // 3 : -height // 3, width // 3 : -width // 3] = HELEN.names.index("skin")
    labels[height // 6 : height // 3, width // 3 : -width // 3] = HELEN.names.index("hair")
    return image, Segmentation(labels=labels, label_set=HELEN)


@contextmanager
def serving_page(
    *,
    width: int = 320,
    height: int = 240,
    rate: float = 30.0,
    address: WebAddress | None = None,
    with_time_code: bool = False,
    **settings: Any,
) -> Iterator[Page]:
    """Serve a page with a moving picture, written by a thread in place of a run's."""
    sink = WebSink(
        address or WebAddress(host="127.0.0.1", port=0),
        settings=WebSettings(**settings),
        threads=1,
    )
    page = Page(sink, ViewSettings())
    sink.state = lambda: PageState(
        settings=page.view,
        frames_per_second=rate,
        backend="a stand-in",
        status=page.status,
        is_recording=page.events.count("record") % 2 == 1,
    )
    info = SourceInfo(
        name="a drawn camera",
        width=width,
        height=height,
        time_base=Fraction(1, 1000),
        is_live=True,
    )
    image, segmentation = face(width, height)
    over = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        index = 0
        while not over.wait(1 / rate):
            for event in sink.poll():
                page.events.append(event)
                if isinstance(event, ViewChange):
                    page.view = dataclasses.replace(page.view, **event.fields)
            if not sink.is_wanted:
                continue
            moved = image.copy()
            moved[-20:, (4 * index) % (width - 20) :][:, :20] = 255
            frame = Frame(
                image=moved,
                index=index,
                pts=index,
                time_base=Fraction(1, 30),
                captured_ns=time.monotonic_ns(),
            )
            picture = render(frame, segmentation, page.view)
            if with_time_code:
                time_code(picture, int(time.time() * 1000) & ((1 << CLOCK_BITS) - 1))
            try:
                sink.write(frame, segmentation, picture)
            except BaseException as error:  # noqa: BLE001  raised by the test
                errors.append(error)
                return
            page.written += 1
            index += 1

    thread = threading.Thread(target=run)
    try:
        sink.open(info, width=width, height=height)
        thread.start()
        yield page
    finally:
        over.set()
        if thread.is_alive():
            thread.join(10)
        sink.close("finished")
    assert not errors, errors
