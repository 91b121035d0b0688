"""Encode pictures once for all viewers, and not at all while there are none."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rtseg.frames import Picture
from rtseg.sinks.live_encoder import EncodedPicture, LiveEncoder
from rtseg.timing import Percentiles, RateMeter

Kind = Literal["webrtc", "mjpeg", "snapshot", "tile"]

JPEG_QUALITY = 80

_KEPT_AGES = 300
_LONGEST_WAIT_SECONDS = 0.2
_SHORTEST_BETWEEN_KEYS_SECONDS = 0.4

_MOST_WAITING_PICTURES = 8
"""The longest queue of H.264 pictures; a viewer further behind skips to a key frame."""


class Viewer:
    """One viewer. Everything except `deliver` is used on the event loop.

    Attributes:
        number: a running number.
        kind: how it watches, `webrtc` or `mjpeg`.
        since: when it joined, in monotonic seconds.
        dropped: pictures skipped because it was too slow.
        width: the widest that a tile's picture may be, in pixels.
    """

    def __init__(self, number: int, kind: Kind, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.kind = kind
        self.since = time.monotonic()
        self.dropped = 0
        self.delivered = 0
        self.width = 0
        self.is_closed = False
        self._loop = loop
        self._waiting: deque[EncodedPicture | bytes] = deque()
        self._arrival = asyncio.Event()
        self._needs_key = True

    def deliver(self, item: EncodedPicture | bytes) -> None:
        """Queue an encoded picture, from any thread, without waiting."""
        try:
            self._loop.call_soon_threadsafe(self._take, item)
        except RuntimeError:
            return  # the loop has ended, and every viewer with it

    @property
    def needs_key(self) -> bool:
        """Whether nothing can be shown until a key frame arrives."""
        return self._needs_key and self.kind == "webrtc"

    def _take(self, item: EncodedPicture | bytes) -> None:
        if isinstance(item, bytes):
            # Each JPEG is independent, so only the newest matters.
            self.dropped += len(self._waiting)
            self._waiting.clear()
        elif item.is_key:
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._needs_key = False
        elif self._needs_key or len(self._waiting) >= _MOST_WAITING_PICTURES:
            self._needs_key = True
            self.dropped += 1
            return
        self._waiting.append(item)
        self._arrival.set()

    async def next(self) -> EncodedPicture | bytes | None:
        """Wait for the next picture; None after the end."""
        while not self._waiting:
            if self.is_closed:
                return None
            self._arrival.clear()
            await self._arrival.wait()
        self.delivered += 1
        return self._waiting.popleft()

    def close(self) -> None:
        """Wake the waiting reader for the last time."""
        self.is_closed = True
        self._arrival.set()


@dataclass(frozen=True, eq=False)
class _Shown:
    picture: Picture
    captured_ns: int


class Broadcast:
    """Encodes the newest picture on a separate thread, so that nothing waits for encoding.

    Args:
        loop: the viewers' event loop.
        most_viewers: the most viewers at a time.
        threads: encoder threads.
        name: the thread's name.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        most_viewers: int,
        threads: int = 0,
        name: str = "rtseg-web-encode",
    ) -> None:
        self._loop = loop
        self._most_viewers = most_viewers
        self._threads = threads
        self._numbers = itertools.count(1)
        self._viewers: dict[int, Viewer] = {}
        self._newest: _Shown | None = None
        self._arrival = threading.Condition()
        self._is_over = False
        self._key_wanted = False
        self._last_key = 0.0
        self._encoder: LiveEncoder | None = None
        self._encoder_size: tuple[int, ...] = ()
        self._ages: deque[float] = deque(maxlen=_KEPT_AGES)
        self._rate = RateMeter()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    # --- any thread ---

    def offer(self, picture: Picture, captured_ns: int) -> None:
        """Offer the newest picture (RGB), replacing the one before. Never waits."""
        with self._arrival:
            self._newest = _Shown(picture, captured_ns)
            self._arrival.notify()

    @property
    def is_watched(self) -> bool:
        """Whether there are any viewers."""
        return bool(self._viewers)

    @property
    def viewers(self) -> tuple[Viewer, ...]:
        """The current viewers."""
        return tuple(self._viewers.values())

    @property
    def ages(self) -> Percentiles:
        """The age of pictures once encoded, over the last ten seconds or so."""
        return Percentiles.of(tuple(self._ages))

    @property
    def frames_per_second(self) -> float:
        """Pictures encoded per second."""
        return self._rate.per_second

    def request_key(self) -> None:
        """Make the next picture a key frame, unless one was made just now."""
        self._key_wanted = True

    def close(self) -> None:
        """Stop the thread; the server ends the viewers' connections."""
        with self._arrival:
            self._is_over = True
            self._arrival.notify()
        if self._thread is not threading.current_thread():
            self._thread.join(5)

    # --- the event loop ---

    def join(self, kind: Kind) -> Viewer | None:
        """Add a viewer; None if there are too many."""
        if len(self._viewers) >= self._most_viewers:
            return None
        viewer = Viewer(next(self._numbers), kind, self._loop)
        self._viewers[viewer.number] = viewer
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Remove a viewer. May be called twice."""
        self._viewers.pop(viewer.number, None)
        viewer.close()

    # --- the encoding thread ---

    def _work(self) -> None:
        try:
            while (shown := self._take()) is not None:
                self._encode(shown)
        except BaseException as error:  # noqa: BLE001  the sink raises it on its own thread
            self.error = error

    def _take(self) -> _Shown | None:
        """Wait for the newest picture that a viewer wants; None at the end."""
        while True:
            with self._arrival:
                if self._newest is None and not self._is_over:
                    self._arrival.wait(_LONGEST_WAIT_SECONDS)
                if self._is_over:
                    return None
                shown, self._newest = self._newest, None
            if shown is not None and self._viewers:
                return shown

    def _encode(self, shown: _Shown) -> None:
        viewers = self.viewers
        watching = [viewer for viewer in viewers if viewer.kind == "webrtc"]
        looking = [viewer for viewer in viewers if viewer.kind in ("mjpeg", "snapshot")]
        glancing = [viewer for viewer in viewers if viewer.kind == "tile" and viewer.width]
        if watching:
            encoded = self._as_h264(shown, joined=any(viewer.needs_key for viewer in watching))
            for viewer in watching:
                if encoded is not None:
                    viewer.deliver(encoded)
        if looking:
            jpeg = as_jpeg(shown.picture)
            for viewer in looking:
                viewer.deliver(jpeg)
        for width in {viewer.width for viewer in glancing}:
            jpeg = as_jpeg(_narrowed(shown.picture, width))
            for viewer in glancing:
                if viewer.width == width:
                    viewer.deliver(jpeg)
        self._rate.tick()
        self._ages.append((time.monotonic_ns() - shown.captured_ns) / 1e9)

    def _as_h264(self, shown: _Shown, *, joined: bool) -> EncodedPicture | None:
        height, width = shown.picture.shape[:2]
        if self._encoder is None or self._encoder_size != (width, height):
            self._encoder = LiveEncoder(width=width, height=height, threads=self._threads)
            self._encoder_size = (width, height)
        now = time.monotonic()
        key = (joined or self._key_wanted) and now > self._last_key + _SHORTEST_BETWEEN_KEYS_SECONDS
        if key:
            self._key_wanted, self._last_key = False, now
        # The time of sending, not of capture: a browser would take uneven processing times in
        # between for network jitter, and delay every picture to smooth it out.
        return self._encoder.encode(shown.picture, now, key=key)


def _narrowed(picture: Picture, width: int) -> Picture:
    """Shrink a picture to a width, keeping its aspect ratio."""
    import cv2

    rows, columns = picture.shape[:2]
    if columns <= width:
        return picture
    size = (width, max(1, round(rows * width / columns)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_jpeg(picture: Picture) -> bytes:
    """Encode a picture as JPEG."""
    import cv2

    bgr = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()
