"""Studies: several runs that differ in one thing, at one equal budget, and their table.

`python -m training study NAME --data DIR --out DIR` trains what is not trained yet, one run after
the other, and writes the table anew. The studies themselves lie in `training/studies/`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.checkpoint import Checkpoint, read_checkpoint
from rtseg.errors import SettingError
from rtseg.system.files import write_whole
from training.evaluation.metrics import Matrix
from training.evaluation.predictor import evaluated
from training.evaluation.report import read_log
from training.recipes.base import Recipe
from training.settings import FitSettings
from training.state import FREE
from training.trainer import LOG_FILE, fit

RESULT_FILE = "result.json"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a study.

    Attributes:
        name: of its folder and its row.
        recipe: what is trained, its architecture and options as this trial wants them.
        settings: how it is trained.
        cells: what else its row says, by heading.
    """

    name: str
    recipe: Recipe
    settings: FitSettings
    cells: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """All that decides what the run learns, as JSON values."""
        settings = {n: v for n, v in self.settings.plain().items() if n not in FREE}
        recipe = self.recipe
        network = {"architecture": recipe.spec.architecture, "options": dict(recipe.spec.options)}
        plain: dict[str, Any] = json.loads(
            json.dumps({"recipe": recipe.name, **network, "settings": settings, **self.cells})
        )
        return plain


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished trial gave.

    Attributes:
        trial: which.
        checkpoint: the model.
        path: its file.
        matrices: the confusion matrix of each split.
        seconds: of training.
        loss: mean training loss of the last tenth of the run, and of the tenth before it: a run
            whose two differ much has not converged.
    """

    trial: Trial
    checkpoint: Checkpoint
    path: Path
    matrices: Mapping[str, Matrix]
    seconds: float
    loss: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Study:
    """Runs that are compared.

    Attributes:
        name: on the command line.
        question: one line.
        budget: what each run is given, one line.
        trials: the runs.
        splits: what each is measured on.
        report: (outcomes, folder, processor threads) -> Markdown; may leave pictures in the folder.
    """

    name: str
    question: str
    budget: str
    trials: tuple[Trial, ...]
    splits: tuple[str, ...]
    report: Callable[[Sequence[Outcome], Path, int], str]


def run_study(
    study: Study,
    *,
    data: Path,
    out: Path,
    threads: int = 1,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train and measure every trial that is not done yet, and write `out/NAME.md`.

    Args:
        study: which.
        data: the data folder.
        out: a folder a trial, and the table.
        threads: processor threads of training, and of what the report times.
        say: told what goes on, line by line.

    Returns:
        The table's file.

    Raises:
        SettingError: `out` holds a trial of that name with other settings.
    """
    outcomes = []
    for number, trial in enumerate(study.trials, start=1):
        label = f"{study.name} {number}/{len(study.trials)} {trial.name}"
        folder = out / trial.name
        if not (folder / RESULT_FILE).exists():
            say(f"{label}: training")
            settings = dataclasses.replace(trial.settings, threads=threads)
            _train(trial, settings, data=data, folder=folder, study=study)
        outcome = _read(trial, folder)
        say(f"{label}: {outcome.seconds:.0f} s, loss {outcome.loss[1]:.4f}")
        outcomes.append(outcome)
    text = f"# {study.question}\n\n{study.budget}\n\n{study.report(outcomes, out, threads)}"
    path = out / f"{study.name}.md"
    write_whole(path, text.encode())
    return path


def _train(trial: Trial, settings: FitSettings, *, data: Path, folder: Path, study: Study) -> None:
    command = f"python -m training study {study.name} --data DIR --out DIR"
    path = fit(trial.recipe, data=data, out=folder, settings=settings, command=command, resume=True)
    checkpoint = read_checkpoint(path)
    matrices = {
        split: evaluated(checkpoint, trial.recipe.evaluation(data, split)).tolist()
        for split in study.splits
    }
    steps = [event for event in read_log(folder / LOG_FILE) if event["event"] == "step"]
    result = {
        "trial": trial.described(),
        "matrices": matrices,
        "seconds": steps[-1]["seconds"],
        "loss": _last_losses(steps),
    }
    write_whole(folder / RESULT_FILE, json.dumps(result).encode())


def _last_losses(steps: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    def mean(low: float, high: float) -> float:
        chosen = [e["loss"] for e in steps if low < e["progress"] <= high]
        return float(np.mean(chosen or [steps[-1]["loss"]]))

    return mean(0.8, 0.9), mean(0.9, 1.0)


def _read(trial: Trial, folder: Path) -> Outcome:
    result = json.loads((folder / RESULT_FILE).read_text("utf-8"))
    wanted = trial.described()
    if result["trial"] != wanted:
        other = next(n for n in wanted if result["trial"].get(n) != wanted[n])
        raise SettingError(
            f"{folder}: holds a run with {other} {result['trial'].get(other)}, not "
            f"{wanted[other]}; remove it, or use another --out"
        )
    path = folder / "model.safetensors"
    return Outcome(
        trial=trial,
        checkpoint=read_checkpoint(path),
        path=path,
        matrices={n: np.array(rows, np.int64) for n, rows in result["matrices"].items()},
        seconds=float(result["seconds"]),
        loss=(float(result["loss"][0]), float(result["loss"][1])),
    )
