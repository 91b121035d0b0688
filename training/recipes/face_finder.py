"""The network that finds faces."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import nn

from rtseg.faces.centres import FACE_CENTRES, STRIDE
from rtseg.frames import Image
from rtseg.labels import CELEBAMASK, FASSEG
from training.augment.busts import Bust, bust_of, chin_below, eye_middles
from training.augment.face_scenes import FaceScenes, SceneSettings
from training.data.backgrounds import Backgrounds
from training.data.base import Sample, read_image, read_labels, read_split, samples_of
from training.data.bystanders import read_boxes
from training.data.check import Pictures
from training.data.fasseg import Fasseg
from training.data.helen import Helen
from training.data.masked_faces import MaskedFaces
from training.evaluation.face_finding import measure_finding
from training.recipes.base import Recipe, TrainingData
from training.settings import FitSettings

_LONGEST_BACKGROUND = 640  # pixels of a side: views show no more


def celebamask_bust(sample: Sample) -> Bust | None:
    """A bust of CelebAMask-HQ: ears and glasses are part of the face."""
    labels = sample.labels
    return bust_of(
        sample.image,
        face=(labels >= 1) & (labels <= 12),
        person=(labels >= 1) & (labels <= 18),
        eyes=eye_middles(labels, 4, 5),
    )


def helen_bust(sample: Sample, *, shows_others: bool) -> Bust | None:
    """A bust of Helen*: neck and clothes are not labelled."""
    labels = sample.labels
    return bust_of(
        sample.image,
        face=(labels >= 1) & (labels <= 9),
        person=(labels >= 1) & (labels <= 10),
        eyes=eye_middles(labels, 4, 5),
        shows_others=shows_others,
    )


def fasseg_bust(sample: Sample) -> Bust | None:
    """A bust of FASSEG, profiles among them; its skin goes on below the chin."""
    height = 288
    width = round(sample.image.shape[1] * height / sample.image.shape[0])
    image = cv2.resize(sample.image, (width, height), interpolation=cv2.INTER_AREA)
    labels = cv2.resize(sample.labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    chin = chin_below(labels, eyes=[4], mouth=[5])
    if chin is None:
        return None
    face = np.isin(labels, FASSEG.face)
    face[min(height, round(chin)) :] = False
    return bust_of(image, face=face, person=(labels >= 1) & (labels <= 5))


def masked_bust(sample: Sample) -> Bust | None:
    """A bust with a medical mask; hair is not labelled."""
    return bust_of(sample.image, face=np.isin(sample.labels, (1, 2)), person=None)


def busts(data: Path, split: str) -> list[tuple[list[Bust], float]]:
    """The busts of a split, by where they come from, and how often each is taken."""
    root = data / "celebamask-hq"
    celebamask = [
        Sample(
            name=name,
            image=read_image(root / name.replace("/", "/images/").__add__(".jpg")),
            labels=read_labels(root / name.replace("/", "/labels/").__add__(".png"), CELEBAMASK),
        )
        for name in read_split(f"celebamask-{split}")
    ]
    others = read_boxes()
    kinds: list[tuple[Iterator[Bust | None], float]] = [
        ((celebamask_bust(sample) for sample in celebamask), 0.55),
        (
            (
                helen_bust(sample, shows_others=sample.name in others)
                for sample in samples_of(Helen(root=data, split=split))
            ),
            0.24,
        ),
        ((masked_bust(sample) for sample in samples_of(MaskedFaces(root=data, split=split))), 0.07),
    ]
    if split != "report":
        profiles = Fasseg(root=data, version="v3", split=split)
        kinds.append(((fasseg_bust(sample) for sample in samples_of(profiles)), 0.14))
    return [([bust for bust in kind if bust is not None], share) for kind, share in kinds]


def faceless(data: Path, split: str) -> list[Image]:
    """The face-free pictures of a split, no larger than views need."""
    pictures = []
    backgrounds = Backgrounds(root=data, split=split)
    for index in range(len(backgrounds)):
        picture = backgrounds[index]
        shrink = _LONGEST_BACKGROUND / max(picture.shape[:2])
        if shrink < 1:
            size = (round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        pictures.append(picture)
    return pictures


def training(data: Path, settings: FitSettings) -> TrainingData:
    """Views of the train names of all of them."""
    people = busts(data, "train")
    pictures = faceless(data, "train")
    number = sum(len(kind) for kind, _ in people)
    return TrainingData(
        views=FaceScenes(
            busts=people, backgrounds=pictures, settings=SceneSettings(), seed=settings.seed
        ),
        pictures=number,
        description=(
            f"views of {number} people of CelebAMask-HQ, Helen*, MFSD and FASSEG V3, and of "
            f"{len(pictures)} face-free pictures, by the train lists of each"
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
    """Recall and false faces on 384 views of held-out people and pictures, at a score of .5."""
    found = measure_finding(
        model, _held_out(data, split), count=384, mean=RECIPE.mean, std=RECIPE.std
    )
    values = found.figures(0.5)
    recalls = [
        values[name] for name in values if name.startswith("recall") and values[name] is not None
    ]
    return {
        **values,
        "mean": round(sum(recalls) / max(1, len(recalls)) - values["false per view"], 4),
    }


def evaluation(data: Path, split: str) -> Helen:
    """Helen*'s names; what is measured are views of them and others, see `figures`."""
    return Helen(root=data, split=split)


def downloads(data: Path) -> dict[str, Pictures]:
    """Everything that `check` walks."""
    found: dict[str, Pictures] = {}
    for split in ("train", "val"):
        found[f"helen-{split}"] = Helen(root=data, split=split)
        found[f"masked-faces-{split}"] = MaskedFaces(root=data, split=split)
        found[f"fasseg-v3-{split}"] = Fasseg(root=data, version="v3", split=split)
        found[f"backgrounds-{split}"] = Backgrounds(root=data, split=split)
    return found


RECIPE = Recipe(
    name="face-finder",
    summary="finds faces: 0.44 M parameters, 0.22 GMAC at 384x224",
    architecture="face-finder",
    label_set=FACE_CENTRES,
    input_height=224,
    input_width=384,
    stride=STRIDE,
    view="finder",
    settings=FitSettings(
        epochs=24,
        batch=32,
        learning_rate=3e-3,
        weight_decay=0.02,
        average=0.998,
        loss="face-centres",
        loss_step=1,
        workers=0,
        threads=1,
        evaluate_every=3,
    ),
    training=training,
    evaluation=evaluation,
    downloads=downloads,
    splits=("val", "report"),
    terms=(
        "Weights trained on research-use data (CelebAMask-HQ, Helen*, FASSEG, MFSD). The code "
        "that made them is Apache-2.0; judge for yourself whether your use of the weights is "
        "covered."
    ),
    figures=figures,
)
