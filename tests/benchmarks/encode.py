"""The cost of the network relative to decoding and encoding: `python -m tests.benchmarks.encode`.

Compares `rtseg bench --output encode` on a clip with the same command using the null model, which
only decodes, draws and encodes. The two alternate, each in its own process, so that load on the
machine affects both; the result is the median of the pairs' ratios.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from rtseg.system.machine import this_machine
from tests.benchmarks.clips import clip_parser, given_or_made_clip

AIM = 0.6


def bench(clip: Path, *options: str, frames: int, folder: Path) -> dict[str, Any]:
    """Run the benchmark once in its own process, and return its figures."""
    figures = folder / "figures.json"
    words = (
        "bench",
        "--output",
        "encode",
        "--input",
        clip,
        "--frames",
        frames,
        "--json",
        figures,
        "-y",
    )
    command = [sys.executable, "-m", "rtseg", *map(str, words), *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        click.echo(done.stderr.strip().splitlines()[-1], err=True)
        sys.exit(done.returncode)
    report: dict[str, Any] = json.loads(figures.read_text("utf-8"))
    return report


def main() -> int:
    """Measure, and report whether the target is met."""
    parser = clip_parser(__doc__, frames=300)
    parser.add_argument("--pairs", type=int, default=9)
    options = parser.parse_args()

    click.echo(this_machine().line())
    ratios = []
    with (
        TemporaryDirectory() as folder,
        given_or_made_clip(options.input, frames=options.frames + 40) as clip,
    ):
        for _ in range(options.pairs):
            with_network, without = (
                bench(clip, *model, frames=options.frames, folder=Path(folder))["frames_per_second"]
                for model in ((), ("--model", "null"))
            )
            ratios.append(with_network / without)
            click.echo(
                f"{with_network:.1f} FPS, without the network {without:.1f}: {ratios[-1]:.2f}"
            )
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    click.echo(f"median {middle:.2f} ({low:.2f} to {high:.2f}) of {len(ratios)} pairs; aim {AIM}")
    return 0 if middle >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
