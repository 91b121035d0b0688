"""Run what was opened, with progress, signal handling and a summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from rtseg.cli.progress import print_summary, reporting
from rtseg.cli.signals import ending_in_order
from rtseg.errors import TruncatedError

if TYPE_CHECKING:
    from rtseg.sinks.base import Event
    from rtseg.wiring import Run


def attend(run: Run, *, quiet: bool, on_event: Callable[[Event], None] | None = None) -> int:
    """Run what was opened, with progress, signal handling and a summary; return the exit code.

    Raises:
        RtsegError: any error, after partial outputs have been saved.
    """
    info = run.source.info
    with (
        ending_in_order(run.stop) as interruption,
        reporting(frame_count=info.frame_count, quiet=quiet, title=info.name) as report,
    ):
        try:
            summary = run.run(on_progress=report, on_event=on_event)
        except TruncatedError:
            if run.summary is not None and not quiet:
                print_summary(run.summary, run.outputs)
            raise
    if not quiet:
        print_summary(summary, run.outputs)
        if interruption.signal_number is not None:
            click.echo("interrupted: the output holds every frame up to here", err=True)
    return interruption.exit_code
