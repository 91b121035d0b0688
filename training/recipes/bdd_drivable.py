"""`bdd-drivable-*`: the drivable area of the road, with five networks, after
suryajayaraman/Semantic-Segmentation-using-Deep-Learning.

Its mean IoU includes the background, so it is not comparable with official BDD100K results.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rtseg.checkpoint import ModelSpec
from rtseg.labels import BDD_DRIVABLE
from training.data.bdd100k import ORIGIN, open_bdd_drivable
from training.recipes.base import Recipe
from training.recipes.pictures import PLAIN, downloads_of, terms_of, whole_pictures

HEIGHT, WIDTH = 192, 320
"""180x320 as in its notebooks, letterboxed to sides divisible by a stride of 32."""

NOTES = (
    "size: 180x320 in its notebooks, 360x640 in its README; taken: the notebooks', which gave its "
    "figures; --set input_height=384 --set input_width=640 is the other",
    "pictures: it does not name its 3,430; taken: the first 3,430 training names, its rule of "
    "splitting",
    "the best checkpoint is kept by the validation mean IoU, not by its validation loss",
    "losses that it tried, by --set loss=: log-dice (its published one), cross-entropy, "
    "weighted-cross-entropy, focal, tversky",
)


def _recipe(
    name: str,
    summary: str,
    *,
    architecture: str,
    options: Mapping[str, Any],
    stride: int,
    published: float,
    encoder_weights: bool = True,
    note: str = "",
) -> Recipe:
    spec = ModelSpec(
        architecture=architecture,
        options=options,
        label_set=BDD_DRIVABLE,
        input_height=HEIGHT,
        input_width=WIDTH,
        fit="letterbox",
        stride=stride,
        view="frame",
        terms=terms_of(ORIGIN),
    )
    return Recipe(
        name=f"bdd-drivable-{name}",
        summary=f"{summary} on BDD100K's drivable area, 3 classes, 180x320",
        spec=spec,
        settings=dataclasses.replace(
            PLAIN,
            epochs=12,
            batch=8,
            learning_rate=3e-4,
            schedule="one-cycle",
            warm_up=0.3,
            start=0.1,
            cycle_momentum=True,
            loss="log-dice",
            auxiliary=0.4,
            encoder_weights="imagenet" if encoder_weights else "none",
            evaluate_every=1,
            keep="best",
        ),
        training=whole_pictures(ORIGIN, "published-train", spec),
        evaluation=open_bdd_drivable,
        downloads=downloads_of(ORIGIN, splits=("train", "val")),
        splits=("published-val", "published-test", "val"),
        published={"mean-iou": published},
        notes=(*NOTES, note) if note else NOTES,
    )


FCN = _recipe(
    "fcn-resnet50",
    "FCN-32s on ResNet-50",
    architecture="fcn32s",
    options={},
    stride=4,
    published=0.6956,
)
UNET = _recipe(
    "unet",
    "U-Net 64..1024",
    architecture="unet",
    options={"width": 64},
    stride=1,
    published=0.6544,
    encoder_weights=False,
)
PSPNET = _recipe(
    "pspnet-resnet50",
    "PSPNet on a dilated ResNet-50 with its auxiliary head",
    architecture="pspnet",
    options={"bins": [1, 2, 3, 6]},
    stride=8,
    published=0.7549,
)
DEEPLAB = _recipe(
    "deeplabv3plus-resnet50",
    "DeepLabV3+ on ResNet-50, stride 8",
    architecture="smp-deeplabv3plus",
    options={
        "encoder_name": "resnet50",
        "encoder_output_stride": 8,
        "decoder_atrous_rates": [12, 24, 36],
    },
    stride=4,
    published=0.7305,
    note="its table says 73.05, its notebook prints 74.08; taken: the table's",
)
SEGFORMER = _recipe(
    "segformer-mit-b3",
    "SegFormer MiT-B3 with a decoder of 256 channels",
    architecture="smp-segformer",
    options={"encoder_name": "mit_b3", "decoder_segmentation_channels": 256},
    stride=4,
    published=0.7707,
)
RECIPES = (FCN, UNET, PSPNET, DEEPLAB, SEGFORMER)
