"""`cihp-deeplabv3plus`: people in 20 classes, after keras.io's example `deeplabv3_plus`.

Corrected: the source resized its masks bilinearly, which created false classes along borders.
"""

from __future__ import annotations

import dataclasses

from rtseg.labels import CIHP
from training.data.cihp import ORIGIN, open_cihp
from training.recipes.base import Recipe
from training.recipes.pictures import PRETRAINED, downloads_of, square_spec, whole_pictures

SPEC = square_spec(CIHP, ORIGIN, size=512, architecture="deeplab-cut", stride=4, view="frame")

RECIPE = Recipe(
    name="cihp-deeplabv3plus",
    summary="DeepLabV3+ on ResNet-50 cut at its fourth stage, CIHP, 20 classes, 11.86 M, 512x512",
    spec=SPEC,
    settings=dataclasses.replace(PRETRAINED, epochs=25, batch=4),
    training=whole_pictures(ORIGIN, "published-train", SPEC),
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
    training=whole_pictures(ORIGIN, "train", SPEC),
    splits=("val",),
    published={},
    notes=("no published run: it trained on 1,000 pictures and measured on the 50 after them",),
)
