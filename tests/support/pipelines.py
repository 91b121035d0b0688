"""A pipeline with a fake segmenter, view and sink that can be slow or fail on command."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rtseg.errors import SourceError
from rtseg.frames import Frame, Packet, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.runtime.pipeline import Pipeline
from rtseg.sinks.base import Event, Outcome, Picture, Sink
from rtseg.sources.base import Source
from rtseg.testing import FakeSource, nothing

WIDTH, HEIGHT = 8, 6
DEADLINE_SECONDS = 2.0
OVERLAPS = pytest.mark.parametrize("overlap", [True, False], ids=["overlap", "serial"])


class Fault:
    """Raises its error at the `at`-th call, and records when."""

    def __init__(self, error: BaseException, *, at: int) -> None:
        self.error = error
        self.at = at
        self.raised_at = 0.0
        self._calls = itertools.count()

    def __call__(self) -> None:
        if next(self._calls) == self.at:
            self.raised_at = time.monotonic()
            raise self.error


class StuckSource(FakeSource):
    """Delivers `count` frames, then waits in a read until it is closed (or `released`)."""

    def __init__(self, count: int, *, obeys_close: bool = True, **options: Any) -> None:
        super().__init__(count, **options)
        self.obeys_close = obeys_close
        self.released = threading.Event()

    def items(self) -> Iterator[Frame | Packet]:
        yield from super().items()
        (self.closed if self.obeys_close else self.released).wait(60)
        raise SourceError("closed under a read")


class FakeSink(Sink):
    """A sink that records what it gets."""

    def __init__(
        self,
        *,
        seconds: float = 0.0,
        faults: dict[str, Callable[[], None]] | None = None,
        events: dict[int, Event] | None = None,
        wants_pixels: bool = True,
    ) -> None:
        self.seconds = seconds
        self.faults = faults or {}
        self.events = events or {}
        self.wants_pixels = wants_pixels
        self.log: list[str] = []
        self.frames: list[Frame] = []
        self.labels: list[bytes] = []
        self.pictures: list[Picture | None] = []
        self.ages: list[float] = []
        self.calls: list[str] = []
        self.polls: list[float] = []
        self.threads: set[threading.Thread] = set()
        self.keep_frames = True

    def _enter(self, name: str) -> None:
        self.threads.add(threading.current_thread())
        self.faults.get(name, nothing)()

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        self.calls.append(f"open {info.name} {width}x{height}")
        self.open_threads = rtseg_threads()
        self._enter("open")

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        self.ages.append((time.monotonic_ns() - frame.captured_ns) / 1e9)
        self._enter("write")
        if self.seconds:
            time.sleep(self.seconds)
        self.log.append(f"frame {frame.index}")
        if self.keep_frames:
            self.frames.append(frame)
        self.labels.append(segmentation.labels.tobytes())
        self.pictures.append(picture)

    def copy(self, packet: Packet) -> None:
        self._enter("copy")
        self.log.append(str(packet.payload))

    def poll(self) -> tuple[Event, ...]:
        self.polls.append(time.monotonic())
        self._enter("poll")
        event = self.events.get(len(self.polls))
        return () if event is None else (event,)

    def close(self, outcome: Outcome) -> None:
        self.calls.append(f"close {outcome}")
        self._enter("close")

    @property
    def written(self) -> list[int]:
        return [int(line.split()[1]) for line in self.log if line.startswith("frame")]


def segmenter(
    seconds: float = 0.0, fault: Callable[[], None] = nothing
) -> Callable[[Frame], Segmentation]:
    def segment(frame: Frame) -> Segmentation:
        fault()
        if seconds:
            time.sleep(seconds)
        labels = np.full((frame.height, frame.width), frame.index % len(HELEN), np.uint8)
        return Segmentation(labels=labels, label_set=HELEN)

    return segment


def renderer(
    seconds: float = 0.0, fault: Callable[[], None] = nothing
) -> Callable[[Frame, Segmentation], Picture]:
    def render(frame: Frame, segmentation: Segmentation) -> Picture:
        fault()
        if seconds:
            time.sleep(seconds)
        return frame.image + segmentation.labels[..., None]

    return render


def pipeline(source: Source, sink: Sink, **options: Any) -> Pipeline:
    return Pipeline(
        **{
            "source": source,
            "sink": sink,
            "segment": segmenter(),
            "render": renderer(),
            "width": WIDTH,
            "height": HEIGHT,
            **options,
        }
    )


def rtseg_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rtseg-")]
