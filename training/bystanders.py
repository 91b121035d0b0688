"""Find the faces that a data set leaves unlabelled, so that composites need not deny them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import read_checkpoint
from rtseg.labels import LabelSet
from training.datasets.base import Sample
from training.evaluate import Predictor

Mask = npt.NDArray[np.bool_]


def bystanders(predictor: Predictor, samples: Sequence[Sample], label_set: LabelSet) -> list[Mask]:
    """Where in each picture a network sees another head than the labelled one.

    The labelled head is covered with grey first, so that the others are what there is to see. A
    region counts only where the network sees skin *and* parts of a face in it: what it takes for
    skin elsewhere (hands, walls) stays background, and is learned as such.

    Returns:
        One mask a sample, bool (height, width): the others' heads, a little widened.
    """
    parts = [i for i in label_set.face if i != label_set.face[0]]
    head_ids = [*label_set.face, *label_set.hair]
    found: list[Mask] = []
    for start in range(0, len(samples), predictor.batch):
        chunk = samples[start : start + predictor.batch]
        own = [_widened(np.isin(sample.labels, head_ids), 9) for sample in chunk]
        covered = [
            np.where(mask[:, :, None], np.uint8(114), sample.image)
            for mask, sample in zip(own, chunk, strict=True)
        ]
        for mask, predicted in zip(own, predictor.probabilities(covered), strict=True):
            head = (predicted[head_ids].sum(0) > 0.4) & ~mask
            seen = predicted[parts].sum(0) > 0.4
            count, marks = cv2.connectedComponents(head.astype(np.uint8))
            others = np.zeros(head.shape, bool)
            for i in range(1, count):
                piece = marks == i
                if piece.sum() >= 60 and (piece & seen).sum() >= 6:
                    others |= piece
            found.append(_widened(others, 9) & ~mask)
    return found


def bystanders_by(path: object, samples: Sequence[Sample], label_set: LabelSet) -> list[Mask]:
    """`bystanders` with a checkpoint file."""
    predictor = Predictor.of_checkpoint(read_checkpoint(str(path)))
    return bystanders(predictor, samples, label_set)


def _widened(mask: Mask, reach: int) -> Mask:
    kernel = np.ones((reach, reach), np.uint8)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), bool)
