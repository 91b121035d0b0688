"""A painted head with its soft masks, for testing effects."""

from __future__ import annotations

import cv2
import numpy as np

from rtseg.frames import Box, Face, Segmentation
from rtseg.geometry.crop import Crop, box_around
from rtseg.labels import HELEN
from rtseg.postprocess.soft_masks import CropProbabilities, SoftMasks
from tests.support.painted import paint

HEIGHT, WIDTH = 300, 400
SIDE = 280  # of the crop, in pixels

COLOURS = {  # RGB, by label id
    0: (96, 110, 104),
    1: (205, 160, 135),
    2: (70, 52, 44),
    3: (70, 52, 44),
    4: (190, 188, 186),
    5: (190, 188, 186),
    6: (200, 152, 128),
    7: (178, 96, 96),
    8: (222, 214, 190),
    9: (184, 104, 104),
    10: (40, 30, 26),
}


def labels_of(*heads):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for x, y, height in heads:
        paint(labels, x, y, height)
    return labels


def portrait(*heads, label_set=HELEN, ids=tuple(range(11)), colours=None, grain=6.0, seed=0):
    """Make (image, segmentation) of heads (x, y, height).

    Args:
        ids: the ids in `label_set` of the painted ids 0..10.
        grain: standard deviation of the picture's texture, grey levels.
    """
    heads = heads or ((200, 150, 190),)
    labels = labels_of(*heads)
    table = np.array([(COLOURS | (colours or {}))[i] for i in range(11)], np.float32)
    image = np.asarray(cv2.GaussianBlur(table[labels], (0, 0), 0.8))
    rng = np.random.default_rng(seed)
    image = image + rng.normal(0, grain, (HEIGHT, WIDTH, 1))
    image = image.clip(0, 255).astype(np.uint8)
    names = np.array(ids, np.uint8)
    crops, faces = [], []
    for track_id, (x, y, height) in enumerate(heads, 1):
        alone = names[labels_of((x, y, height))]
        shares = np.eye(len(label_set), dtype=np.float32)[alone]
        side = SIDE * height / 190
        crop = Crop(box=box_around(x, y, side, side))
        matrix = np.array(
            [[64 / side, 0, 32 - x * 64 / side - 0.5], [0, 64 / side, 32 - y * 64 / side - 0.5]]
        )
        small = np.dstack(
            [
                cv2.warpAffine(
                    cv2.GaussianBlur(np.ascontiguousarray(shares[..., c]), (0, 0), 1.5),
                    matrix,
                    (64, 64),
                    borderValue=float(c == 0),
                )
                for c in range(len(label_set))
            ]
        )
        crops.append(CropProbabilities(probabilities=small, crop=crop, track_id=track_id))
        left, top, width, rows = cv2.boundingRect((alone > 0).astype(np.uint8))
        box = Box(left=left, top=top, right=left + width, bottom=top + rows)
        faces.append(Face(box=box, track_id=track_id, score=0.9))
    labels = names[labels]
    soft = SoftMasks(crops, labels=labels, background=0)
    return image, Segmentation(labels=labels, label_set=label_set, faces=tuple(faces), soft=soft)


def lab(image):
    """float (height, width, 3): L* 0..100, a*, b*."""
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2Lab))


def core(segmentation, *names, by=5):
    """Pixels of the classes that are some pixels inside their edges."""
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return cv2.erode(segmentation.mask(*names).astype(np.uint8), kernel) > 0
