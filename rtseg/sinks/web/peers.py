"""WebRTC through aiortc: send encoded pictures to browsers, and receive their cameras."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import Any

import aioice.ice
import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidAccessError, InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError

from rtseg.sinks.live_encoder import TIME_BASE, EncodedPicture
from rtseg.sinks.web.address import WebAddress
from rtseg.sinks.web.broadcast import Broadcast, Viewer

CONNECT_SECONDS = 15.0
"""Seconds that a browser may take to connect after the answer."""

SILENT_SECONDS = 10.0
"""Seconds of silence after which a browser counts as gone."""

_LOOK_EVERY_SECONDS = 1.0

_BAD_OFFER = (
    # The library hardly validates offers, and fails on bad ones with all kinds of exceptions.
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    InvalidAccessError,
    InvalidStateError,
    OperationError,
)

_addresses: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "addresses", default=None
)
_all_addresses = aioice.ice.get_host_addresses


def _host_addresses(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """Offer exactly the addresses that serve the page; aioice would omit 127.0.0.1."""
    chosen = _addresses.get()
    return _all_addresses(use_ipv4=use_ipv4, use_ipv6=use_ipv6) if chosen is None else chosen


aioice.ice.get_host_addresses = _host_addresses


class OfferError(Exception):
    """A browser's offer cannot be answered. The message says why."""


class PacketTrack(MediaStreamTrack):
    """A viewer's pictures as a track; aiortc packetises them without re-encoding."""

    kind = "video"

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer

    async def recv(self) -> Any:
        """Wait for the next picture's packet."""
        item = await self._viewer.next()
        if not isinstance(item, EncodedPicture):
            raise MediaStreamError
        packet = av.Packet(item.data)
        packet.pts = packet.dts = item.ticks
        packet.time_base = TIME_BASE
        packet.is_keyframe = item.is_key
        return packet


class Peer:
    """One browser's connection, from its offer to its end.

    Args:
        broadcast: the broadcast that it watches.
        viewer: its viewer in that broadcast.
        address: the page's address; pictures are sent nowhere else.
        on_frame: called with each picture of the browser's camera, if that is wanted.
        on_end: called once, when the connection has ended.
    """

    def __init__(
        self,
        broadcast: Broadcast,
        viewer: Viewer,
        *,
        address: WebAddress,
        on_frame: Callable[[Any], None] | None = None,
        on_end: Callable[[Peer], None],
    ) -> None:
        self._broadcast = broadcast
        self.viewer = viewer
        self._address = address
        self._on_frame = on_frame
        self._on_end = on_end
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_over = False
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("connectionstatechange", self._on_state)
        self._connection.on("track", self._on_track)

    async def answer(self, sdp: str, *, start_bitrate: int | None = None) -> str:
        """Answer a browser's offer.

        Args:
            sdp: the offer's session description.
            start_bitrate: initial kilobits per second for the browser's camera, if wanted.

        Raises:
            OfferError: it is not an offer, or does not support H.264.
        """
        connection = self._connection
        sender = connection.addTrack(PacketTrack(self.viewer))
        # The library passes key frame requests to its own encoder; forward them to ours.
        sender._send_keyframe = self._broadcast.request_key  # type: ignore[method-assign]
        h264 = [
            codec
            for codec in RTCRtpSender.getCapabilities("video").codecs
            if codec.mimeType in ("video/H264", "video/rtx")
        ]
        connection.getTransceivers()[0].setCodecPreferences(h264)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
            token = _addresses.set(_reachable(self._address))
            try:
                await connection.setLocalDescription(await connection.createAnswer())
            finally:
                _addresses.reset(token)
        except _BAD_OFFER as error:
            raise OfferError(f"the offer cannot be answered: {error}") from None
        described = connection.localDescription
        if "H264" not in described.sdp:
            raise OfferError("the browser does not support H.264")
        self._start(self._end_if_silent())
        answer = str(described.sdp)
        return answer if start_bitrate is None else _with_bitrate(answer, start_bitrate)

    async def close(self) -> None:
        """End the connection. May be called twice."""
        if self._is_over:
            return
        self._is_over = True
        self._broadcast.leave(self.viewer)
        self._on_end(self)
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        await self._connection.close()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _on_state(self) -> None:
        if self._connection.connectionState in ("failed", "closed", "disconnected"):
            await self.close()

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video" and self._on_frame is not None:
            self._start(self._receive(track))

    async def _receive(self, track: MediaStreamTrack) -> None:
        """Receive every picture immediately, so that none queues up in the library."""
        assert self._on_frame is not None
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            self._on_frame(frame)

    async def _end_if_silent(self) -> None:
        """End the connection if the browser never connects or falls silent."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONNECT_SECONDS
        last, reports = loop.time(), 0
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            now = loop.time()
            if self._connection.connectionState != "connected":
                if now > deadline:
                    break
                last = now
                continue
            heard = await self._reports()
            if heard != reports:
                last, reports = now, heard
            elif now - last > SILENT_SECONDS:
                break
        await self.close()

    async def _reports(self) -> int:
        """How many packets the browser has sent; it reports reception about once per second."""
        stats = await self._connection.getSenders()[0].getStats()
        return sum(e.packetsReceived for e in stats.values() if e.type == "transport")


def _reachable(address: WebAddress) -> list[str] | None:
    """The addresses offered to a browser; None for all of this machine's."""
    if address.is_loopback:
        return ["::1"] if ":" in address.host else ["127.0.0.1"]
    if address.host in ("0.0.0.0", "::"):  # noqa: S104  (compared, not bound)
        return ["127.0.0.1", *_all_addresses(use_ipv4=True, use_ipv6=address.host == "::")]
    return None


def _with_bitrate(sdp: str, kilobits: int) -> str:
    """Make Chromium start at this bit rate, so that it does not shrink its picture."""
    lines = []
    for line in sdp.splitlines():
        lines.append(line)
        if line.startswith("a=fmtp:") and "apt=" not in line:
            lines[-1] += f";x-google-start-bitrate={kilobits};x-google-min-bitrate={kilobits // 2}"
        elif line.startswith("a=rtpmap:") and "VP8" in line:
            number = line.removeprefix("a=rtpmap:").split()[0]
            lines.append(
                f"a=fmtp:{number} x-google-start-bitrate={kilobits};"
                f"x-google-min-bitrate={kilobits // 2}"
            )
    return "\r\n".join([*lines, ""])
