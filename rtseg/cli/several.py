"""Process several inputs of `rtseg video`: destination folders, progress and a summary."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from rtseg.backends import label_set_of
from rtseg.batch import (
    BatchReport,
    BatchSettings,
    BatchTask,
    InProcessRunner,
    Runner,
    TaskResult,
    plan_direct,
    run_direct,
)
from rtseg.batch.tasks import Kind
from rtseg.cli.options import with_options_named
from rtseg.cli.running import attend
from rtseg.errors import SettingError
from rtseg.settings import EncodeSettings, ModelSettings
from rtseg.wiring import check_choices


def segment_several(
    sources: Sequence[str],
    folders: Mapping[Kind, str],
    *,
    resume: bool,
    quiet: bool,
    encode: EncodeSettings,
    model: ModelSettings,
    **settings: Any,
) -> int:
    """Segment several inputs into folders, with one network; return the exit code.

    Args:
        sources: the inputs.
        folders: the folder of each kind of output.
        resume: skip what is finished.
        quiet: print errors only.
        encode, model, settings: the other fields of `BatchSettings`.

    Raises:
        SettingError: there is no output, or an output would be an input or another output.
        RtsegError: an error that would affect every input.
    """
    if not folders:
        raise SettingError(
            "no output; give -o FOLDER, --labels FOLDER, --json FOLDER or --coco FOLDER"
        )
    check_choices(
        label_set_of(model.model), view=settings["view"], effects=settings.get("effects", ())
    )
    if resume:
        if encode.overwrite:
            raise SettingError("--resume keeps what --overwrite replaces; give one of them")
        # an unfinished task may have left some of its files
        encode = replace(encode, overwrite=True)
    batch = BatchSettings(
        pictures="pictures" in folders,
        labels="labels" in folders,
        records="records" in folders,
        coco="coco" in folders,
        encode=encode,
        model=model,
        **settings,
    )
    tasks = plan_direct(sources, folders, batch)
    runner = InProcessRunner(model, functools.partial(attend, quiet=quiet))
    return run_several(tasks, runner, resume=resume, quiet=quiet)


def run_several(tasks: Sequence[BatchTask], runner: Runner, *, resume: bool, quiet: bool) -> int:
    """Run every task; return the worst exit code, or that of the signal that ended the run.

    Args:
        tasks: from `plan_direct`.
        runner: where to run them.
        resume: leave finished tasks unchanged.
        quiet: print errors only.

    Raises:
        RtsegError: an error that would affect every other input as well.
    """

    def tell(result: TaskResult) -> None:
        if _has_failed(result):
            click.echo(f"error: {with_options_named(result.message)}", err=True)

    report = run_direct(tasks, runner, resume=resume, on_result=tell)
    if not quiet:
        _summarise(report)
    if report.error is not None:
        raise report.error
    return report.exit_code


def _has_failed(result: TaskResult) -> bool:
    return result.status != "left" and result.exit_code != 0


def _summarise(report: BatchReport) -> None:
    failed = [result for result in report.results if _has_failed(result)]
    left = report.counts["left"]
    done = len(report.results) - report.skipped - len(failed) - left
    parts = [f"{done} of {len(report.results)} videos done"]
    if report.skipped:
        parts.append(f"{report.skipped} finished before")
    if failed:
        parts.append(f"{len(failed)} failed")
    if left:
        parts.append(f"{left} left; --resume continues with them")
    click.echo(", ".join(parts), err=True)
    for result in failed:
        click.echo(f"  failed: {with_options_named(result.line)}", err=True)
