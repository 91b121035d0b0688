"""Live sources that stall, die and come back on command, and sinks that fail or are slow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction

from rtseg.errors import LostError, SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sources.base import Source
from tests.support.painted import scene

TICKS = Fraction(1, 1_000_000)


class Camera:
    """A camera that a test can switch on and off. Calling it opens a source.

    Attributes:
        is_there: whether it can be opened and keeps working.
        stalls: while set, it delivers neither frames nor errors.
        has_bug: whether reading raises an unexpected exception.
        opened: how many times it was opened.
        frames: number of frames before the end; None for endless.
    """

    def __init__(self, *, rate: float = 50.0, x: int = 160, frames: int | None = None) -> None:
        self.is_there = threading.Event()
        self.is_there.set()
        self.stalls = threading.Event()
        self.has_bug = False
        self.opened = 0
        self.rate = rate
        self.frames = frames
        self.image = scene(240, 320, (x, 120, 160))[0]
        self.__name__ = "a drawn camera"

    def __call__(self) -> Source:
        if not self.is_there.is_set():
            raise LostError("a drawn camera: is not there")
        self.opened += 1
        return _Opened(self)


class _Opened(Source):
    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self._closed = threading.Event()
        self.info = SourceInfo(
            name="a drawn camera", width=320, height=240, time_base=TICKS, is_live=True
        )

    def __iter__(self) -> Iterator[Frame]:
        camera, begun = self._camera, time.monotonic_ns()
        index = 0
        while camera.frames is None or index < camera.frames:
            if self._closed.wait(1 / camera.rate):
                return
            if not camera.is_there.is_set():
                raise LostError("a drawn camera: has gone")
            if camera.has_bug:
                raise ZeroDivisionError
            if camera.stalls.is_set():
                continue
            now = time.monotonic_ns()
            yield Frame(
                image=camera.image,
                index=index,
                pts=(now - begun) // 1000,
                time_base=TICKS,
                captured_ns=now,
            )
            index += 1

    def close(self) -> None:
        self._closed.set()


class Kept(Sink):
    """Keeps what it is given; raises or is slow on command."""

    made: list[Kept]

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.outcome: Outcome | None = None
        self.fails_with: Exception | None = None
        self.seconds = 0.0

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        self.info = info

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        time.sleep(self.seconds)
        if self.fails_with is not None:
            raise self.fails_with
        assert picture is not None
        self.pictures.append(picture)

    def close(self, outcome: Outcome) -> None:
        self.outcome = outcome


def disk_full() -> SinkError:
    return SinkError("kept: the disk is full")
