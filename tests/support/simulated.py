"""Simulate a live run on a virtual clock: a minute takes about a second on any machine.

Time stands still until everything waits: the camera for its next picture, the network or the output
for the end of its work or for new work. Then time jumps to the first event that is due.
"""

from __future__ import annotations

import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace

import numpy as np

from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.labels import HELEN
from rtseg.media.info import SourceInfo
from rtseg.runtime.pipeline import Pipeline, RunSummary
from rtseg.sinks.base import Outcome, Sink
from rtseg.sources.base import Source

REAL_LIMIT_SECONDS = 60.0


class SimulatedClock:
    """Wakes sleepers one after the other, each when nothing else is left to do.

    Args:
        is_quiet: whether everything is waiting, given the names of the sleepers.
    """

    def __init__(self) -> None:
        self.now_ns = 10**9
        self._lock = threading.Lock()
        self._sleepers: dict[str, tuple[int, threading.Event]] = {}
        self._is_over = False

    def sleep(self, name: str, seconds: float) -> None:
        """Wait on this clock; each name can sleep only once at a time."""
        if seconds <= 0:
            return
        woken = threading.Event()
        with self._lock:
            if self._is_over:
                return
            self._sleepers[name] = (self.now_ns + round(seconds * 1e9), woken)
        assert woken.wait(REAL_LIMIT_SECONDS), "the simulation stands still"

    def is_asleep(self, name: str) -> bool:
        return name in self._sleepers

    def run(self, is_quiet: Callable[[], bool]) -> None:
        """Let time pass until `end`."""
        while not self._is_over:
            # checked twice, because the state may change during the check
            if not (is_quiet() and is_quiet()):
                time.sleep(0.00005)
                continue
            with self._lock:
                if self._sleepers:
                    name = min(self._sleepers, key=lambda name: self._sleepers[name][0])
                    self.now_ns, woken = self._sleepers.pop(name)
                    woken.set()

    def end(self) -> None:
        """Wake all sleepers; nothing sleeps afterwards."""
        with self._lock:
            self._is_over = True
            for _, woken in self._sleepers.values():
                woken.set()
            self._sleepers.clear()


@dataclass(frozen=True)
class Shown:
    """A shown frame, with times in seconds."""

    index: int
    age: float
    inference: float


class SimulatedRun:
    """A camera, a network and an output with given durations.

    Args:
        seconds: length of the run on the virtual clock.
        interval: seconds between the camera's pictures.
        inference, output: seconds per frame.
        jitter: random relative variation of intervals and inferences.

    Attributes:
        shown: the shown frames in order.
        log: frames and packets as written.
        delivered: number of frames from the camera.
        most_alive: the most frames in memory at once.
        summary: the pipeline's summary.
    """

    def __init__(
        self,
        *,
        seconds: float,
        interval: float,
        inference: float,
        output: float = 0.0,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> None:
        self.clock = SimulatedClock()
        self._seconds = seconds
        self._interval, self._inference, self._output = interval, inference, output
        self._jitter = jitter
        # one generator each, so that the order of draws does not depend on the machine
        self._chance = {name: random.Random(f"{seed} {name}") for name in ("source", "infer")}
        self.shown: list[Shown] = []
        self.packets: list[str] = []
        self.sent_packets: list[str] = []
        self.delivered = self._begun = self._segmented = self._writing = 0
        self.most_alive = 0
        self._alive: weakref.WeakSet[Frame] = weakref.WeakSet()
        self._durations: dict[int, float] = {}
        self._pipeline = Pipeline(
            source=_Camera(self),
            segment=self._segment,
            sink=_Output(self),
            render=None,
            width=8,
            height=6,
        )

    def run(self) -> RunSummary:
        """Run it to the end."""
        ticking = threading.Thread(target=self.clock.run, args=(self._is_quiet,))
        ticking.start()
        try:
            return self._pipeline.run()
        finally:
            self.clock.end()
            ticking.join()

    @property
    def time_module(self) -> SimpleNamespace:
        """A replacement for `time` that uses this clock."""
        return SimpleNamespace(
            monotonic_ns=lambda: self.clock.now_ns, perf_counter=time.perf_counter
        )

    def varied(self, name: str, seconds: float) -> float:
        return seconds * (1 + self._jitter * self._chance[name].uniform(-1, 1))

    def _is_quiet(self) -> bool:
        """Whether everything sleeps or waits for work, and no frame is in transit."""
        captured, segmented = self._pipeline._captured, self._pipeline._segmented
        asleep = {name: self.clock.is_asleep(name) for name in ("source", "infer", "output")}
        infers, writes = self._begun - self._segmented, self._writing - len(self.shown)
        return (
            asleep["source"]
            and asleep["infer"] == infers
            and asleep["output"] == writes
            and (infers > 0 or self._frames_in(captured) == 0)
            and (writes > 0 or len(segmented) == 0)
            and self.delivered == captured.dropped + self._frames_in(captured) + self._begun
            and self._segmented == segmented.dropped + self._frames_in(segmented) + self._writing
        )

    @staticmethod
    def _frames_in(channel: object) -> int:
        return int(channel._droppable)  # type: ignore[attr-defined]

    def _segment(self, frame: Frame) -> Segmentation:
        seconds = self.varied("infer", self._inference)
        self._durations[frame.index] = seconds
        self._begun += 1
        self.clock.sleep("infer", seconds)
        self._segmented += 1
        return Segmentation(labels=frame.image[..., 0] * 0, label_set=HELEN)

    def show(self, frame: Frame) -> None:
        age = (self.clock.now_ns - frame.captured_ns) / 1e9
        self._writing += 1
        self.clock.sleep("output", self._output)
        self.most_alive = max(self.most_alive, len(self._alive))
        self.shown.append(Shown(frame.index, age, self._durations.pop(frame.index)))
        if self.clock.now_ns >= (1 + self._seconds) * 1e9:
            self._pipeline.stop()

    def pictures(self) -> Iterator[Frame | Packet]:
        while True:
            self.clock.sleep("source", self.varied("source", self._interval))
            if self.delivered % 3 == 0:
                self.sent_packets.append(f"packet {self.delivered}")
                yield Packet(
                    stream_index=1,
                    time_seconds=Fraction(self.delivered, 30),
                    size_bytes=100,
                    payload=self.sent_packets[-1],
                )
            frame = Frame(
                image=np.zeros((6, 8, 3), np.uint8),
                index=self.delivered,
                pts=self.delivered,
                time_base=Fraction(1, 30),
                captured_ns=self.clock.now_ns,
            )
            self._alive.add(frame)
            self.delivered += 1
            yield frame
            del frame


class _Camera(Source):
    def __init__(self, run: SimulatedRun) -> None:
        self._run = run
        self.info = SourceInfo(
            name="camera", width=8, height=6, time_base=Fraction(1, 30), is_live=True
        )

    def __iter__(self) -> Iterator[Frame | Packet]:
        return self._run.pictures()

    def close(self) -> None:
        self._run.clock.end()


class _Output(Sink):
    wants_pixels = False

    def __init__(self, run: SimulatedRun) -> None:
        self._run = run

    def open(self, info: object, *, width: int, height: int) -> None:
        pass

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        self._run.show(frame)

    def copy(self, packet: Packet) -> None:
        self._run.packets.append(str(packet.payload))

    def close(self, outcome: Outcome) -> None:
        self._run.clock.end()
