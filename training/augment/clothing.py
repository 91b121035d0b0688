"""Dye a person's clothes: in the colour of their hair, of their skin, or any other.

A network that has seen few dark shirts under dark hair, and few pale ones under pale faces, tells
them apart by colour: hair runs into shirts, skin into collars. Where colours say nothing, shape and
texture must.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from training.augment import drawing
from training.augment.heads import Head

_SMALLEST = 0.01
"""Clothes, and hair, of less than this share of the picture are left alone."""


def with_dyed_clothes(
    head: Head, rng: np.random.Generator, *, clothes: tuple[int, ...], hair: tuple[int, ...]
) -> Head:
    """The head with clothes of another colour, or the same one if hardly any are seen.

    Args:
        head: stays as it is; so do all labels.
        rng: source of all choices.
        clothes: the ids that are dyed.
        hair: the ids whose colour the clothes get most often.
    """
    worn = np.isin(head.labels, clothes)
    is_hair = np.isin(head.labels, hair)
    fewest = _SMALLEST * worn.size
    if worn.sum() < fewest:
        return head
    now = head.image[worn].astype(np.float32)
    draw = rng.random()
    if draw < 0.6 and is_hair.sum() >= fewest:
        goal = np.median(head.image[is_hair], axis=0) * rng.uniform(0.6, 1.3)
    elif draw < 0.75:
        goal = head.skin * rng.uniform(0.7, 1.15)
    elif draw < 0.9:
        goal = np.full(3, rng.uniform(5, 60))
    else:
        goal = rng.uniform(0, 255, 3)
    folds = (now - now.mean(0)).mean(1, keepdims=True)  # light and shade, no prints of old colours
    dyed = goal.astype(np.float32) + folds * np.float32(rng.uniform(0.2, 0.9))
    layer = head.image.copy()
    layer[worn] = dyed.clip(0, 255).astype(np.uint8)
    image = head.image.copy()
    # what is beside the clothes is the same in both
    drawing.blend(image, layer, cv2.GaussianBlur(worn.astype(np.float32), (0, 0), 0.7))
    return dataclasses.replace(head, image=image)
