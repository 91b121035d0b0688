"""How a run shows itself: a progress bar on a terminal, plain lines elsewhere; a summary."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from rtseg.timing import STAGES

if TYPE_CHECKING:
    from rtseg.runtime.pipeline import Progress, RunSummary

PLAIN_INTERVAL_SECONDS = 5.0


class Reporter(Protocol):
    """What a run reports to."""

    def __call__(self, progress: Progress) -> None:
        """Called after every frame."""


def set_up_logging(*, verbose: bool, quiet: bool) -> None:
    """Show rtseg's own log on standard error: choices and warnings; with `verbose`, everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("rtseg")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)


@contextmanager
def reporting(*, frame_count: int | None, quiet: bool, title: str) -> Iterator[Reporter]:
    """A reporter for one run. Everything goes to standard error; standard output stays free."""
    if quiet:
        yield lambda _progress: None
    elif sys.stderr.isatty():
        with _bar(frame_count, title) as reporter:
            yield reporter
    else:
        yield _plain(frame_count)


@contextmanager
def _bar(frame_count: int | None, title: str) -> Iterator[Reporter]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:.1f} FPS"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=frame_count, rate=0.0)

        def report(progress: object) -> None:
            done, rate = progress.frames, progress.frames_per_second  # type: ignore[attr-defined]
            total = None if frame_count is None else max(frame_count, done)
            bar.update(task, completed=done, total=total, rate=rate)

        yield report


def _plain(frame_count: int | None) -> Reporter:
    last = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PLAIN_INTERVAL_SECONDS:
            return
        last = now
        line = f"{progress.frames} frames"
        if frame_count:
            line += f" of {frame_count} ({100 * progress.frames / frame_count:.0f}%)"
            if progress.frames_per_second:
                left = max(0.0, frame_count - progress.frames) / progress.frames_per_second
                line += f", {left:.0f} s left"
        click.echo(f"{line}, {progress.frames_per_second:.1f} FPS", err=True)

    return report


def print_summary(summary: RunSummary, outputs: list[str]) -> None:
    """What a run did: frames, end-to-end FPS, stage times, where the outputs are."""
    line = (
        f"{summary.frames} frames in {summary.seconds:.2f} s: "
        f"{summary.frames_per_second:.1f} FPS end to end"
    )
    if summary.dropped:
        line += f", {summary.dropped} dropped"
    if summary.corrupt:
        line += f", {summary.corrupt} damaged in the input"
    if summary.reconnects:
        line += f", {summary.reconnects} reconnect{'' if summary.reconnects == 1 else 's'}"
    click.echo(line, err=True)
    stages = [
        f"{stage} {summary.stages[stage].p50:.1f}"
        for stage in STAGES
        if stage in summary.stages and summary.stages[stage].count
    ]
    if stages:
        click.echo("ms a frame (median): " + ", ".join(stages), err=True)
    for output in outputs:
        click.echo(f"wrote {output}", err=True)
