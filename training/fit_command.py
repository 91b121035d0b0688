"""Run a recipe from the command line: progress, the model, and its report."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from training.distributed import Group
from training.evaluation.report import require_matplotlib
from training.evaluation.run_report import write_report
from training.events import Progress, TensorBoardLog
from training.recipes.base import Recipe
from training.settings import FitSettings
from training.trainer import MODEL_FILE, fit


def fit_chain(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    settings: FitSettings,
    changes: Sequence[str],
    command: Callable[[Recipe], str],
    resume: bool,
    group: Group,
) -> None:
    """Train a recipe, and before it, in folders below `out`, those whose networks it needs.

    Args:
        recipe: the one whose model goes into `out`.
        data: the data folder.
        out: the run's folder.
        settings: of that recipe. What is given as `start_from`, `answers_from` or `teachers_from`
            is not trained.
        changes: `name=value` texts, for the others' settings; these three are left out.
        command: the command that repeats a recipe's run.
        resume: go on from saved states.
        group: of processes.
    """
    shared = [change for change in changes if _name_of(change) not in _NETWORKS]
    trained: dict[str, Path] = {}

    def prepared(needed: Recipe) -> Path:
        if needed.name not in trained:
            folder = out / needed.name
            train(needed, folder, needed.settings.changed(shared))
            trained[needed.name] = folder / MODEL_FILE
        return trained[needed.name]

    def train(one: Recipe, folder: Path, settings: FitSettings) -> None:
        settings = dataclasses.replace(
            settings,
            start_from=settings.start_from or (prepared(one.first) if one.first else None),
            answers_from=settings.answers_from or (prepared(one.answers) if one.answers else None),
            teachers_from=settings.teachers_from or tuple(map(prepared, one.teachers)),
        )
        fit_and_report(
            one,
            data=data,
            out=folder,
            settings=settings,
            command=command(one),
            resume=resume,
            group=group,
        )

    train(recipe, out, settings)


_NETWORKS = ("start_from", "answers_from", "teachers_from")


def _name_of(change: str) -> str:
    return change.partition("=")[0].strip().replace("-", "_")


def fit_and_report(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    settings: FitSettings,
    command: str,
    resume: bool,
    group: Group,
) -> None:
    """Run `training.trainer.fit` with progress on the terminal and TensorBoard, then its report."""
    require_matplotlib()
    listeners: list[Any] = []
    if group.leads:
        listeners = [Progress(click.echo), TensorBoardLog(out / "tensorboard")]

    def tell(event: Mapping[str, Any]) -> None:
        for listener in listeners:
            listener(event)

    try:
        path = fit(
            recipe,
            data=data,
            out=out,
            settings=settings,
            command=command,
            resume=resume,
            group=group,
            report=tell,
        )
    finally:
        for listener in listeners:
            listener.close()
    if group.leads:
        _finish(path, recipe, data=data)


def _finish(model: Path, recipe: Recipe, *, data: Path) -> None:
    click.echo(f"wrote {model}")
    if recipe.figures is not None:  # its metrics are in the log and in the header
        return
    for written in write_report(model, recipe, data=data):
        click.echo(f"wrote {written}")
