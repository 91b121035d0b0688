"""Runs as the terminal sees them: progress, the model, and what there is to see of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rtseg.errors import SettingError
from training.distributed import Group
from training.evaluation.report import require_matplotlib
from training.evaluation.run_report import write_report
from training.events import Progress, TensorBoardLog
from training.recipes.base import Recipe
from training.settings import FitSettings
from training.soup import soup
from training.trainer import MODEL_FILE, fit


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
    """As `training.trainer.fit`, told to the terminal and to TensorBoard; then its pictures.

    Where the settings ask for several seeds, as `fit_several`.
    """
    require_matplotlib()
    if settings.seeds > 1:
        fit_several(
            recipe,
            data=data,
            out=out,
            settings=settings,
            command=command,
            resume=resume,
            group=group,
        )
        return
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


def fit_several(
    recipe: Recipe,
    *,
    data: Path,
    out: Path,
    settings: FitSettings,
    command: str,
    resume: bool,
    group: Group,
) -> None:
    """A run for each seed, in OUT/seed-K, and the mean of their weights.

    Raises:
        SettingError: the runs would start from random weights, and end too far apart for a mean.
    """
    if settings.start_from is None:
        raise SettingError(
            f"seeds={settings.seeds}: only runs from the same weights have a mean, and "
            f"{recipe.name} would start from random ones; use --set start_from=MODEL, or seeds=1"
        )
    members = []
    for seed in range(settings.seed, settings.seed + settings.seeds):
        folder = out / f"seed-{seed}"
        fit_and_report(
            recipe,
            data=data,
            out=folder,
            settings=dataclasses.replace(settings, seed=seed, seeds=1),
            command=f"{command} --set seeds=1 --set seed={seed}",
            resume=resume,
            group=group,
        )
        members.append(folder / MODEL_FILE)
    if group.leads:
        _finish(soup(recipe, members, data=data, out=out, command=command), recipe, data=data)
    group.wait()


def _finish(model: Path, recipe: Recipe, *, data: Path) -> None:
    click.echo(f"wrote {model}")
    if recipe.figures is not None:  # what it measured stands in the log and in the header
        return
    for written in write_report(model, recipe, data=data):
        click.echo(f"wrote {written}")
