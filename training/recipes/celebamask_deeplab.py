"""`celebamask-deeplab`: 19 face parts, after Abinesh-L/Deep-Lab-based-semantic-segmentation.

Corrected: the source skipped the first mask file, took a necklace (`neck_l`) for a neck, resized
masks bilinearly, painted the skin over eyes, nose and lips, and used a different channel order and
range in prediction than in training.
"""

from __future__ import annotations

import dataclasses

from rtseg.labels import CELEBAMASK
from training.data.celebamask import ORIGIN, CelebAMask
from training.data.listed import CELEBAMASK_LABELS, open_celebamask
from training.recipes.base import Recipe
from training.recipes.pictures import (
    PRETRAINED,
    downloads_of,
    square_spec,
    terms_of,
    whole_pictures,
)

SPEC = square_spec(CELEBAMASK, ORIGIN, size=256, architecture="deeplab-cut", stride=4, view="face")

RECIPE = Recipe(
    name="celebamask-deeplab",
    summary="DeepLabV3+ on ResNet-50 cut at its fourth stage, CelebAMask-HQ, 19 classes, 256x256",
    spec=SPEC,
    settings=dataclasses.replace(PRETRAINED, epochs=10, batch=8),
    training=whole_pictures(ORIGIN, "published-train", SPEC),
    evaluation=lambda data, split: CelebAMask(root=data, split=split),
    downloads=downloads_of(ORIGIN, splits=("published-train", "published-val")),
    splits=("published-val", "val", "test"),
    notes=(
        "losses that it tried, by --set loss=: cross-entropy, image-weighted-cross-entropy (its "
        "per-image weights), jaccard-distance (smooth 100), foreground-dice, global-dice (its last "
        "run), tversky (.7 for what is missed), focal-tversky (.75)",
        "it orders the same 19 classes differently; used here: the data set's own ids",
        "a flip would need left and right swapped; it has no augmentation, and nor has this run",
        "it publishes no score; on the official test split others reach a mean F1 of 0.8607 "
        "(DML-CSR) to 0.8956 (FaRL)",
    ),
)

LABELS = dataclasses.replace(
    RECIPE.with_spec(terms=terms_of(CELEBAMASK_LABELS)),
    name="celebamask-deeplab-labels",
    summary="celebamask-deeplab on a part of CelebAMask-HQ, one label picture a face",
    training=whole_pictures(CELEBAMASK_LABELS, "train", SPEC),
    evaluation=open_celebamask,
    downloads=downloads_of(CELEBAMASK_LABELS),
    splits=("val", "report"),
    notes=("no published run: the same network and settings on the faces of our own split lists",),
)
