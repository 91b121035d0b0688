"""A map whose probabilities and leading classes are corrected together."""

import numpy as np
import pytest

from rtseg.faces.leaders import leading_classes
from rtseg.postprocess.labelled_map import LabelledMap


def some_map() -> np.ndarray:
    return np.random.default_rng(0).random((24, 32, 7), np.float32)


def some_cells() -> np.ndarray:
    return np.random.default_rng(1).random((24, 32)) < 0.2


def test_limited_cells_become_the_likeliest_of_the_classes_that_they_may_be() -> None:
    values = np.array([[[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]], np.float32)
    labelled = LabelledMap(values)
    labelled.limit(np.array([[True, False]]), (0, 1))
    assert labelled.leaders.tolist() == [[1, 0]]
    np.testing.assert_array_equal(labelled.probabilities[0, 0], np.float32([0.1, 0.2, 0]))
    np.testing.assert_array_equal(labelled.probabilities[0, 1], values[0, 1])


def test_assigned_cells_are_certain() -> None:
    values, where = some_map(), some_cells()
    labelled = LabelledMap(values)
    labelled.assign(where, 4)
    np.testing.assert_array_equal(labelled.leaders[where], 4)
    np.testing.assert_array_equal(labelled.probabilities[where], np.eye(7)[[4] * where.sum()])
    np.testing.assert_array_equal(labelled.probabilities[~where], values[~where])


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("are_leaders_known", [False, True])
def test_leading_classes_stay_those_of_the_probabilities(
    in_place: bool, are_leaders_known: bool
) -> None:
    values, where = some_map(), some_cells()
    leaders = leading_classes(values) if are_leaders_known else None
    labelled = LabelledMap(values, leaders=leaders, in_place=in_place)
    labelled.limit(where, (2, 5))
    labelled.replace(~where, some_map()[where][:1])
    np.testing.assert_array_equal(labelled.leaders, labelled.probabilities.argmax(2))
    np.testing.assert_array_equal(labelled.led_by((2, 5))[where], True)


def test_what_was_passed_in_is_modified_only_where_that_is_allowed() -> None:
    values, where = some_map(), some_cells()
    leaders = leading_classes(values)
    before = values.copy(), leaders.copy()
    copied = LabelledMap(values, leaders=leaders)
    assert copied.probabilities is values
    copied.limit(where, (3,))
    once = copied.probabilities, copied.leaders
    copied.limit(~where, (4,))
    assert copied.probabilities is once[0]
    assert copied.leaders is once[1]
    np.testing.assert_array_equal(values, before[0])
    np.testing.assert_array_equal(leaders, before[1])
    own = LabelledMap(values, in_place=True)
    own.limit(where, (3,))
    assert own.probabilities is values
