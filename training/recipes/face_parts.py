"""`face-parts`: the shipped model. Helen*'s 11 classes, faces of any size on any picture.

It is the third of three runs: `face-parts-coarse`, the network without its fine head, then
`face-parts-fine`, which grows it, then this one, which goes on from there with milder views.
`face-parts-bent` goes on from that: two runs on bent faces in uneven light, and the mean of their
weights. It was no better, and stands here so that it can be repeated.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Literal

from rtseg.labels import HELEN
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.augment.transforms import PhotometricSettings
from training.data.backgrounds import Backgrounds
from training.data.base import Dataset, samples_of
from training.data.bystanders import listed_bystanders, read_boxes
from training.data.check import Pictures
from training.data.fasseg import HELEN_SETS, Fasseg, as_helen
from training.data.fasseg import TERMS as FASSEG_TERMS
from training.data.helen import LABEL_OFFSET, MIRROR_SHIFT, TERMS, Helen
from training.recipes.base import Recipe, TrainingData
from training.settings import FitSettings

EARLY = SceneSettings(composites=0.3, negatives=0.07, partial=0.05)

LATE = SceneSettings(
    composites=0.2,
    negatives=0.05,
    partial=0.05,
    as_is=0.5,
    head_crops=0.35,
    own_scale=0.7,
    rolled=0.35,
    stretch=0.1,
    occluded=0.4,
    photometric=PhotometricSettings(
        colour=0.6, grey=0.05, enlarge=0.12, blur=0.1, noise=0.15, jpeg=0.12
    ),
)
"""Milder views, nearer to what the model will see most."""

MILD = dataclasses.replace(LATE, as_is=0.25, sharp=0.5)
"""The same, most of them moved, and as sharp as a camera's as often as not."""

BENT = dataclasses.replace(
    MILD, bent=0.6, photometric=dataclasses.replace(MILD.photometric, shade=0.3)
)
"""The same, of faces that never were, in light that never was: what the network knows by heart of
its pictures by now is more than what it has left to learn from them."""

BENT_LATE = dataclasses.replace(
    BENT, as_is=0.5, photometric=dataclasses.replace(BENT.photometric, shade=0.15)
)
"""More of the pictures as they are."""

Stage = Literal["coarse", "fine", "last", "bent"]

FIRST_VIEWS: dict[Stage, SceneSettings] = {
    "coarse": EARLY,
    "fine": EARLY,
    "last": MILD,
    "bent": BENT,
}

LATER_VIEWS: dict[Stage, tuple[float, SceneSettings]] = {
    "fine": (0.55, LATE),
    "last": (0.45, dataclasses.replace(LATE, sharp=0.5)),
    "bent": (0.5, BENT_LATE),
}
"""What is drawn after which share of a run."""

LIES_ALIKE: tuple[Stage, ...] = ("last", "bent")
"""The stages whose labels lie as far beside what they label at every scale and roll."""


def training(data: Path, settings: FitSettings, *, stage: Stage) -> TrainingData:
    """Helen*'s train names, a third of them composed with face-free pictures, and FASSEG's.

    From `fine` on mirrored labels lie as those of pictures that are not mirrored, and the later
    views are milder; from `last` on all views are, and their labels lie alike at every scale and
    roll; in `bent` faces are bent and lit unevenly.
    """
    helen = Helen(root=data, split="train")
    samples = list(samples_of(helen))
    backgrounds = Backgrounds(root=data, split="train")
    profiles = [
        as_helen(sample, height=256)
        for version in ("v2", "v3")
        for sample in samples_of(Fasseg(root=data, version=version, split="train"))
    ]
    views = FaceViews(
        samples,
        [backgrounds[index] for index in range(len(backgrounds))],
        label_set=HELEN,
        settings=FIRST_VIEWS[stage],
        seed=settings.seed,
        others=listed_bystanders(samples, HELEN, read_boxes()),
        partial=profiles,
        mirror_shift=0 if stage == "coarse" else MIRROR_SHIFT,
        label_offset=LABEL_OFFSET if stage in LIES_ALIKE else 0.0,
    )
    if stage in LATER_VIEWS:
        share, later = LATER_VIEWS[stage]
        an_epoch = len(helen) // settings.batch * settings.batch
        views = views.settled(later, at=round(share * settings.epochs) * an_epoch)
    return TrainingData(
        views=views,
        pictures=len(helen),
        sets=HELEN_SETS,
        description=(
            f"Helen* at 256x256 ({len(helen)} names of helen-train.txt), composed with "
            f"{len(backgrounds)} face-free pictures of backgrounds-train.txt; FASSEG V2 and V3 "
            f"({len(profiles)} names of fasseg-v2-train.txt and fasseg-v3-train.txt), as sets of "
            "Helen*'s classes"
        ),
    )


def evaluation(data: Path, split: str) -> Dataset:
    """Helen*'s val or report names, whole pictures at 256x256."""
    return Helen(root=data, split=split)


def downloads(data: Path) -> dict[str, Pictures]:
    """Everything that `check` walks."""
    found: dict[str, Pictures] = {
        f"helen-{split}": Helen(root=data, split=split) for split in ("train", "val", "report")
    }
    for split in ("train", "val"):
        found[f"backgrounds-{split}"] = Backgrounds(root=data, split=split)
        found[f"fasseg-v2-{split}"] = Fasseg(root=data, version="v2", split=split)
        found[f"fasseg-v3-{split}"] = Fasseg(root=data, version="v3", split=split)
    return found


COARSE = Recipe(
    name="face-parts-coarse",
    summary="face-parts without its fine head, which starts from it: stride 4",
    architecture="residual-pyramid",
    label_set=HELEN,
    input_height=256,
    input_width=256,
    settings=FitSettings(epochs=115, average=0.999),
    training=partial(training, stage="coarse"),
    evaluation=evaluation,
    downloads=downloads,
    splits=("val", "report"),
    regions=(HELEN.face, HELEN.hair),
    published={"parts": 0.8116},
    terms=(
        f"Weights trained on research-use data: {TERMS}; {FASSEG_TERMS}. "
        "The code that made them is Apache-2.0; judge for yourself whether your use of the "
        "weights is covered."
    ),
)

FINE = dataclasses.replace(
    COARSE,
    name="face-parts-fine",
    summary="face-parts before its last run: face-parts-coarse and a fine head, stride 2",
    options={"fine": 24},
    stride=2,
    label_offset=LABEL_OFFSET,
    settings=FitSettings(epochs=76, average=0.999, learning_rate=1.2e-3, warm_up=0.05),
    training=partial(training, stage="fine"),
    regions=(HELEN.face, HELEN.hair, HELEN.merged["parts"]),
    first=COARSE,
)

RECIPE = dataclasses.replace(
    FINE,
    name="face-parts",
    summary="the shipped model: 11 face parts, 3.1 M parameters, 1.47 GMAC at 256x256",
    settings=dataclasses.replace(FINE.settings, epochs=88, weight_decay=0.05),
    training=partial(training, stage="last"),
    first=FINE,
)

AFTERWARDS = dataclasses.replace(
    RECIPE,
    name="face-parts-bent",
    summary="face-parts gone on with on bent faces in uneven light: no better",
    settings=dataclasses.replace(
        RECIPE.settings, epochs=45, seeds=2, learning_rate=1e-3, weight_decay=0.08
    ),
    training=partial(training, stage="bent"),
    first=RECIPE,
)
