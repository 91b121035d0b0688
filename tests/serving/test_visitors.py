"""Visitors' cameras without a browser: in, segmented, and back."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.error
from collections.abc import Iterator

import numpy as np
import pytest

from rtseg.serving.stream_server import StreamServer
from rtseg.serving.visitors import LARGEST_PIXELS, VisitorPage, frame_of
from rtseg.settings import WebSettings
from rtseg.sinks.web import WebAddress
from tests.support.callers import DrawnCamera, call, post
from tests.support.painted import PaintedBackend, scene


@pytest.fixture
def page() -> Iterator[VisitorPage]:
    streams = StreamServer(PaintedBackend(), most_streams=2)
    page = VisitorPage(WebAddress(host="127.0.0.1", port=0), streams, settings=WebSettings())
    page.open()
    yield page
    page.close()
    streams.close()


def draw(_count: int) -> np.ndarray:
    return scene(240, 320, (160, 120, 160))[0]


def get(page: VisitorPage, path: str) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", page.address.port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, body
    return dict(json.loads(body))


def test_a_camera_comes_back_segmented(page: VisitorPage) -> None:
    asked_at: list[int] = []

    async def visit() -> list[np.ndarray]:
        async def until(got: list[np.ndarray], answer: dict[str, str]) -> bool:
            if len(got) >= 10 and not asked_at:
                asked_at.append(len(got))
                stats = get(page, f"/stats?visitor={answer['visitor']}")
                assert stats["faces"] == 1
                assert (stats["width"], stats["height"]) == (320, 240)
                assert stats["viewers"][0]["you"]  # type: ignore[index]
                asked = {
                    "visitor": answer["visitor"],
                    "view": {"view": "mask", "classes": ["hair"]},
                }
                await post(f"{page.url}control", asked)
            return bool(asked_at) and len(got) > asked_at[0] + 25

        return await call(f"{page.url}visit", camera=DrawnCamera(draw), until=until)

    pictures = asyncio.run(visit())
    assert pictures[-1].shape == (240, 320, 3)
    cheek = (slice(132, 136), slice(140, 144))
    before, after = pictures[asked_at[0] - 1][cheek], pictures[-1][cheek]
    assert np.abs(before.astype(int) - after).mean() > 30, "skin is not painted any more"


def test_each_visitor_has_a_separate_view_and_leaves_nothing(page: VisitorPage) -> None:
    answers: list[dict[str, str]] = []

    async def visit() -> None:
        def until(got: list[np.ndarray], answer: dict[str, str]) -> bool:
            if answer not in answers:
                answers.append(answer)
            return len(answers) == 2 and len(got) > 5

        await asyncio.gather(
            *(call(f"{page.url}visit", camera=DrawnCamera(draw), until=until) for _ in range(2))
        )
        for _ in range(200):
            if not page.visitors and not page.streams.streams:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("a visitor's stream stays")

    asyncio.run(visit())
    assert answers[0]["visitor"] != answers[1]["visitor"]


def test_a_visitor_too_many_is_refused(page: VisitorPage) -> None:
    refusals: list[tuple[int, str | None, str]] = []

    async def visit() -> None:
        async def until(got: list[np.ndarray], _answer: dict[str, str]) -> bool:
            if len(page.visitors) == 2 and not refusals:
                try:
                    await call(f"{page.url}visit", camera=DrawnCamera(draw), until=lambda *_: True)
                except urllib.error.HTTPError as error:
                    wait = error.headers["Retry-After"]
                    refusals.append((error.code, wait, error.read().decode()))
                    error.close()
            return bool(refusals)

        await asyncio.gather(
            *(call(f"{page.url}visit", camera=DrawnCamera(draw), until=until) for _ in range(2))
        )

    asyncio.run(visit())
    assert set(refusals) == {(503, "30", "2 visitors are here already; try again later\n")}


def test_no_visitor_can_change_anothers_picture(page: VisitorPage) -> None:
    for asked in (
        {"view": {"view": "mask"}},
        {"visitor": "", "view": {"view": "mask"}},
        {"visitor": "someone", "key": "hud"},
        {"visitor": ["a"], "key": "hud"},
    ):
        with pytest.raises(urllib.error.HTTPError) as refused:
            asyncio.run(post(f"{page.url}control", asked))
        assert refused.value.code == 404
        refused.value.close()
    assert get(page, "/stats")["picture"] == {}


def test_bad_offers_leave_no_visitor(page: VisitorPage) -> None:
    for sdp in ("", "v=0", 7):
        with pytest.raises(urllib.error.HTTPError) as refused:
            asyncio.run(post(f"{page.url}visit", {"sdp": sdp}))
        assert refused.value.code == 400
        refused.value.close()
    asyncio.run(asyncio.sleep(0.3))
    assert page.visitors == ()
    assert page.streams.streams == ()


def test_a_huge_picture_is_shrunk() -> None:
    import av

    picture = av.VideoFrame(7680, 4320, "yuv420p")
    frame = frame_of(picture, index=0, captured_ns=5_000)
    assert frame.width * frame.height <= LARGEST_PIXELS
    assert abs(frame.width / frame.height - 16 / 9) < 0.01
    assert float(frame.pts_seconds) == 5e-6
