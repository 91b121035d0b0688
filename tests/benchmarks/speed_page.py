"""Measure the figures of docs/speed.md, and write them into the page.

    python -m tests.benchmarks.speed_page --write docs/speed.md --clip clip.mp4 --base FOLDER

Each part fills one block of the page, between `<!-- measured: NAME -->` and `<!-- end -->`:

- `crops`: one crop in every backend, with two threads and with one;
- `pipeline`: file to file beside the null model and beside an earlier version;
- `earlier`: the demo, `rtseg bench` and one crop beside that version.

Compared runs alternate, each in its own process, so that load on the machine affects all of them.
The earlier version is a folder with a checkout of it. `--quick` tries everything with a few frames.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import av
import click

from rtseg.bench.backends import CANDIDATES, bench_backends
from rtseg.settings import BenchSettings, ModelSettings
from rtseg.system.machine import this_machine
from tests.benchmarks.clips import make_clip

HERE = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure, and how long.

    Attributes:
        clips: the clips of `pipeline`, besides the demo's.
        base: the folder of the earlier version; None to leave it out.
        rounds: alternating runs of each variant.
        frames: measured frames of each run.
        calls: measured calls of each backend.
        crops: alternating processes that time one crop.
    """

    clips: Sequence[Path]
    base: Path | None
    rounds: int = 3
    frames: int = 100
    calls: int = 60
    crops: int = 9


def main() -> None:
    """Measure, print the blocks, and write them into a page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", type=Path, help="a page with the blocks' marks")
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--clip", type=Path, action="append", default=[], help="of a person")
    parser.add_argument("--base", type=Path, help="a checkout of an earlier version")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    plan = Plan(clips=options.clip, base=options.base)
    if options.quick:
        plan = dataclasses.replace(plan, rounds=1, frames=12, calls=3, crops=1)
    for name, measure in PARTS.items():
        if options.only and name not in options.only:
            continue
        block = measure(plan)
        click.echo(f"\n{block}\n{this_machine().line()}")
        if options.write is not None:
            page = options.write.read_text("utf-8")
            options.write.write_text(with_block(page, name, block), "utf-8")


def with_block(page: str, name: str, block: str) -> str:
    """Return a page with one block's content replaced.

    Raises:
        ValueError: the page does not have the block's marks exactly once.
    """
    marks = re.compile(rf"(<!-- measured: {re.escape(name)} -->\n).*?(\n<!-- end -->)", re.DOTALL)
    found = len(marks.findall(page))
    if found != 1:
        raise ValueError(f"the page has the marks of {name!r} {found} times, not once")
    return marks.sub(lambda match: f"{match[1]}\n{block}\n{match[2]}", page)


def crops(plan: Plan) -> str:
    """One crop in every backend that runs on this processor."""
    candidates = [candidate for candidate in CANDIDATES if candidate.device == "cpu"]
    both, one = (
        bench_backends(
            ModelSettings(threads=threads),
            candidates=candidates,
            rounds=plan.calls,
            bench=BenchSettings(frames=frames, warmup=4),
            on_progress=lambda name: click.echo(name, err=True),
        )
        for threads, frames in ((2, plan.frames), (1, 4))
    )
    alone = {figures.candidate: figures for figures in one.figures if not figures.problem}
    rows = []
    for figures in both.figures:
        candidate = figures.candidate
        if figures.problem or candidate.backend == "eager" or candidate not in alone:
            continue
        first, four = figures.batches[1], figures.batches[4]
        single = alone[candidate].batches[1]
        rows.append(
            (
                first.p50,
                f"`{candidate.backend}` {candidate.precision}",
                f"{first.p50:.1f} ({first.p95:.1f})",
                f"{four.p50:.1f}",
                f"{single.p50:.1f} ({single.p95:.1f})",
                f"{figures.agreement:.2%}",
                f"{figures.frames_per_second:.1f}",
                f"{figures.peak_mib:.0f}",
            )
        )
    heads = (
        "backend",
        "one crop",
        "four crops",
        "one crop, one thread",
        "same",
        "FPS",
        "memory, MiB",
    )
    return table(heads, [row[1:] for row in sorted(rows)])


def pipeline(plan: Plan) -> str:
    """Frames a second from file to file beside the null model."""
    rows = []
    with TemporaryDirectory() as name:
        demo = Path(name) / "demo.mp4"
        make_clip(demo, width=1280, height=720, frames=plan.frames + 40)
        for clip in (demo, *plan.clips):
            with av.open(str(clip)) as container:
                video = container.streams.video[0]
                width, height, count = video.width, video.height, video.frames
            frames = min(plan.frames, (count or plan.frames + 40) - 20)
            variants: dict[str, Callable[[], float]] = {
                "now": functools.partial(bench, HERE, clip, frames),
                "null": functools.partial(bench, HERE, clip, frames, "null"),
            }
            if plan.base is not None:
                variants["base"] = functools.partial(bench, plan.base, clip, frames)
            taken = in_turns(variants, plan.rounds)
            shown = "the demo" if clip is demo else clip.stem.replace("-", " ").replace("_", " ")
            cells = [f"{shown}, {width}x{height}"]
            if plan.base is not None:
                cells.append(middle(taken["base"]))
            cells.append(middle(taken["now"]))
            if plan.base is not None:
                cells.append(ratio(taken["now"], taken["base"]))
            rows.append((*cells, middle(taken["null"]), ratio(taken["now"], taken["null"])))
    before = ("earlier", "now", "ratio") if plan.base is not None else ("now",)
    return table(("input", *before, "null model", "now / null"), rows)


def earlier(plan: Plan) -> str:
    """The whole demo, `rtseg bench` and one crop beside the earlier version."""
    if plan.base is None:
        return "Not measured: no earlier version was given."
    base, now = plan.base, HERE
    with TemporaryDirectory() as name:
        folder = Path(name)
        # OpenVINO was an extra then, so a fresh install ran PyTorch
        fresh = in_turns(
            {
                "base": lambda: demo(base, folder, "--backend", "torch"),
                "now": lambda: demo(now, folder),
            },
            plan.rounds,
        )
    moving = in_turns(
        {
            "base": lambda: bench(base, None, plan.frames),
            "now": lambda: bench(now, None, plan.frames),
        },
        plan.rounds,
    )
    old, new = CropTimer(base, "openvino", "bf16"), CropTimer(now, "auto", "auto")
    single = in_turns({"base": old, "now": new}, plan.crops)
    faster = {"base": single["now"], "now": single["base"]}  # less is more
    rows = [
        (what, spread(shown["base"]), spread(shown["now"]), ratio(rates["now"], rates["base"]))
        for what, shown, rates in (
            ("`rtseg demo`, freshly installed (PyTorch then), FPS", fresh, fresh),
            ("`rtseg bench`, OpenVINO in both, FPS", moving, moving),
            (f"one crop, openvino bf16 then, {new.precision} now, ms", single, faster),
            (
                "the same crop, processor time of all threads, ms",
                {"base": old.busy, "now": new.busy},
                {"base": new.busy, "now": old.busy},
            ),
        )
    ]
    return table(("", "earlier", "now", "times as fast"), rows)


PARTS: dict[str, Callable[[Plan], str]] = {
    "crops": crops,
    "pipeline": pipeline,
    "earlier": earlier,
}


def in_turns(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call each function once a round; return their results by name."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(call())
            click.echo(f"{name}: {taken[name][-1]:.1f}", err=True)
    return taken


def bench(folder: Path, clip: Path | None, frames: int, model: str | None = None) -> float:
    """Frames per second of `rtseg bench` in one version; encoded if it reads a clip."""
    with TemporaryDirectory() as name:
        figures = Path(name) / "figures.json"
        words = ["bench", "--frames", str(frames), "--warmup", "8", "--json", str(figures)]
        words += ["--output", "encode", "--input", str(clip.resolve())] if clip is not None else []
        words += ["--model", model] if model is not None else []
        _rtseg(folder, *words)
        report: dict[str, Any] = json.loads(figures.read_text("utf-8"))
    return float(report["frames_per_second"])


def demo(folder: Path, results: Path, *words: str) -> float:
    """Frames per second that `rtseg demo` reports for the segmented clip."""
    for path in results.iterdir():
        path.unlink()
    said = _rtseg(folder, "demo", "-o", str(results / "demo.mp4"), *words)
    return float(re.findall(r"([\d.]+) FPS", said)[-1])


def _rtseg(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rtseg", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        click.echo(done.stderr, err=True)
        sys.exit(done.returncode)
    return done.stderr + done.stdout


_CROPS = """
import statistics, sys, time
import numpy as np
from rtseg.backends import open_backend
backend = open_backend(sys.argv[1], precision=sys.argv[2])
size = backend.model.input_height, backend.model.input_width, 3
crop = np.random.default_rng(0).integers(0, 256, (1, *size), np.uint8)
for _ in range(20):
    backend.infer(crop)
taken, busy = [], []
for _ in range(60):
    start, start_busy = time.perf_counter(), time.process_time()
    backend.infer(crop)
    busy.append((time.process_time() - start_busy) * 1e3)
    taken.append((time.perf_counter() - start) * 1e3)
print(statistics.median(taken), statistics.median(busy), backend.name, backend.precision)
"""


class CropTimer:
    """Times one crop in a process of one version, started anew for each call.

    Two processes that live at once disturb each other even where only one of them works.

    Attributes:
        busy: the median processor time of each call in milliseconds, over all threads.
    """

    def __init__(self, folder: Path, backend: str, precision: str) -> None:
        self.folder = folder
        self.words = [sys.executable, "-c", _CROPS, backend, precision]
        self.precision = ""
        self.busy: list[float] = []

    def __call__(self) -> float:
        """The median of sixty calls in milliseconds."""
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        done = subprocess.run(
            self.words, cwd=self.folder, env=environment, capture_output=True, text=True, check=True
        )
        milliseconds, busy, self.precision = done.stdout.strip().split(" ", 2)
        self.busy.append(float(busy))
        return float(milliseconds)


def middle(values: Sequence[float]) -> str:
    """The median."""
    return f"{statistics.median(values):.1f}"


def spread(values: Sequence[float]) -> str:
    """The median, and the least and the largest value."""
    return f"{middle(values)} ({min(values):.1f} to {max(values):.1f})"


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """The median of the rounds' ratios."""
    return f"{statistics.median(a / b for a, b in zip(above, below, strict=True)):.2f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Format as Markdown."""
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    main()
