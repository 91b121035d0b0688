"""`cihp-deeplabv3plus`: people in 20 classes, after keras.io's example `deeplabv3_plus`.

Corrected: the source resized its masks bilinearly, which created false classes along borders.
"""

from __future__ import annotations

import dataclasses

from rtseg.checkpoint import ModelSpec
from rtseg.labels import CIHP
from training.data.cihp import ORIGIN, open_cihp
from training.recipes.base import Recipe
from training.recipes.pictures import PLAIN, downloads_of, terms_of, whole_pictures

RECIPE = Recipe(
    name="cihp-deeplabv3plus",
    summary="DeepLabV3+ on ResNet-50 cut at its fourth stage, CIHP, 20 classes, 11.86 M, 512x512",
    spec=ModelSpec(
        architecture="deeplab-cut",
        label_set=CIHP,
        input_height=512,
        input_width=512,
        fit="stretch",
        stride=4,
        view="frame",
        terms=terms_of(ORIGIN),
    ),
    settings=dataclasses.replace(
        PLAIN,
        epochs=25,
        batch=4,
        learning_rate=1e-3,
        encoder_weights="imagenet",
        evaluate_every=1,
    ),
    training=whole_pictures(ORIGIN, "published-train", height=512, width=512, fit="stretch"),
    evaluation=open_cihp,
    downloads=downloads_of(ORIGIN, splits=("train", "val")),
    splits=("published-val", "val"),
    published={"pixel-accuracy": 0.7870},
    notes=(
        "validation pictures: 50 in its code, 200 in its text; taken: the code's",
        "normalisation: that of the library whose ImageNet weights are loaded, torchvision's",
        "its ResNet-50 is Keras's, with biases before batch norm and strides in the 1x1 "
        "convolutions; taken: torchvision's, without and in the 3x3; the counted 11.86 M include "
        "those biases and the running statistics",
    ),
)

OFFICIAL = dataclasses.replace(
    RECIPE,
    name="cihp-deeplabv3plus-official",
    summary="cihp-deeplabv3plus on the official splits, whatever part of them is there",
    training=whole_pictures(ORIGIN, "train", height=512, width=512, fit="stretch"),
    splits=("val",),
    published={},
    notes=("no published run: it trained on 1,000 pictures and measured on the 50 after them",),
)
