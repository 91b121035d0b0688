"""Processor time of every step of a frame: `python -m tests.benchmarks.steps [CLIP …]`.

From file to file with one thread and one step after the other, so that each step's processor time
can be told from the others'. Time within a step that belongs to another one counts there. Processor
time says what a step costs on a busy machine too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import click

from rtseg import picture_pass
from rtseg.backends.openvino import OpenVinoBackend
from rtseg.bench.pipeline import run_bench
from rtseg.faces import FaceFollower
from rtseg.postprocess import LabelsOnce
from rtseg.postprocess.smoothing import CutDetector, TrackSmoother
from rtseg.runtime.statistics import RunCounter
from rtseg.settings import BenchSettings, ModelSettings
from rtseg.sinks.video import VideoSink
from rtseg.sinks.yuv import YuvConverter
from rtseg.sources.decoder import Decoder
from rtseg.sources.rgb import RgbConverter
from rtseg.system.machine import this_machine
from rtseg.views.live import LiveView
from tests.benchmarks.clips import make_clip
from tests.benchmarks.speed_page import table

WARM_UP = 8

STEPS: tuple[tuple[str, Any, str], ...] = (
    ("decoding", Decoder, "pictures"),
    ("to RGB", RgbConverter, "convert"),
    ("cutting out", picture_pass, "cut"),
    ("the network", OpenVinoBackend, "infer"),
    ("following faces", FaceFollower, "step"),
    ("wider crops", picture_pass, "wider_crop"),
    ("wider crops", picture_pass, "beyond_crop"),
    ("smoothing", TrackSmoother, "__call__"),
    ("noticing cuts", CutDetector, "__call__"),
    ("labels", picture_pass, "remove_checkerboard"),
    ("labels", picture_pass, "LabelledMap"),
    ("labels", picture_pass, "settle"),
    ("labels", picture_pass, "fill_holes"),
    ("labels", picture_pass, "remove_stray_skin"),
    ("labels", picture_pass, "remove_stray_neck"),
    ("labels", picture_pass, "paste"),
    ("labels", LabelsOnce, "paste"),
    ("drawing", LiveView, "__call__"),
    ("to 4:2:0", YuvConverter, "convert"),
    ("encoding", VideoSink, "_encode"),
)
"""Each step's name, and the function that does it."""

REST = "everything else"


def main() -> int:
    """Measure every clip, and print a table with a column for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("clips", nargs="*", type=Path, help="the moving face at 1280x720 if none")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--precision", default="int8")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        clips = list(options.clips)
        if not clips:
            clips = [Path(folder) / "the moving face.mp4"]
            make_clip(clips[0], width=1280, height=720, frames=options.frames + WARM_UP + 20)
        taken = [
            measured(clip, frames=options.frames, precision=options.precision) for clip in clips
        ]
    steps = dict.fromkeys(step for one in taken for step in one)
    rows = [
        (step, *(f"{one.get(step, 0.0):.2f}" for one in taken))
        for step in (*(step for step in steps if step != REST), REST)
    ]
    rows.append(("**together**", *(f"**{sum(one.values()):.1f}**" for one in taken)))
    click.echo(table(("ms a frame", *(clip.stem for clip in clips)), rows))
    click.echo(this_machine().line())
    return 0


def measured(clip: Path, *, frames: int, precision: Any) -> dict[str, float]:
    """The milliseconds of processor time that each step takes for a frame of a clip."""
    meter = Meter()
    with ExitStack() as patches:
        for step, owner, name in STEPS:
            patches.enter_context(
                patch.object(owner, name, meter.timed(step, getattr(owner, name)))
            )
        for owner, name, also in (
            (RunCounter, "restart", meter.start),
            (VideoSink, "close", meter.stop),
        ):
            patches.enter_context(patch.object(owner, name, after(also, getattr(owner, name))))
        run_bench(
            BenchSettings(
                frames=frames, warmup=WARM_UP, output="encode", overlap=False, input=str(clip)
            ),
            model=ModelSettings(backend="openvino", precision=precision, threads=1),
        )
    return {step: meter.seconds[step] * 1e3 / frames for step in meter.steps}


class Meter:
    """Adds up the processor time of steps, each without what other steps in it take.

    Attributes:
        seconds: of each step, since the last start.
    """

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.steps: list[str] = []
        self._running = [REST]
        self._since = time.process_time()
        self._is_on = True

    def start(self) -> None:
        """Begin anew."""
        self._turn()
        self.seconds.clear()

    def stop(self) -> None:
        """Count nothing from now on."""
        self._turn()
        self._is_on = False

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, whose time is counted; a generator is run to its end at once."""

        def call(*words: Any, **named: Any) -> Any:
            self._turn()
            self._running.append(named_step(step, words))
            try:
                result = function(*words, **named)
                return iter(list(result)) if isinstance(result, Generator) else result
            finally:
                self._turn()
                self._running.pop()

        return call

    def _turn(self) -> None:
        """Give the time since the last turn to the step that is running."""
        now = time.process_time()
        step = self._running[-1]
        if step not in self.steps:
            self.steps.append(step)
        if self._is_on:
            self.seconds[step] += now - self._since
        self._since = now


def named_step(step: str, words: tuple[Any, ...]) -> str:
    """The finder's network is a step of its own."""
    backend = words[0] if words else None
    is_finder = isinstance(backend, OpenVinoBackend) and backend.model.view == "finder"
    return "the finder's network" if is_finder else step


def after(also: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, after a call of another one."""

    def call(*words: Any, **named: Any) -> Any:
        also()
        return function(*words, **named)

    return call


if __name__ == "__main__":
    sys.exit(main())
