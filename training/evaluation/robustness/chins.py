"""Measure what is labelled right below chins, in pictures whose labels know no neck.

A network that has learnt necks from one data set may not see them in pictures of another, and
labels in which a neck may be background cannot tell. But below the chin of a face in the picture
lies a neck, hair, or clothes, hardly ever background.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.labels import HELEN, LabelSet
from training.data.base import Dataset
from training.evaluation.predictor import Labeller

REACH = 0.06
"""Height of the band below the chin, as a share of the face's height."""

WIDTH = 0.4
"""Width of the band, as a share of the face's width."""

_GAP = 2
"""Pixels below the face that are left out, since borders are not exact."""


@dataclass(frozen=True, kw_only=True)
class ChinScore:
    """Shares of the pixels right below the chins, means over the pictures.

    Attributes:
        pictures: those in which the band lies inside the picture and outside the labelled hair.
        neck, other, background: labelled as neck; as another part of a person; as background.
    """

    pictures: int
    neck: float
    other: float
    background: float


def measure_chins(label: Labeller, label_set: LabelSet, helen: Dataset) -> ChinScore:
    """Label Helen*'s pictures and count below each chin.

    Args:
        label: the network, whose ids are those of `label_set`, which has a neck.
        label_set: the network's label set.
        helen: pictures with Helen*'s own labels.
    """
    shares = []
    for index in range(len(helen)):
        sample = helen[index]
        band = _band(sample.labels)
        if not band.any():
            continue
        (ids,) = label([sample.image])
        found = ids[band]
        neck = np.isin(found, label_set.neck).mean()
        background = (found == label_set.background).mean()
        shares.append((neck, 1 - neck - background, background))
    neck, other, background = np.mean(shares, axis=0) if shares else (np.nan,) * 3
    return ChinScore(
        pictures=len(shares), neck=float(neck), other=float(other), background=float(background)
    )


def _band(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """The pixels right below the chin that the labels call background, bool (height, width)."""
    band = np.zeros(labels.shape, bool)
    rows, columns = np.nonzero(np.isin(labels, HELEN.face))
    if not rows.size:
        return band
    reach = round(REACH * (rows.max() - rows.min()))
    width = columns.max() - columns.min()
    chin = float(columns[rows == rows.max()].mean())
    for column in range(round(chin - WIDTH * width / 2), round(chin + WIDTH * width / 2) + 1):
        inside = rows[columns == column]
        if inside.size:
            start = int(inside.max()) + 1 + _GAP
            band[start : start + reach, column] = True
    below: npt.NDArray[np.bool_] = band & (labels == HELEN.background)
    return below
