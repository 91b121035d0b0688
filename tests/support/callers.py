"""A WebRTC client for tests, made with aiortc instead of a browser."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import aioice.ice
import av
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack


class DrawnCamera(VideoStreamTrack):
    """A camera track whose pictures a function draws."""

    def __init__(self, draw: Callable[[int], np.ndarray]) -> None:
        super().__init__()
        self._draw = draw
        self._count = 0

    async def recv(self) -> av.VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = av.VideoFrame.from_ndarray(self._draw(self._count), format="rgb24")
        self._count += 1
        frame.pts, frame.time_base = pts, time_base
        return frame


async def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    def send() -> dict[str, Any]:
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return dict(json.load(answer))

    return await asyncio.get_running_loop().run_in_executor(None, send)


async def call(
    url: str,
    *,
    camera: DrawnCamera | None = None,
    until: Callable[[list[np.ndarray], dict[str, Any]], Any],
    seconds: float = 30.0,
) -> list[np.ndarray]:
    """Connect to a page, and receive pictures until a function says that they are enough."""
    pictures: list[np.ndarray] = []
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiving: list[asyncio.Task[None]] = []

    @connection.on("track")
    def on_track(track: Any) -> None:
        async def receive() -> None:
            while True:
                frame = await track.recv()
                pictures.append(frame.to_ndarray(format="rgb24"))

        receiving.append(asyncio.ensure_future(receive()))

    original = aioice.ice.get_host_addresses
    try:
        if camera is None:
            connection.addTransceiver("video", direction="recvonly")
        else:
            connection.addTrack(camera)
        aioice.ice.get_host_addresses = lambda **_: ["127.0.0.1"]  # type: ignore[assignment]
        try:
            await connection.setLocalDescription(await connection.createOffer())
        finally:
            aioice.ice.get_host_addresses = original
        answer = await post(url, {"sdp": connection.localDescription.sdp})
        await connection.setRemoteDescription(
            RTCSessionDescription(sdp=answer["sdp"], type="answer")
        )
        end = asyncio.get_running_loop().time() + seconds
        while True:
            verdict = until(pictures, answer)
            if asyncio.iscoroutine(verdict):
                verdict = await verdict
            if verdict:
                return pictures
            assert asyncio.get_running_loop().time() < end, f"only {len(pictures)} pictures arrived"
            await asyncio.sleep(0.05)
    finally:
        for task in receiving:
            task.cancel()
        await connection.close()
