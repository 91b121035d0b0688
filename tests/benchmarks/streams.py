"""Compare many streams through one backend with as many separate processes.

    python -m tests.benchmarks.streams [--streams 1 2 4 8] [--seconds 6] [--kind server]

Every stream is a camera of 1280x720 at 30 pictures per second with a moving face. Each picture is
segmented with the shipped model, and the overlay is drawn. An age counts from when the camera had
the picture until it was drawn. *worst* is the mean age of the stream that fares worst, over the
mean of all: no stream starves while it is under 1.5. Separate processes use one thread each for the
network if there are two or more, which suits two cores better than the default.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np

from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sources.base import Source

WIDTH, HEIGHT, RATE = 1280, 720, 30.0
SETTLE_SECONDS = 3.0

_drawn: list[Any] = []


def pictures() -> tuple[SourceInfo, list[Any]]:
    """The moving face's pictures for one loop, drawn once per process."""
    from rtseg.sources.synthetic import MovingFaceSource

    if not _drawn:
        source = MovingFaceSource(width=WIDTH, height=HEIGHT, frame_count=90)
        images = [item.image for item in source if isinstance(item, Frame)]
        _drawn.append((replace(source.info, is_live=True, frame_count=None), images))
    info, images = _drawn[0]
    return info, images


class Camera(Source):
    """The moving face as a camera delivers it, starting somewhere in its loop."""

    def __init__(self, start: int) -> None:
        self.info, self._images = pictures()
        self._start = start
        self._over = threading.Event()

    def __iter__(self) -> Iterator[Frame | Packet]:
        begun, index = time.monotonic() + self._start * 0.0041, 0
        while not self._over.is_set():
            index = max(index + 1, int((time.monotonic() - begun) * RATE))
            self._over.wait(max(0.0, begun + index / RATE - time.monotonic()))
            yield Frame(
                image=self._images[(index + self._start) % len(self._images)],
                index=index,
                pts=index,
                time_base=self.info.time_base,
                captured_ns=time.monotonic_ns(),
            )

    def close(self) -> None:
        self._over.set()


class Watcher(Sink):
    """Receives drawn pictures, and records how old each one is."""

    wants_real_time = True

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Nothing to open."""

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        assert picture is not None
        now = time.monotonic_ns()
        self.seen.append((now / 1e9, (now - frame.captured_ns) / 1e6))

    def close(self, outcome: Outcome) -> None:
        """Nothing to close."""

    def ages(self, since: float) -> list[float]:
        """Ages in milliseconds of the pictures from now on."""
        return [age for at, age in self.seen if at >= since]


def by_server(count: int, seconds: float) -> list[list[float]]:
    """Ages by stream, all in this process."""
    from rtseg.backends import open_backend
    from rtseg.serving.stream_server import StreamDefinition, StreamServer
    from rtseg.sinks.registry import register_sink

    watchers = [Watcher() for _ in range(count)]
    register_sink(lambda name, _: watchers[int(name.rpartition("/")[2])], schemes=("watch",))
    pictures()
    with open_backend() as backend, StreamServer(backend, most_streams=count) as server:
        for number in range(count):
            server.start(
                StreamDefinition(
                    name=f"s{number}",
                    source=lambda number=number: Camera(11 * number),  # type: ignore[misc]
                    outputs=(f"watch://{number}",),
                )
            )
        while not all(watcher.seen for watcher in watchers):
            time.sleep(0.05)
        time.sleep(SETTLE_SECONDS)
        since = time.monotonic()
        time.sleep(seconds)
        return [watcher.ages(since) for watcher in watchers]


def alone(number: int, threads: int, seconds: float, ready: Barrier, results: Any) -> None:
    """Run one stream in its own process."""
    from rtseg.backends import open_backend
    from rtseg.process import open_run

    watcher, camera = Watcher(), Camera(11 * number)
    with (
        open_backend(threads=threads) as backend,
        open_run(camera, watcher, backend=backend) as run,
    ):
        thread = threading.Thread(target=run.run)
        ready.wait(120)
        thread.start()
        time.sleep(SETTLE_SECONDS)
        since = time.monotonic()
        time.sleep(seconds)
        results.put(watcher.ages(since))
        run.stop()
        thread.join()


def by_processes(count: int, seconds: float) -> list[list[float]]:
    """Ages by stream, each in its own process."""
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(count), context.Queue()
    threads = 0 if count == 1 else 1
    started = [
        context.Process(target=alone, args=(number, threads, seconds, ready, results))
        for number in range(count)
    ]
    for process in started:
        process.start()
    ages = [results.get(timeout=240) for _ in started]
    for process in started:
        process.join()
    return ages


def row(kind: str, count: int, seconds: float, ages: list[list[float]]) -> str:
    """Format one line of the table."""
    every = np.concatenate([np.array(stream) for stream in ages])
    means = [float(np.mean(stream)) if stream else float("inf") for stream in ages]
    fewest = min(len(stream) for stream in ages) / seconds
    return (
        f"| {count} | {kind} | {len(every) / seconds:.1f} | {fewest:.1f} | {np.median(every):.0f} "
        f"| {np.percentile(every, 95):.0f} | {max(means) / float(np.mean(means)):.2f} |"
    )


def say(line: str) -> None:
    """Print a line to standard output immediately."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--kind", choices=("server", "processes"), action="append")
    given = parser.parse_args()
    say("| streams | by | total FPS | FPS of the slowest | age p50, ms | p95, ms | worst |")
    say("| --- | --- | --- | --- | --- | --- | --- |")
    for count in given.streams:
        for kind in given.kind or ("server", "processes"):
            measure = by_server if kind == "server" else by_processes
            say(row(kind, count, given.seconds, measure(count, given.seconds)))


if __name__ == "__main__":
    main()
