"""Compare the published projects' losses on Helen*, everything else being equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rtseg.labels import HELEN
from training.evaluation.markdown import share, table
from training.evaluation.metrics import f1_of
from training.recipes import recipe_of
from training.studies.study import Outcome, Study, Trial

LOSSES = (
    "cross-entropy",
    "weighted-cross-entropy",
    "focal",
    "dice",
    "tversky",
    "jaccard",
    "jaccard-distance",
)
CHANGES = (
    *("epochs=5", "batch=10", "input_height=128", "input_width=128", "loss_step=2"),
    *("schedule=one-cycle", "learning_rate=3e-3", "precision=bf16", "clip=2"),
    *("workers=0", "evaluate_every=1000"),
)
SPLIT = "val"


def _trial(loss: str) -> Trial:
    recipe = recipe_of("helen-unet").with_options(["width=8"])
    settings = recipe.settings.changed([*CHANGES, f"loss={loss}"])
    return Trial(name=loss, recipe=recipe, settings=settings)


def report(outcomes: Sequence[Outcome], out: Path, threads: int) -> str:
    """Make a table of F1 by class, with each class's share of the pixels in the last row."""
    pooled = ("parts", "face")
    headings = ["loss", "overall", "face", *HELEN.names, "file"]
    rows = []
    for outcome in outcomes:
        matrix = outcome.matrices[SPLIT]
        ids = [HELEN.groups[name] for name in pooled] + [(i,) for i in range(len(HELEN))]
        numbers = [share(f1_of(matrix, chosen), digits=3) for chosen in ids]
        size = f"{outcome.path.stat().st_size / 1e6:.2f} MB"
        rows.append([f"`{outcome.trial.name}`", *numbers, size])
    pixels = outcomes[0].matrices[SPLIT].sum(1)
    shares = [
        f"{100 * pixels[list(HELEN.groups[name])].sum() / pixels.sum():.2g}%" for name in pooled
    ]
    shares += [f"{100 * count / pixels.sum():.2g}%" for count in pixels]
    rows.append(["*share of the pixels*", *shares, ""])
    return table(headings, rows)


STUDY = Study(
    name="losses",
    question="Which loss? helen-unet's network at width 8 on Helen*, F1 by class on val",
    budget="128x128, 5 epochs of 1,699, batch 10, Adam with one-cycle 3e-3, bf16, no augmentation",
    trials=tuple(_trial(loss) for loss in LOSSES),
    splits=(SPLIT,),
    report=report,
)
