"""`face-parts`: the shipped model. Helen*'s 11 classes, faces of any size on any picture."""

from __future__ import annotations

from pathlib import Path

from rtseg.labels import HELEN
from training.bystanders import listed_bystanders, read_boxes
from training.check import Pictures
from training.datasets.backgrounds import Backgrounds
from training.datasets.base import Dataset, samples_of
from training.datasets.fasseg import HELEN_SETS, Fasseg, as_helen
from training.datasets.fasseg import TERMS as FASSEG_TERMS
from training.datasets.helen import TERMS, Helen
from training.recipes.base import Recipe, TrainingData
from training.scenes import FaceViews, SceneSettings
from training.settings import FitSettings


def training(data: Path, settings: FitSettings) -> TrainingData:
    """Helen*'s train names, a third of them composed with face-free pictures, and FASSEG's."""
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
        settings=SceneSettings(composites=0.3, negatives=0.07, partial=0.05),
        seed=settings.seed,
        others=listed_bystanders(samples, HELEN, read_boxes()),
        partial=profiles,
    )
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


RECIPE = Recipe(
    name="face-parts",
    summary="the shipped model: 11 face parts, 3.1 M parameters, 1.33 GMAC at 256x256",
    architecture="residual-pyramid",
    label_set=HELEN,
    input_height=256,
    input_width=256,
    settings=FitSettings(epochs=115, average=0.999),
    training=training,
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
