"""`rtseg batch`: thousands of files, on this machine or on a cluster."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from rtseg.cli.companions import OF_THE_VIDEO, refuse_without
from rtseg.cli.file_outputs import with_no_audio, with_soft_masks
from rtseg.cli.options import with_effects, with_options_named, with_settings
from rtseg.settings import (
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    StreamSettings,
    TaskSettings,
    ViewSettings,
)

if TYPE_CHECKING:
    from rtseg.batch import BadInput, BatchReport, BatchTask, Runner, TaskResult
    from rtseg.sinks.labels.alpha import AlphaBits


@click.command(short_help="Segment thousands of files, here or on a Ray cluster.")
@click.argument("inputs", metavar="INPUT…", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="FOLDER",
    required=True,
    help="The folder for all results: one that every worker can see, or an fsspec URL (s3://, gs://).",
)
@click.option(
    "--on",
    default="local",
    show_default=True,
    metavar="WHERE",
    help="Where to run: local:N (N processes on this machine, by default one per core), ray (the "
    "cluster that this machine belongs to), or ray://HOST:PORT.",
)
@click.option(
    "--pictures/--no-pictures",
    default=True,
    show_default=True,
    help="Write a video of the view for each input.",
)
@click.option(
    "--frames", is_flag=True, help="Write the view as numbered pictures instead of a video."
)
@click.option(
    "--labels",
    is_flag=True,
    help="Write a lossless video of label ids (FFV1) for each input.",
)
@click.option(
    "--json",
    "records",
    is_flag=True,
    help="Write a file of JSON lines for each input, one line per frame.",
)
@click.option("--coco", is_flag=True, help="Write COCO annotations for each input.")
@with_soft_masks
@click.option("--dry-run", is_flag=True, help="Print what would be done, and exit.")
@with_settings(
    omit=("overwrite", "hud"),
    task=TaskSettings,
    view=ViewSettings,
    read=ReadSettings,
    stream=StreamSettings,
    encode=EncodeSettings,
    model=ModelSettings,
    faces=FaceSettings,
)
@with_effects
@with_no_audio
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
def command(
    inputs: tuple[str, ...],
    output: str,
    on: str,
    pictures: bool,
    frames: bool,
    labels: bool,
    records: bool,
    coco: bool,
    alpha: tuple[str, ...] | None,
    alpha_bits: AlphaBits,
    dry_run: bool,
    task: TaskSettings,
    view: ViewSettings,
    effects: tuple[str, ...],
    read: ReadSettings,
    stream: StreamSettings,
    encode: EncodeSettings,
    model: ModelSettings,
    faces: FaceSettings,
    quiet: bool,
) -> int:
    """Segment every INPUT into FOLDER, and record every result in FOLDER/results.parquet.

    INPUT is a file, a folder, a quoted pattern, a URL, or a manifest: a text file with one input
    per line, or a CSV or Parquet table with a column `input`. Finished inputs are not repeated, so
    the same command continues a batch that was stopped.

    \b
    rtseg batch clips/ -o done --labels --no-pictures
    rtseg batch manifest.csv -o s3://bucket/masks --on ray://head:10001
    """
    from rtseg.backends import label_set_of
    from rtseg.batch import BatchSettings, plan_tasks, read_inputs, runner_of
    from rtseg.wiring import check_choices

    refuse_without("--alpha", ("alpha_bits",), given=alpha)
    refuse_without("--pictures", OF_THE_VIDEO, given=pictures or alpha is not None)
    named = read_inputs(inputs, output=output)
    if model.threads == 0:
        model = dataclasses.replace(model, threads=_threads(on))
    settings = BatchSettings(
        pictures=pictures,
        numbered=frames,
        labels=labels,
        records=records,
        coco=coco,
        alpha=alpha,
        alpha_bits=alpha_bits,
        view=view,
        effects=effects,
        read=read,
        reconnect=stream,
        encode=encode,
        model=model,
        faces=faces,
    )
    if on.startswith("local"):  # a cluster's machines may have a model that this one lacks
        check_choices(label_set_of(model.model), view=view, effects=effects, alpha=settings.alpha)
    tasks = plan_tasks(named.sources, folder=output, settings=settings)
    runner = runner_of(on, threads=model.threads, tries=task.tries)
    for item in named.bad:
        click.echo(f"error: {item.message}", err=True)
    if dry_run:
        return _dry_run(tasks, output)
    return _run(
        tasks, runner, output=output, bad=named.bad, split_minutes=task.split_minutes, quiet=quiet
    )


def _threads(on: str) -> int:
    """The processor threads of one task, if all tasks share a machine."""
    cores = os.cpu_count() or 1
    kind, _, count = on.partition(":")
    if kind != "local":
        return 1
    return max(1, cores // int(count)) if count.isdigit() and int(count) else 1


def _dry_run(tasks: Sequence[BatchTask], output: str) -> int:
    from rtseg.batch import pending
    from rtseg.batch.storage import open_storage
    from rtseg.outputs import shown

    left, done = pending(tasks, open_storage(output))
    for task in left:
        click.echo(f"{shown(task.source)} -> {', '.join(task.files.values())}")
    click.echo(f"{len(left)} to do, {len(done)} done before", err=True)
    return 0


def _run(
    tasks: Sequence[BatchTask],
    runner: Runner,
    *,
    output: str,
    bad: Sequence[BadInput],
    split_minutes: float | None,
    quiet: bool,
) -> int:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    from rtseg.batch import run_batch

    console = Console(stderr=True, highlight=False)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, disable=quiet, transient=True
    ) as progress:
        bar = progress.add_task("files", total=len(tasks))

        def tell(result: TaskResult) -> None:
            progress.advance(bar)
            if result.status != "done" or result.message:
                word = "error" if result.status != "done" else "note"
                line = f"{word}: {with_options_named(result.line)}"
                progress.console.print(line, markup=False, soft_wrap=True)

        report = run_batch(
            tasks, runner, folder=output, bad=bad, on_result=tell, split_minutes=split_minutes
        )
    if not quiet:
        click.echo(_summary(report), err=True)
    return report.exit_code


def _summary(report: BatchReport) -> str:
    counts = report.counts
    frames = sum(result.frames for result in report.results)
    parts = [f"{counts['done']} of {len(report.results)} done ({frames} frames)"]
    if report.skipped:
        parts.append(f"{report.skipped} of them before")
    parts += [f"{counts[name]} {name}" for name in ("failed", "given up", "left") if counts[name]]
    return ", ".join(parts) + "; the result of each is in results.parquet"
