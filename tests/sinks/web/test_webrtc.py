"""WebRTC without a browser: one encoder for all viewers, late viewers, silent ones."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from rtseg.sinks import live_encoder
from rtseg.sinks.web import broadcast as broadcast_module
from rtseg.sinks.web import peers
from rtseg.sinks.web.sink import WebSink
from tests.support.callers import call
from tests.support.pages import Page, serving_page


def offer_url(page: Page) -> str:
    return f"http://127.0.0.1:{page.port}/offer"


def encoder_count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    made: list[int] = []
    original = broadcast_module.LiveEncoder

    def make(**options: object) -> object:
        made.append(1)
        return original(**options)  # type: ignore[arg-type]

    monkeypatch.setattr(broadcast_module, "LiveEncoder", make)
    return made


def test_pictures_arrive_as_drawn_from_one_encoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = encoder_count(monkeypatch)

    async def watch(page: Page) -> list[list[np.ndarray]]:
        return await asyncio.gather(
            *(call(offer_url(page), until=lambda got, _: len(got) > 20) for _ in range(3))
        )

    with serving_page() as page:
        for pictures in asyncio.run(watch(page)):
            last = pictures[-1]
            assert last.shape == (240, 320, 3)
            assert np.abs(last[5, 5].astype(int) - 90).max() < 8
            assert np.abs(last[120, 160].astype(int) - 90).max() > 30
        page.wait(lambda: not page.stats()["viewers"], seconds=20)
        assert not page.sink.is_wanted
    assert len(made) == 1


def test_a_late_viewer_sees_a_picture_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only when the next group begins, which never happens by itself here."""
    monkeypatch.setattr(live_encoder, "LONGEST_GROUP_SECONDS", 1000.0)

    async def watch(page: Page) -> float:
        async def second() -> float:
            await asyncio.sleep(0.5)
            begun = asyncio.get_running_loop().time()
            await call(offer_url(page), until=lambda got, _: got)
            return asyncio.get_running_loop().time() - begun

        first = call(offer_url(page), until=lambda got, _: len(got) > 60)
        _, waited = await asyncio.gather(first, second())
        return waited

    with serving_page() as page:
        assert asyncio.run(watch(page)) < 8


def test_a_peer_that_never_connects_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "CONNECT_SECONDS", 0.5)

    async def offer_only(page: Page) -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection

        from tests.support.callers import post

        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.addTransceiver("video", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        answer = await post(offer_url(page), {"sdp": connection.localDescription.sdp})
        assert "127.0.0.1" in answer["sdp"]
        assert "H264" in answer["sdp"]
        assert "VP8" not in answer["sdp"]
        await connection.close()

    with serving_page() as page:
        asyncio.run(offer_only(page))
        assert page.stats()["viewers"]
        page.wait(lambda: not page.stats()["viewers"], seconds=10)


def test_a_peer_that_falls_silent_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "SILENT_SECONDS", 1.5)

    async def watch(page: Page) -> None:
        slept: list[int] = []

        def gone(got: list[np.ndarray], _answer: object) -> bool:
            if len(got) >= 5 and not slept:
                # As in a browser whose machine sleeps: its event loop stands still.
                slept.append(1)
                page.wait(lambda: not page.stats()["viewers"])
            return bool(slept)

        await call(offer_url(page), until=gone)

    with serving_page() as page:
        asyncio.run(watch(page))


def test_a_picture_of_another_size_is_sent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a phone is rotated: the encoder restarts, and the viewer stays."""
    made = encoder_count(monkeypatch)
    shapes: set[tuple[int, ...]] = set()

    async def watch(page: Page) -> None:
        original = page.sink.write

        def turned(frame, segmentation, picture):  # type: ignore[no-untyped-def]
            if page.written > 20:
                picture = np.ascontiguousarray(np.rot90(picture))
            original(frame, segmentation, picture)

        page.sink.write = turned  # type: ignore[method-assign]

        def both(got: list[np.ndarray], _answer: object) -> bool:
            shapes.update(picture.shape for picture in got)
            return len(shapes) == 2

        await call(offer_url(page), until=both)

    with serving_page() as page:
        assert isinstance(page.sink, WebSink)
        asyncio.run(watch(page))
    assert shapes == {(240, 320, 3), (320, 240, 3)}
    assert len(made) == 2
