"""Studies: several runs that differ in one respect, with equal budgets, and a table of results.

`python -m training study NAME --data DIR --out DIR` trains the missing runs one after the other,
and rewrites the table. The studies themselves are in `training/studies/`.
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
        name: the name of its folder and its row.
        recipe: the recipe, with this trial's architecture and options.
        settings: the training settings.
        cells: further cells of its row, by heading.
    """

    name: str
    recipe: Recipe
    settings: FitSettings
    cells: Mapping[str, str] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """Everything that determines the result of the run, as JSON values."""
        settings = {n: v for n, v in self.settings.plain().items() if n not in FREE}
        recipe = self.recipe
        network = {"architecture": recipe.spec.architecture, "options": dict(recipe.spec.options)}
        plain: dict[str, Any] = json.loads(
            json.dumps({"recipe": recipe.name, **network, "settings": settings, **self.cells})
        )
        return plain


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a finished trial.

    Attributes:
        trial: the trial.
        checkpoint: the model.
        path: the model's file.
        matrices: the confusion matrix of each split.
        seconds: training time.
        loss: mean training loss of the ninth and the last tenth of the run; if they differ much,
            the run has not converged.
    """

    trial: Trial
    checkpoint: Checkpoint
    path: Path
    matrices: Mapping[str, Matrix]
    seconds: float
    loss: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A comparison of runs.

    Attributes:
        name: its name on the command line.
        question: the question, in one line.
        budget: each run's budget, in one line.
        trials: the runs.
        splits: the splits to measure on.
        report: (outcomes, folder, processor threads) -> Markdown; may write pictures to the folder.
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
    """Train and measure every unfinished trial, and write `out/NAME.md`.

    Args:
        study: the study.
        data: the data folder.
        out: the output folder, with one folder per trial and the table.
        threads: processor threads for training and for timing.
        say: called with lines about progress.

    Returns:
        The table's file.

    Raises:
        SettingError: `out` contains a trial with the same name and other settings.
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
    expected = trial.described()
    if result["trial"] != expected:
        other = next(n for n in expected if result["trial"].get(n) != expected[n])
        raise SettingError(
            f"{folder}: holds a run with {other} {result['trial'].get(other)}, not "
            f"{expected[other]}; remove it, or use another --out"
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
