"""`helen-unet`: the plain U-Net on Helen*, after Semantic_Segmentation_With_U-Net.

Corrected: the source measured in training mode, on pictures not scaled as in training.
"""

from __future__ import annotations

import dataclasses

from rtseg.labels import HELEN
from training.data.helen import ORIGIN, open_helen
from training.recipes.base import Recipe
from training.recipes.pictures import PLAIN, downloads_of, square_spec, whole_pictures

SPEC = square_spec(
    HELEN,
    ORIGIN,
    size=256,
    architecture="unet",
    options={"width": 64, "slope": 0.05},
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    stride=1,
    view="face",
)

RECIPE = Recipe(
    name="helen-unet",
    summary="U-Net 64..1024 with leaky ReLU on Helen*, 11 classes, 31.0 M parameters, 256x256",
    spec=SPEC,
    settings=dataclasses.replace(
        PLAIN,
        epochs=30,
        batch=10,
        learning_rate=1e-3,
        schedule="step",
        loss="tversky",
    ),
    training=whole_pictures(ORIGIN, "train", SPEC),
    evaluation=open_helen,
    downloads=downloads_of(ORIGIN, splits=("train", "val", "report")),
    splits=("val", "report", "published-test", "published-test-resize"),
    published={
        "background": 0.924,
        "skin": 0.841,
        "left-brow": 0.701,
        "right-brow": 0.730,
        "left-eye": 0.803,
        "right-eye": 0.827,
        "nose": 0.851,
        "upper-lip": 0.682,
        "inner-mouth": 0.692,
        "lower-lip": 0.734,
        "hair": 0.645,
        "eyes": 0.815,
        "brows": 0.715,
        "mouth": 0.808,
        "parts": 0.8116,
    },
    notes=(
        "loss: its text says Dice, its code a Tversky of .7 and .3 summed over the classes; taken: "
        "the code's, .7 for what is missed, averaged instead of summed (Adam does not see the "
        "factor)",
        "learning rate: cut by hand at times that it does not name; taken: 1e-3, cut tenfold after "
        "60% and 85% of the run",
        "its sister project, the same net, publishes 0.8556 for what is called `parts` here",
        "its test pictures are Helen*'s 100; `val` and `report` here are held out of the 1,999",
    ),
)
