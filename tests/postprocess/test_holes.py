"""Holes in hair are filled; nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.labels import BDD_DRIVABLE, FACE_PARTS, HELEN, LabelSet
from rtseg.postprocess.holes import fill_holes
from rtseg.postprocess.labelled_map import LabelledMap
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


def filled(
    values: np.ndarray, labels: np.ndarray, label_set: LabelSet
) -> tuple[np.ndarray, np.ndarray]:
    labelled = LabelledMap(values, leaders=labels)
    fill_holes(labelled, label_set)
    return labelled.probabilities, labelled.leaders


def test_a_hole_in_hair_becomes_the_second_class():
    labels = head()
    labels[11:14, 30:34] = 0
    values = maps(labels)
    before = values.copy()
    result, leaders = filled(values, labels, HELEN)
    np.testing.assert_array_equal(result.argmax(2), head())
    np.testing.assert_array_equal(leaders, head())
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize(
    "hole",
    [
        np.s_[8:16, 28:38],  # large
        np.s_[40:43, 30:33],  # in the face
        np.s_[0:14, 31:32],  # a cleft from outside
    ],
)
def test_other_gaps_are_kept(hole: tuple[slice, slice]):
    labels = head()
    labels[hole] = 0
    values = maps(labels)
    result, leaders = filled(values, labels, HELEN)
    assert result is values
    assert leaders is labels


def one_by_one(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A reference for `fill_holes`, spot by spot and cell by cell."""
    height, width = labels.shape
    result = values.copy()
    visited = np.zeros(labels.shape, bool)
    for start in zip(*np.nonzero(labels == 0), strict=True):
        spot, waiting = [], [start]
        while waiting:
            y, x = waiting.pop()
            if 0 <= y < height and 0 <= x < width and labels[y, x] == 0 and not visited[y, x]:
                visited[y, x] = True
                spot.append((y, x))
                waiting += [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        ring = {(y + j, x + i) for y, x in spot for j in (-1, 0, 1) for i in (-1, 0, 1)} - {*spot}
        inside = all(0 <= y < height and 0 <= x < width for y, x in ring)
        if not spot or not inside or len(spot) > 0.012 * labels.size:
            continue
        if np.mean([labels[cell] == HAIR for cell in ring]) >= 0.7:
            for cell in spot:
                result[cell][0] = 0
    return result


@pytest.mark.parametrize("seed", range(4))
def test_many_spots_are_judged_separately(seed: int):
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((48, 40)) < 0.8, HAIR, rng.integers(0, 11, (48, 40)))
    labels[rng.random(labels.shape) < 0.15] = 0
    labels = labels.astype(np.uint8)
    values = maps(labels) + rng.uniform(0, 0.01, (48, 40, 11)).astype(np.float32)
    expected = one_by_one(values, labels)
    assert (expected != values).any()
    result, leaders = filled(values, labels, HELEN)
    np.testing.assert_array_equal(result, expected)
    np.testing.assert_array_equal(leaders, expected.argmax(2))


def test_a_label_set_without_hair_has_no_holes():
    values = np.ones((8, 8, 3), np.float32)
    assert filled(values, np.zeros((8, 8), np.uint8), BDD_DRIVABLE)[0] is values


HAT = FACE_PARTS.names.index("hat")


def hatted(where: tuple[slice, slice], *, hair: float) -> tuple[np.ndarray, np.ndarray]:
    """Maps of a head on whose hair a hat leads somewhere; hair comes second there."""
    labels = head()
    labels[where] = HAT
    values = np.full((*labels.shape, len(FACE_PARTS)), 0.001, np.float32)
    np.put_along_axis(values, labels[..., None].astype(int), 0.9, 2)
    values[(*where, HAIR)] = hair
    values[(*where, HAT)] = 0.98 - hair
    return values, labels


SPOT = np.s_[11:14, 30:34]


def test_a_spot_of_hat_that_may_as_well_be_hair_becomes_hair():
    values, labels = hatted(SPOT, hair=0.35)
    result, leaders = filled(values, labels, FACE_PARTS)
    np.testing.assert_array_equal(leaders, head())
    np.testing.assert_array_equal(result.argmax(2), head())


@pytest.mark.parametrize(
    ("where", "hair"),
    [
        (SPOT, 0.1),  # no doubt: a hairslide
        (np.s_[4:18, 20:44], 0.35),  # large, and not surrounded by hair
    ],
)
def test_a_hat_that_is_certain_or_large_stays(where: tuple[slice, slice], hair: float):
    values, labels = hatted(where, hair=hair)
    result, leaders = filled(values, labels, FACE_PARTS)
    assert result is values
    assert leaders is labels


def test_spots_of_hat_are_judged_one_by_one_and_beside_holes():
    values, labels = hatted(SPOT, hair=0.35)
    certain, hole = np.s_[12:14, 38:40], np.s_[12:14, 25:27]
    for where, label_id in ((certain, HAT), (hole, 0)):
        labels[where] = label_id
        values[where] = 0.001
        values[(*where, label_id)] = 0.9
        values[(*where, HAIR)] = 0.05
    _, leaders = filled(values, labels, FACE_PARTS)
    expected = head()
    expected[certain] = HAT
    np.testing.assert_array_equal(leaders, expected)
