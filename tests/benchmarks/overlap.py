"""Measure how much faster a file is processed when its stages overlap.

python -m tests.benchmarks.overlap

Each stage is limited to one thread, and the clip's size is chosen so that decoding, drawing and
encoding together cost about as much as finding and segmenting the face. Runs with and without
overlap alternate, so that load on the machine affects both. Two cores allow at most a factor of 2.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from rtseg.bench.pipeline import BenchReport, run_bench
from rtseg.settings import BenchSettings, ModelSettings
from rtseg.system.machine import this_machine
from tests.benchmarks.clips import make_clip

INFERENCE = ("prepare", "infer", "finish")
PROMISED_RATIO = 1.4
WARMUP = 10
START_SIZE = (1280, 720)


def bench(clip: Path, *, frames: int, overlap: bool, model: str | None) -> BenchReport:
    """Run once over the clip, from decoding to encoding."""
    settings = BenchSettings(
        input=str(clip), frames=frames, warmup=WARMUP, output="encode", overlap=overlap
    )
    return run_bench(settings, model=ModelSettings(model=model, threads=1))


def shares(report: BenchReport) -> tuple[float, float]:
    """Milliseconds per frame: (decode, draw and encode; find and segment)."""
    inference = sum(report.summary.stages[stage].mean for stage in INFERENCE)
    return report.stages_ms - inference, inference


def balanced_clip(folder: Path, *, frames: int, model: str | None) -> Path:
    """A clip of the size at which both sides cost about the same."""
    area = float(START_SIZE[0] * START_SIZE[1])
    path = folder / "clip.mp4"
    for _ in range(4):
        height = max(90, round((area * 9 / 16) ** 0.5 / 2) * 2)
        width = round(height * 16 / 9 / 2) * 2
        make_clip(path, width=width, height=height, frames=WARMUP + 40)
        media, inference = shares(bench(path, frames=40, overlap=False, model=model))
        click.echo(
            f"{width}x{height}: decode, draw, encode {media:.1f} ms; inference {inference:.1f} ms"
        )
        if 0.87 < media / inference < 1.15:
            break
        area *= inference / media
    make_clip(path, width=width, height=height, frames=WARMUP + frames + 16)
    return path


def main() -> int:
    """Measure, and report whether the target is met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", help="model file; the built-in one if not given")
    options = parser.parse_args()

    import cv2

    cv2.setNumThreads(1)
    machine = this_machine()
    click.echo(f"{machine.processor}, {machine.usable_cores} cores usable")
    ratios = []
    with TemporaryDirectory() as folder:
        clip = balanced_clip(Path(folder), frames=options.frames, model=options.model)
        for _ in range(options.repeats):
            serial, overlapped = (
                bench(clip, frames=options.frames, overlap=overlap, model=options.model)
                for overlap in (False, True)
            )
            slow = serial.summary.frames_per_second
            fast = overlapped.summary.frames_per_second
            ratios.append(fast / slow)
            media, inference = shares(serial)
            click.echo(
                f"one by one {slow:.1f} FPS ({media:.1f} + {inference:.1f} ms), "
                f"overlapped {fast:.1f} FPS: {fast / slow:.2f} times as fast"
            )
    ratio = statistics.median(ratios)
    click.echo(f"median {ratio:.2f} times as fast; promised on two idle cores: {PROMISED_RATIO}")
    return 0 if ratio >= PROMISED_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
