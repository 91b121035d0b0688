"""Measure profiles by yaw on FASSEG V3's photos of two people who are not used in training.

Predictions are converted to FASSEG's classes, in which eyebrows are hair, and lips and inner mouth
one class. FASSEG's skin includes neck and ears, which are background for models with Helen*'s
classes, and so lower their score for skin.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.labels import FASSEG, LabelSet
from training.data.base import Dataset
from training.data.subset import Subset
from training.evaluation.metrics import Matrix, f1_of, mean_of
from training.evaluation.predictor import Labeller, evaluate
from training.evaluation.robustness.corruptions import SIZE, Corrupted

COUNTED = ("skin", "hair", "eyes", "nose", "mouth")
"""FASSEG's classes whose F1 counts: roles of `LabelSet`, and the names of its classes."""

_ROLES_OF: Mapping[str, tuple[str, ...]] = {
    "skin": ("skin", "ears", "glasses", "neck"),
    "hair": ("hair", "brows"),
    "eyes": ("eyes",),
    "nose": ("nose",),
    "mouth": ("mouth",),
}
"""The roles of a face-part model's classes by FASSEG's role; whatever has none is background."""


def to_fasseg(label_set: LabelSet) -> npt.NDArray[np.uint8]:
    """FASSEG's id for each of a face-part model's, uint8 (classes,)."""
    table = np.full(len(label_set), FASSEG.background, np.uint8)
    for fasseg_role, roles in _ROLES_OF.items():
        (fasseg_id,) = getattr(FASSEG, fasseg_role)
        for role in roles:
            table[list(getattr(label_set, role))] = fasseg_id
    return table


@dataclass(frozen=True, kw_only=True)
class ProfileScore:
    """F1 at one yaw.

    Attributes:
        yaw: degrees, as in the data set's folder names; `all` for all of them.
        photos: number of photos.
        f1: F1 by FASSEG's class names, `COUNTED` only.
        mean: mean over `COUNTED`.
    """

    yaw: str
    photos: int
    f1: Mapping[str, float]
    mean: float

    @classmethod
    def of(cls, yaw: str, photos: int, matrix: Matrix) -> ProfileScore:
        """Make a score from a confusion matrix of FASSEG's classes."""
        f1 = {role: f1_of(matrix, getattr(FASSEG, role)) for role in COUNTED}
        return cls(yaw=yaw, photos=photos, f1=f1, mean=mean_of(list(f1.values())))


def measure_profiles(
    label: Labeller, label_set: LabelSet, photos: Dataset
) -> Iterator[ProfileScore]:
    """Yield one score per yaw from left to right, then the total.

    Args:
        label: the network, whose ids are those of `label_set` (Helen* or `face-parts`).
        label_set: the network's label set.
        photos: FASSEG V3, each named `YAW/NAME`.
    """
    table = to_fasseg(label_set)

    def coarse(images: object) -> list[np.ndarray]:
        return [table[ids] for ids in label(images)]

    by_yaw: dict[int, list[int]] = {}
    for index, name in enumerate(photos.names):
        by_yaw.setdefault(int(name.partition("/")[0]), []).append(index)
    total: Matrix = np.zeros((len(FASSEG), len(FASSEG)), np.int64)
    for yaw, indices in sorted(by_yaw.items()):
        chosen = Corrupted(dataset=Subset(dataset=photos, indices=indices))  # clean, letterboxed
        matrix = evaluate(coarse, chosen, size=(SIZE, SIZE))
        total += matrix
        yield ProfileScore.of(f"{yaw:+d}" if yaw else "0", len(indices), matrix)
    yield ProfileScore.of("all", len(photos), total)
