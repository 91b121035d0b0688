"""Measure what augmentation and faces in profile contribute to the recipe `fasseg-fcn`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from rtseg.labels import FASSEG
from training.data.fasseg import ORIGIN
from training.evaluation.markdown import share, table
from training.evaluation.metrics import f1_of, iou_of, mean_of
from training.recipes import recipe_of
from training.recipes.pictures import whole_pictures
from training.studies.study import Outcome, Study, Trial

SIZE = 128
STEPS = 1000
BATCH = 8
CHANGES = (
    *("schedule=one-cycle", "learning_rate=1e-2", "precision=bf16", "average=0"),
    *("workers=0", "evaluate_every=100000", f"batch={BATCH}"),
    *(f"input_height={SIZE}", f"input_width={SIZE}"),
)
SPLITS = ("v2-val", "v3-val")
PICTURES = {"V2": 16, "V2 + V3": 146}
AUGMENTATIONS = ("none", "full")


def _trial(data: str, augmentation: str) -> Trial:
    recipe = recipe_of("fasseg-fcn-both")
    if data == "V2":
        learn = whole_pictures(ORIGIN, "train", recipe.with_input(SIZE, SIZE).spec)
        recipe = dataclasses.replace(recipe, training=learn)
    epochs = round(STEPS / (PICTURES[data] // BATCH))
    changes = (*CHANGES, f"epochs={epochs}", f"augmentation={augmentation}")
    return Trial(
        name=f"{data.replace(' + ', '-').lower()}-{augmentation}",
        recipe=recipe,
        settings=recipe.settings.changed(changes),
        cells={"learns from": data, "augmentation": augmentation},
    )


def report(outcomes: Sequence[Outcome], out: Path, threads: int) -> str:
    """Make one table per held-out split: F1 by class, mean F1, mean IoU."""
    parts = []
    headings = ["learns from", "augmentation", *FASSEG.names, "mean F1", "mean IoU", "loss"]
    ids = range(len(FASSEG))
    for split in SPLITS:
        rows = []
        for outcome in outcomes:
            matrix = outcome.matrices[split]
            f1 = [f1_of(matrix, [i]) for i in ids]
            numbers = [*f1, mean_of(f1), mean_of([iou_of(matrix, [i]) for i in ids])]
            rows.append(
                [
                    *outcome.trial.cells.values(),
                    *(share(number, digits=3) for number in numbers),
                    f"{outcome.loss[0]:.3f}, {outcome.loss[1]:.3f}",
                ]
            )
        version = split.partition("-")[0].upper()
        parts.append(f"On the held-out training names of {version}:\n\n{table(headings, rows)}")
    return "\n".join(parts)


STUDY = Study(
    name="augmentation",
    question="What does augmentation give fasseg-fcn?",
    budget=(
        f"{SIZE}x{SIZE} (letterboxed), {STEPS} steps of {BATCH}, Adam with one-cycle 1e-2, bf16, "
        "cross-entropy; `loss` is the mean of the run's ninth tenth and of its last"
    ),
    trials=tuple(_trial(data, kind) for data in PICTURES for kind in AUGMENTATIONS),
    splits=SPLITS,
    report=report,
)
