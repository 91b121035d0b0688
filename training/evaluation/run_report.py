"""Write a run's report, tables and plots, beside its checkpoint."""

from __future__ import annotations

from pathlib import Path

from rtseg.checkpoint import read_checkpoint
from rtseg.system.files import write_whole
from training.evaluation.predictor import Predictor, evaluated
from training.evaluation.report import (
    draw_confusion,
    draw_curves,
    draw_predictions,
    read_log,
    results_table,
)
from training.recipes.base import Recipe


def write_report(checkpoint: Path, recipe: Recipe, *, data: Path) -> list[Path]:
    """Measure a checkpoint on its recipe's first split, and write tables and plots.

    Writes `results.md`, `confusion.png`, `predictions.png` and, if there is a log of the run,
    `curves.png` beside it.

    Returns:
        The files.

    Raises:
        SettingError: matplotlib is not installed.
        SourceError: data is missing or broken.
    """
    folder = checkpoint.parent
    model = read_checkpoint(checkpoint)
    validation = recipe.evaluation(data, recipe.splits[0])
    matrix = evaluated(model, validation)
    files = [folder / name for name in ("results.md", "confusion.png", "predictions.png")]
    table = results_table(matrix, recipe.spec.label_set, recipe.published)
    size = f"{model.spec.input_width}x{model.spec.input_height}"
    heading = f"# {recipe.name}, split {recipe.splits[0]} at {size}\n\n"
    weight = f"\n{checkpoint.stat().st_size / 1e6:.1f} MB, {model.parameter_count:,} numbers\n"
    write_whole(files[0], (heading + table + weight).encode())
    draw_confusion(matrix, recipe.spec.label_set, files[1])
    draw_predictions(Predictor.of_checkpoint(model), validation, files[2])
    log = folder / "log.jsonl"
    if log.exists():
        files.append(folder / "curves.png")
        draw_curves(read_log(log), files[-1])
    return files
