"""The command line: `python -m tests.benchmarks.faces --data DIR --only finding,cost`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from rtseg.backends import open_backend
from rtseg.errors import RtsegError
from rtseg.system.machine import this_machine
from tests.benchmarks import faces as package
from tests.benchmarks.faces import (
    blink,
    clips,
    cost,
    exactness,
    finding,
    flicker,
    gain,
    hair,
    searches,
    straight_edges,
    time_constant,
)
from tests.benchmarks.faces.report import Report

NAMES = ("finding", "gain", "hair", "edges", "flicker", "cost", "searches", "clips")


def main() -> int:
    """Measure, print Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.faces",
        description=package.__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="Helen*, backgrounds and clips")
    parser.add_argument("--model", help="model file; the built-in one if not given")
    parser.add_argument(
        "--backend", default="auto", choices=("auto", "openvino", "torch", "tensorrt")
    )
    parser.add_argument("--only", default=",".join(NAMES), help=f"some of {', '.join(NAMES)}")
    parser.add_argument("--count", type=int, default=48, help="streams or stills a row; default 48")
    parser.add_argument("--threads", type=int, default=0, help="0 is one a core")
    parser.add_argument("--json", type=Path, help="the same numbers, written there")
    parser.add_argument("--sheet", type=Path, help="PNG of the frames around the clip's cuts")
    options = parser.parse_args()
    chosen = [name for name in options.only.split(",") if name]
    unknown = [name for name in chosen if name not in NAMES]
    if unknown or options.count < 1:
        parser.error(f"--only {unknown} is unknown, or --count is not positive")
    logging.basicConfig(level=logging.WARNING)
    try:
        reports = run(chosen, options)
    except RtsegError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    if options.json is not None:
        data = {report.name: report.data() for report in reports}
        options.json.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    return 0


def run(chosen: list[str], options: argparse.Namespace) -> list[Report]:
    """Run the requested measurements, printing each table when it is ready."""
    with open_backend(options.backend, model=options.model, threads=options.threads) as backend:
        backend.warm_up()
        machine = this_machine()
        click.echo(
            f"{machine.processor}, {machine.usable_cores} cores usable; {backend.name} "
            f"{backend.precision} on {backend.device}\n"
        )
        data, count = options.data, options.count
        few = max(2, count // 3)
        measures: dict[str, Callable[[], list[Report]]] = {
            "finding": lambda: finding.measure(backend, data, count=count),
            "gain": lambda: gain.measure(backend, data, count=count),
            "hair": lambda: [hair.measure(backend, data, count=count)],
            "edges": lambda: [straight_edges.measure(backend, data, count=count)],
            "flicker": lambda: [
                flicker.measure(backend, data, count=few),
                blink.measure(backend, data, count=few),
                time_constant.measure(data, count=max(1, few // 4)),
                exactness.measure(backend, data, count=few),
            ],
            "cost": lambda: cost.measure(backend, data, count=count),
            "searches": lambda: [searches.measure(backend, data, count=count)],
            "clips": lambda: clips.measure(backend, data, sheet=options.sheet),
        }
        reports = []
        for name in NAMES:
            if name not in chosen:
                continue
            before = time.perf_counter()
            for report in measures[name]():
                click.echo(report.markdown())
                reports.append(report)
            click.echo(f"({name}: {time.perf_counter() - before:.0f} s)\n", err=True)
    return reports


if __name__ == "__main__":
    sys.exit(main())
