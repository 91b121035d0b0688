"""Holes in hair are filled; nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.labels import BDD_DRIVABLE, HELEN
from rtseg.postprocess.holes import filled
from tests.support.painted import paint

HAIR = 10


def head() -> np.ndarray:
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    return labels


def maps(labels: np.ndarray, second: int = HAIR) -> np.ndarray:
    values = np.full((*labels.shape, 11), 0.01, np.float32)
    values[:, :, second] = 0.3
    np.put_along_axis(values, labels[..., None].astype(int), 0.6, 2)
    return values


def test_a_hole_in_hair_becomes_what_comes_second():
    labels = head()
    labels[11:14, 30:34] = 0
    values = maps(labels)
    before = values.copy()
    np.testing.assert_array_equal(filled(values, HELEN).argmax(2), head())
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    "hole",
    [
        np.s_[8:16, 28:38],  # large
        np.s_[40:43, 30:33],  # in the face
        np.s_[0:14, 31:32],  # a cleft from outside
    ],
)
def test_other_gaps_stay(hole: tuple[slice, slice]):
    labels = head()
    labels[hole] = 0
    values = maps(labels)
    assert filled(values, HELEN) is values


def test_a_label_set_without_hair_has_no_holes():
    values = np.ones((8, 8, 3), np.float32)
    assert filled(values, BDD_DRIVABLE) is values
