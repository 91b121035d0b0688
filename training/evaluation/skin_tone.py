"""Measure accuracy by skin tone: F1 and missed faces by individual typology angle.

The angle of a face is atan((L - 50) / b) in degrees, with L and b in CIE Lab over the pixels
labelled as skin (Chardon, Cretois and Hourseau, International Journal of Cosmetic Science 1991). It
reflects the tone in the picture, which depends on light and camera, rather than the person's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from training.data.base import Dataset
from training.evaluation.markdown import share, table
from training.evaluation.metrics import (
    Matrix,
    confusion_matrix,
    f1_of,
    mean_of,
    without_sets,
)
from training.evaluation.predictor import Labeller

BINS = (
    ("very light", 55.0),
    ("light", 41.0),
    ("intermediate", 28.0),
    ("tan", 10.0),
    ("brown", -30.0),
    ("dark", -90.0),
)
"""The bins' names and lower limits in degrees."""

LEAST_SKIN = 64
"""The least labelled skin in pixels; pictures with less have no tone."""

SEEN = 0.5
"""The least share of a true face's pixels that must be labelled as face, or it counts as missed."""


def typology_angle(image: Image, skin: npt.NDArray[np.bool_]) -> float:
    """The angle in degrees of the median skin colour; NaN if there is hardly any skin.

    Args:
        image: RGB uint8 (height, width, 3).
        skin: bool (height, width).
    """
    if int(skin.sum()) < LEAST_SKIN:
        return float("nan")
    lab = cv2.cvtColor(image[skin][None].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)[0]
    lightness, _, blueness = np.median(lab, axis=0)
    return math.degrees(math.atan2(lightness - 50, max(float(blueness), 1e-3)))


def bin_of(angle: float) -> str:
    """The bin's name."""
    return next(name for name, least in BINS if angle > least or least == BINS[-1][1])


@dataclass(frozen=True, kw_only=True)
class ToneScore:
    """The scores of one bin.

    Attributes:
        tone: its name; `all` for every picture with a tone.
        faces: number of faces; `missed` is the number of those not labelled as face.
        f1: F1 by class name, for classes that occur.
    """

    tone: str
    faces: int
    missed: int
    f1: dict[str, float]

    @property
    def mean(self) -> float:
        """The mean F1 over the classes that occur."""
        return mean_of(list(self.f1.values()))


def measure_skin_tones(label: Labeller, datasets: Sequence[Dataset]) -> list[ToneScore]:
    """Compute one score per non-empty bin, the lightest first, then the total.

    Args:
        label: the network.
        datasets: pictures labelled with the network's classes; they are combined.
    """
    label_set = datasets[0].label_set
    classes = len(label_set)
    matrices: dict[str, Matrix] = {}
    counts: dict[str, list[bool]] = {}
    for dataset in datasets:
        for index in range(len(dataset)):
            sample = dataset[index]
            # skin that may also be glasses stands as a set
            single, _ = without_sets(sample.labels, sample.labels, sets=sample.sets)
            angle = typology_angle(sample.image, np.isin(single, label_set.skin))
            if math.isnan(angle):
                continue
            offset = sample.label_offset
            (predicted,) = label([sample.image], offset=offset) if offset else label([sample.image])
            truth, right = without_sets(sample.labels, predicted, sets=sample.sets)
            face = np.isin(truth, label_set.face)
            missed = bool(np.isin(right[face], label_set.face).mean() < SEEN)
            for tone in (bin_of(angle), "all"):
                matrix = confusion_matrix(truth, right, classes=classes)
                matrices[tone] = matrices.get(tone, 0) + matrix
                counts.setdefault(tone, []).append(missed)
    order = [name for name, _ in BINS if name in counts] + ["all"] * ("all" in counts)
    return [
        ToneScore(
            tone=tone,
            faces=len(counts[tone]),
            missed=sum(counts[tone]),
            f1=_f1(matrices[tone], label_set.foreground, label_set.names),
        )
        for tone in order
    ]


def _f1(matrix: Matrix, ids: Sequence[int], names: Sequence[str]) -> dict[str, float]:
    scores = {names[i]: f1_of(matrix, [i]) for i in ids if matrix[i].sum()}
    return {name: value for name, value in scores.items() if not math.isnan(value)}


def tone_table(scores: Sequence[ToneScore]) -> str:
    """Format the scores in Markdown, one row per bin."""
    names = list(scores[-1].f1) if scores else []
    rows = [
        [
            score.tone,
            str(score.faces),
            str(score.missed),
            share(score.mean),
            *(share(score.f1[name]) if name in score.f1 else "" for name in names),
        ]
        for score in scores
    ]
    return table(["skin", "faces", "missed", "mean F1", *names], rows)
