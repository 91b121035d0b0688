"""Run a recipe from the command line: progress, the model, and its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from training.distributed import Group
from training.evaluation.report import require_matplotlib
from training.evaluation.run_report import write_report
from training.events import Progress, TensorBoardLog
from training.recipes.base import Recipe
from training.settings import FitSettings
from training.trainer import fit


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
