"""`face-finder`: the network that finds faces in pictures of any content."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from rtseg.checkpoint import ModelSpec, read_checkpoint
from rtseg.faces.centres import FACE_CENTRES, STRIDE
from training.augment.face_scenes import FaceScenes, SceneSettings
from training.data.animal_heads import animal_heads
from training.data.backgrounds import Backgrounds
from training.data.check import Pictures
from training.data.face_busts import busts, faceless, sunglasses
from training.data.fasseg import Fasseg
from training.data.figaro_faces import figaro_backs, figaro_faces, figaro_profiles
from training.data.helen import Helen
from training.data.listed import open_celebamask, open_figaro
from training.data.lookalikes import lookalikes
from training.data.masked_faces import MaskedFaces
from training.evaluation.face_finding import measure_finding
from training.recipes.base import Recipe, TrainingData
from training.settings import FitSettings

SCENES = SceneSettings(
    empty=0.2, touching=0.14, at_edge=0.12, passing=0.16, lookalikes=0.32, least_visible=0.3
)
"""The composition of training views; `figures` are measured on easier ones, the default."""

SUNGLASSES = 0.06
"""How often a person with sunglasses is drawn; the other kinds' shares add up to 1."""

ASIDE = 0.17
"""How often a face of Figaro-1k is drawn that looks aside or down."""

OTHERS = 0.07
"""How often another of its faces is drawn."""

HEADS = 3
"""How many times as often each listed animal's head is drawn as each place that a finder takes for
a face."""


def training(data: Path, settings: FitSettings) -> TrainingData:
    """Training views of every data set's train names."""
    people = busts(data, "train")
    figaro = ((figaro_profiles(data), ASIDE), (figaro_faces(data), OTHERS))
    people += [(kind, share) for kind, share in figaro if kind]
    objects, backs = faceless(data, "train"), figaro_backs(data)
    pictures = [*objects, *backs]
    number = sum(len(kind) for kind, _ in people)
    turned = [bust for kind, _ in people for bust in kind if bust.is_turned]
    hard = lookalikes(read_checkpoint(settings.start_from), pictures) if settings.start_from else []
    wearing = sunglasses(data, "train")
    return TrainingData(
        views=FaceScenes(
            busts=[*people, (wearing, SUNGLASSES)] if wearing else people,
            backgrounds=[*objects, *objects, *backs],
            settings=SCENES,
            seed=settings.seed,
            turned=turned,
            lookalikes=[*hard, *animal_heads(data) * HEADS],
        ),
        pictures=number,
        description=(
            f"views of {number} people of CelebAMask-HQ, Helen*, MFSD, FASSEG V3 and Figaro-1k, "
            f"and of {len(pictures)} face-free pictures, by the train lists of each"
        ),
    )


@functools.lru_cache(maxsize=2)
def _held_out(data: Path, split: str) -> FaceScenes:
    return FaceScenes(
        busts=busts(data, split),
        backgrounds=faceless(data, split),
        settings=SceneSettings(),
        seed=1_000_000,
    )


def figures(model: nn.Module, data: Path, split: str) -> Mapping[str, Any]:
    """Measure recall and false faces on 384 views of held-out people and pictures, at score .5."""
    finding = measure_finding(
        model, _held_out(data, split), count=384, mean=RECIPE.spec.mean, std=RECIPE.spec.std
    )
    values = finding.figures(0.5)
    recalls = [
        values[name] for name in values if name.startswith("recall") and values[name] is not None
    ]
    return {
        **values,
        "mean": round(sum(recalls) / max(1, len(recalls)) - values["false per view"], 4),
    }


def evaluation(data: Path, split: str) -> Helen:
    """Open Helen*, for the names of the splits; `figures` measures on views of all data sets."""
    return Helen(root=data, split=split)


def downloads(data: Path) -> dict[str, Pictures]:
    """Every split of every data set, for `check`."""
    pictures: dict[str, Pictures] = {}
    for split in ("train", "val"):
        pictures[f"celebamask-{split}"] = open_celebamask(data, split)
        pictures[f"helen-{split}"] = Helen(root=data, split=split)
        pictures[f"masked-faces-{split}"] = MaskedFaces(root=data, split=split)
        pictures[f"figaro-{split}"] = open_figaro(data, split)
        pictures[f"fasseg-v3-{split}"] = Fasseg(root=data, version="v3", split=split)
        pictures[f"backgrounds-{split}"] = Backgrounds(root=data, split=split)
    return pictures


RECIPE = Recipe(
    name="face-finder",
    summary="finds faces: 0.44 M parameters, 0.22 GMAC at 384x224",
    spec=ModelSpec(
        architecture="face-finder",
        label_set=FACE_CENTRES,
        input_height=224,
        input_width=384,
        stride=STRIDE,
        view="finder",
        terms=(
            "Non-commercial research and education only, as the data that they learned from: "
            "CelebAMask-HQ (non-commercial research and education), Helen*, FASSEG, MFSD, "
            "Figaro-1k (for research). The code that made them is Apache-2.0: train on other data "
            "with the same command for weights under other terms."
        ),
        fit="letterbox",
    ),
    settings=FitSettings(
        epochs=40,
        batch=32,
        learning_rate=3e-3,
        weight_decay=0.02,
        average=0.998,
        loss="face-centres",
        loss_step=1,
        workers=0,
        threads=1,
        evaluate_every=4,
    ),
    training=training,
    evaluation=evaluation,
    downloads=downloads,
    splits=("val", "report"),
    figures=figures,
)
