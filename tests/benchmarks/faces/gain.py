"""Compare processing each face's crop with a single pass over the whole frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.labels import HELEN
from tests.benchmarks.faces.metered import Around
from tests.benchmarks.faces.report import Cell, Report
from tests.benchmarks.faces.streams import in_helen_classes, wandering
from training.evaluation.metrics import Matrix, confusion_matrix, f1_of

SHARES = (0.1, 0.2, 0.4, 0.8)
"""Heights of the heads (skin and hair) as shares of the frame's height."""


def scores(
    segmenters: Sequence[Segmenter], data: Path, *, share: float, count: int
) -> list[Matrix]:
    """Each segmenter's summed confusion matrix over the same stills, at their resolution."""
    totals = [np.zeros((len(HELEN), len(HELEN)), np.int64) for _ in segmenters]
    for seed in range(count):
        frame, truth = wandering(data, share=share, seed=seed)(0)
        for segmenter, total in zip(segmenters, totals, strict=True):
            labels = in_helen_classes(segmenter(frame.image).labels, truth)
            total += confusion_matrix(truth, labels, classes=len(HELEN))
    return totals


def measure(backend: Backend, data: Path, *, count: int) -> list[Report]:
    """Run the same network on the same frames in both ways."""
    whole = Segmenter(backend=Around(backend, view="frame"))
    faces = Segmenter(backend=backend)
    rows: list[list[Cell]] = []
    for share in SHARES:
        from_whole, from_faces = scores((whole, faces), data, share=share, count=count)
        row: list[Cell] = [f"{100 * share:.0f}%"]
        for ids in (HELEN.groups["parts"], HELEN.groups["face"], HELEN.hair):
            row += [f1_of(from_whole, ids), f1_of(from_faces, ids)]
        rows.append(row)
    return [
        Report(
            name="gain",
            title="Whole frame against face by face",
            headings=(
                "head's height",
                "overall F1, whole frame",
                "overall F1, face by face",
                "face, whole frame",
                "face, face by face",
                "hair, whole frame",
                "hair, face by face",
            ),
            rows=rows,
            notes=(
                f"{count} composed stills a row, counted at 1280x720 from one summed confusion "
                "matrix; “overall” pools brows, eyes, nose and mouth. A face that is not found "
                "counts as missed.",
            ),
        )
    ]
