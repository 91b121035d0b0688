"""Show progress and summaries: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import functools
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from rtseg.timing import STAGES

if TYPE_CHECKING:
    from rtseg.runtime.statistics import Progress, RunSummary

PLAIN_INTERVAL_SECONDS = 5.0


class Reporter(Protocol):
    """Receives a run's progress."""

    def __call__(self, progress: Progress) -> None:
        """Called after every frame."""


class _OptionsNamed(logging.Formatter):
    """Shows the library's `fields` as command-line options."""

    def format(self, record: logging.LogRecord) -> str:
        from rtseg.cli.options import with_options_named

        return with_options_named(super().format(record))


def set_up_logging(*, verbose: bool, quiet: bool) -> None:
    """Show rtseg's log on standard error: choices and warnings; everything with `verbose`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OptionsNamed("%(message)s"))
    logger = logging.getLogger("rtseg")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.DEBUG if verbose else logging.ERROR if quiet else logging.INFO)


@contextmanager
def reporting(*, frame_count: int | None, quiet: bool, title: str) -> Iterator[Reporter]:
    """Yield a reporter for one run. It uses standard error, and leaves standard output free."""
    if quiet:
        yield lambda _progress: None
    elif sys.stderr.isatty():
        with _bar(title, frame_count, counts=True) as update:

            def report(progress: Progress) -> None:
                done = progress.frames
                total = None if frame_count is None else max(frame_count, done)
                rate = f"{progress.frames_per_second:.1f} FPS"
                update(completed=done, total=total, detail=rate)

            yield report
    else:
        say = _throttled()
        yield lambda progress: say(lambda: _line(progress, frame_count))


@contextmanager
def reporting_phases(title: str) -> Iterator[Callable[[float, str], None]]:
    """Like `reporting`, for work that reports its completed fraction, 0..1, and its phase."""
    if sys.stderr.isatty():
        with _bar(title, 1.0, counts=False) as update:
            yield lambda share, phase: update(completed=share, detail=phase[:40])
    else:
        say = _throttled()
        yield lambda share, phase: say(lambda: f"{title}: {share:.0%}, {phase}")


@contextmanager
def _bar(title: str, total: float | None, *, counts: bool) -> Iterator[Callable[..., None]]:
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
        *([MofNCompleteColumn()] if counts else []),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield functools.partial(bar.update, bar.add_task(title, total=total, detail=""))


def _throttled() -> Callable[[Callable[[], str]], None]:
    """Prints lines, but at most one every five seconds."""
    last = time.monotonic()

    def say(line: Callable[[], str]) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_INTERVAL_SECONDS:
            last = time.monotonic()
            click.echo(line(), err=True)

    return say


def _line(progress: Progress, frame_count: int | None) -> str:
    line = f"{progress.frames} frames"
    if frame_count:
        line += f" of {frame_count} ({100 * progress.frames / frame_count:.0f}%)"
        if progress.frames_per_second:
            left = max(0.0, frame_count - progress.frames) / progress.frames_per_second
            line += f", {left:.0f} s left"
    return f"{line}, {progress.frames_per_second:.1f} FPS"


def print_summary(summary: RunSummary, outputs: list[str]) -> None:
    """Print a run's summary: frames, end-to-end FPS, stage times, and outputs."""
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
        click.echo("ms per frame (median): " + ", ".join(stages), err=True)
    for output in outputs:
        click.echo(f"wrote {output}", err=True)
