"""Report a finished run: curves, a confusion matrix, predictions and a table.

The three pictures need matplotlib (the extra `training`); the table does not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtseg.errors import SettingError, SinkError
from rtseg.frames import Image, LabelMap
from rtseg.labels import IGNORED, LabelSet
from rtseg.system.files import write_whole
from training.data.base import Dataset, resize_labels
from training.evaluation.markdown import share, table
from training.evaluation.metrics import Matrix, f1_of, iou_of, mean_of, pixel_accuracy

CELL = 192
"""The longer side of a picture in the contact sheet, in pixels."""


def require_matplotlib() -> None:
    """Raise SettingError if matplotlib is missing, before hours of training instead of after."""
    if find_spec("matplotlib") is None:
        raise SettingError(
            "the report's pictures need matplotlib, which is not installed; install it with: "
            "pip install 'rtseg[training]'"
        )


def figure(width: float, height: float) -> Any:
    """Make a matplotlib figure, in inches, without a window or global state."""
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), layout="constrained", dpi=110)
    FigureCanvasAgg(drawn)
    return drawn


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read the events of a run's log in order, ignoring an incomplete last line.

    Raises:
        SinkError: there is no log.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise SinkError(f"{path}: cannot be read: {error.strerror}") from None
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def draw_curves(events: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Plot loss and learning rate by step, and the mean IoU of every evaluation."""
    steps = [event for event in events if event["event"] == "step"]
    measured = [event for event in events if event["event"] in ("evaluation", "end")]
    sheet = figure(9, 3)
    loss, rate, score = sheet.subplots(1, 3)
    loss.plot([e["step"] for e in steps], [e["loss"] for e in steps])
    rate.plot([e["step"] for e in steps], [e["learning_rate"] for e in steps])
    score.plot(
        [e["step"] for e in measured], [e.get("mean_iou", np.nan) for e in measured], marker="."
    )
    rate.set_ylim(bottom=0)
    score.set_ylim(0, 1)
    for axes, title in ((loss, "loss"), (rate, "learning rate"), (score, "validation mean IoU")):
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.grid(visible=True, alpha=0.3)
    sheet.savefig(path)


def draw_confusion(matrix: Matrix, label_set: LabelSet, path: Path) -> None:
    """Plot the percentage of each true class's pixels by predicted class."""
    totals = np.maximum(matrix.sum(1, keepdims=True), 1)
    percent = 100 * matrix / totals
    side = 2.5 + 0.42 * len(label_set)
    sheet = figure(side + 0.8, side)
    axes = sheet.subplots()
    shown = axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    ticks = range(len(label_set))
    axes.set_xticks(ticks, label_set.names, rotation=90)
    axes.set_yticks(ticks, label_set.names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth")
    for row in ticks:
        for column in ticks:
            value = percent[row, column]
            if value >= 0.5:
                colour = "white" if value > 55 else "black"
                axes.text(
                    column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=7
                )
    sheet.colorbar(shown, ax=axes, label="% of the true class")
    sheet.savefig(path)


def coloured(labels: LabelMap, label_set: LabelSet) -> Image:
    """Paint label ids in their colours, RGB; ignored pixels are grey."""
    palette = np.full((256, 3), 96, np.uint8)
    palette[: len(label_set)] = label_set.colours
    palette[IGNORED] = 96
    return palette[labels]


def contact_sheet(rows: Sequence[tuple[Image, LabelMap, LabelMap]], label_set: LabelSet) -> Image:
    """One row per picture: image, truth, prediction; RGB uint8."""
    lines = []
    for image, truth, predicted in rows:
        scale = CELL / max(image.shape[:2])
        height = max(1, round(image.shape[0] * scale))
        width = max(1, round(image.shape[1] * scale))
        cells = [
            cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA),
            *(
                coloured(resize_labels(labels, height=height, width=width), label_set)
                for labels in (truth, predicted)
            ),
        ]
        line = np.full((height + 4, 3 * (CELL + 4), 3), 255, np.uint8)
        for index, cell in enumerate(cells):
            line[:height, index * (CELL + 4) : index * (CELL + 4) + width] = cell
        lines.append(line)
    return np.concatenate(lines)


def draw_predictions(label: Any, dataset: Dataset, path: Path, *, rows: int = 8) -> None:
    """Write a contact sheet of evenly spaced pictures.

    Args:
        label: pictures -> label maps (a `training.evaluation.predictor.Predictor`).
        dataset: the labelled pictures.
        path: the PNG file.
        rows: the most pictures.

    Raises:
        SinkError: the file cannot be written.
    """
    chosen = np.linspace(0, len(dataset) - 1, min(rows, len(dataset))).round().astype(int)
    samples = [dataset[int(index)] for index in chosen]
    predicted = label([sample.image for sample in samples])
    sheet = contact_sheet(
        [(s.image, s.labels, p) for s, p in zip(samples, predicted, strict=True)],
        dataset.label_set,
    )
    suffix = path.suffix or ".png"
    try:
        write_whole(path, bytes(cv2.imencode(suffix, sheet[:, :, ::-1])[1]), durable=False)
    except (OSError, cv2.error) as error:
        raise SinkError(f"{path}: cannot be written: {error}") from None


def scores(matrix: Matrix, label_set: LabelSet) -> dict[str, float]:
    """Every metric by the name that recipes publish it under; NaN for absent classes.

    `pixel-accuracy`, `mean-iou` and `mean-f1` over the classes that occur, and `mean-f1` without
    the background as `foreground-f1`; then F1 by class and by group.
    """
    ids = range(len(label_set))
    by_name = {
        "pixel-accuracy": pixel_accuracy(matrix),
        "mean-iou": mean_of([iou_of(matrix, [i]) for i in ids]),
        "mean-f1": mean_of([f1_of(matrix, [i]) for i in ids]),
        "foreground-f1": mean_of([f1_of(matrix, [i]) for i in label_set.foreground]),
    }
    by_name |= {name: f1_of(matrix, [i]) for i, name in enumerate(label_set.names)}
    by_name |= {name: f1_of(matrix, ids) for name, ids in label_set.groups.items()}
    return by_name


def results_table(matrix: Matrix, label_set: LabelSet, published: Mapping[str, float]) -> str:
    """Format a Markdown table of F1 and IoU by class, ours and the published values."""
    beside = {name: share(value) for name, value in published.items()}
    classes: dict[str, Sequence[int]] = {n: [i] for i, n in enumerate(label_set.names)}
    by_class = table(
        ["class", "F1", "IoU", "published"],
        [
            [name, share(f1_of(matrix, ids)), share(iou_of(matrix, ids)), beside.get(name, "")]
            for name, ids in {**classes, **label_set.groups}.items()
        ],
    )
    whole = scores(matrix, label_set)
    figures = ("pixel-accuracy", "mean-iou", "mean-f1", "foreground-f1")
    over_all = table(
        ["figure", "ours", "published"],
        [[name, share(whole[name]), beside.get(name, "")] for name in figures],
    )
    return f"{by_class}\n{over_all}"
