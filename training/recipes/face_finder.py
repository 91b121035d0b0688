"""`face-finder`: the network that finds faces in pictures of any content.

The last of seven runs that each start from the weights of the one before. The first four learn from
people who look at the camera, the others from harder views and from Figaro-1k's faces as well, the
last from views with little contrast too.
"""

from __future__ import annotations

import dataclasses
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

PLAIN = SceneSettings()
"""The composition of the first four runs' views, on which `figures` are measured too."""

ARRANGED = SceneSettings(
    empty=0.2, touching=0.14, at_edge=0.12, passing=0.16, lookalikes=0.25, least_visible=0.3
)
"""The fifth run's views: heads that touch, or that the frame cuts, passers-by and lookalikes."""

ANIMALS = dataclasses.replace(ARRANGED, lookalikes=0.32)
"""The sixth run's views: more lookalikes, heads of animals among them."""

FADED = dataclasses.replace(ANIMALS, coming=0.16, faded=0.26, overexposed=0.1)
"""The last run's views: some with little contrast, some of people who come closer, glare."""

SUNGLASSES = 0.06
"""How often a person with sunglasses is drawn; the other kinds' shares add up to 1."""

ASIDE = 0.17
"""How often a face of Figaro-1k is drawn that looks aside or down."""

OTHERS = 0.07
"""How often another of its faces is drawn."""

HEADS = 3
"""How many times as often each listed animal's head is drawn as each place that a finder takes for
a face."""

SPLITS = ("val", "report")


def plain_training(data: Path, settings: FitSettings) -> TrainingData:
    """Views of the people of four data sets, on face-free pictures or in their own."""
    people = busts(data, "train")
    pictures = faceless(data, "train")
    number = sum(len(kind) for kind, _ in people)
    return TrainingData(
        views=FaceScenes(busts=people, backgrounds=pictures, settings=PLAIN, seed=settings.seed),
        pictures=number,
        description=(
            f"views of {number} people of CelebAMask-HQ, Helen*, MFSD and FASSEG V3, and of "
            f"{len(pictures)} face-free pictures, by the train lists of each"
        ),
    )


def training(
    data: Path, settings: FitSettings, *, scenes: SceneSettings, others: float, heads: int
) -> TrainingData:
    """The same with Figaro-1k's faces, sunglasses and lookalikes, in harder arrangements.

    Args:
        data: the data folder.
        settings: of the run; what the finder takes for faces is searched with `start_from`.
        scenes: the composition of views.
        others: how often a face of Figaro-1k is drawn that does not look aside; 0 for none.
        heads: how many times each listed animal's head is among the lookalikes; 0 for none.
    """
    people = busts(data, "train")
    people.append((figaro_profiles(data), ASIDE))
    if others:
        people.append((figaro_faces(data), others))
    number = sum(len(kind) for kind, _ in people)
    turned = [bust for kind, _ in people for bust in kind if bust.is_turned]
    people.append((sunglasses(data, "train"), SUNGLASSES))
    objects, backs = faceless(data, "train"), figaro_backs(data)
    pictures = [*objects, *backs]
    hard = lookalikes(read_checkpoint(settings.start_from), pictures) if settings.start_from else []
    if heads:
        hard += animal_heads(data) * heads
    return TrainingData(
        views=FaceScenes(
            busts=[(kind, share) for kind, share in people if kind],
            # heads from behind are a third of the pictures, which is more than enough
            backgrounds=[*objects, *objects, *backs],
            settings=scenes,
            seed=settings.seed,
            turned=turned,
            lookalikes=hard,
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
        settings=PLAIN,
        seed=1_000_000,
    )


def figures(model: nn.Module, data: Path, split: str) -> Mapping[str, Any]:
    """Measure recall and false faces on 384 views of held-out people and pictures, at score .5."""
    finding = measure_finding(
        model, _held_out(data, split), count=384, mean=FIRST.spec.mean, std=FIRST.spec.std
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


FIRST = Recipe(
    name="face-finder-first",
    summary="face-finder before its last six runs: the first, from random weights",
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
        epochs=15,
        batch=32,
        learning_rate=3e-3,
        weight_decay=0.02,
        average=0.998,
        loss="face-centres",
        loss_step=1,
        workers=0,
        threads=1,
        evaluate_every=5,
    ),
    training=plain_training,
    evaluation=evaluation,
    downloads=downloads,
    splits=SPLITS,
    figures=figures,
)

SECOND = dataclasses.replace(
    FIRST,
    name="face-finder-second",
    summary="face-finder before its last five runs: the second, other views of the same kind",
    settings=dataclasses.replace(
        FIRST.settings,
        epochs=10,
        learning_rate=2.2e-3,
        warm_up=0.04,
        seed=4,  # each run shows other views
    ),
    first=FIRST,
)

THIRD = dataclasses.replace(
    SECOND,
    name="face-finder-third",
    summary="face-finder before its last four runs: the third, longer",
    settings=dataclasses.replace(SECOND.settings, epochs=16, evaluate_every=8, seed=5),
    first=SECOND,
)

FOURTH = dataclasses.replace(
    THIRD,
    name="face-finder-fourth",
    summary="face-finder before its last three runs: the fourth, the mean of it and the third",
    settings=dataclasses.replace(
        THIRD.settings, epochs=12, evaluate_every=6, seed=6, start_share=0.5
    ),
    first=THIRD,
)

FIFTH = dataclasses.replace(
    FOURTH,
    name="face-finder-fifth",
    summary="face-finder before its last two runs: the fifth, with harder views and profiles",
    settings=dataclasses.replace(
        FOURTH.settings, epochs=10, learning_rate=2e-3, evaluate_every=5, seed=7, start_share=0.0
    ),
    training=functools.partial(training, scenes=ARRANGED, others=0.0, heads=0),
    first=FOURTH,
)

SIXTH = dataclasses.replace(
    FIFTH,
    name="face-finder-sixth",
    summary="face-finder before its last run: the sixth, with the heads of animals",
    settings=dataclasses.replace(
        FIFTH.settings, epochs=6, learning_rate=1.6e-3, evaluate_every=6, seed=8
    ),
    training=functools.partial(training, scenes=ANIMALS, others=OTHERS, heads=HEADS),
    first=FIFTH,
)

RECIPE = dataclasses.replace(
    SIXTH,
    name="face-finder",
    summary="finds faces: 0.44 M parameters, 0.22 GMAC at 384x224",
    settings=dataclasses.replace(
        SIXTH.settings, epochs=13, evaluate_every=3, seed=9, start_share=0.625
    ),
    training=functools.partial(training, scenes=FADED, others=OTHERS, heads=HEADS),
    first=SIXTH,
)

RUNS = (RECIPE, SIXTH, FIFTH, FOURTH, THIRD, SECOND, FIRST)
"""The recipe and those of the runs before it."""
