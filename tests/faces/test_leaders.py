"""The leading class of each cell."""

import numpy as np
import pytest

from rtseg.faces.leaders import leading_classes, led_by


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16, 31), (16, 33), (128, 96)])
@pytest.mark.parametrize("classes", [1, 2, 19, 255])
def test_the_likeliest_class_leads_at_any_size(size: tuple[int, int], classes: int) -> None:
    values = np.random.default_rng(classes).random((*size, classes), np.float32)
    leaders = leading_classes(values)
    assert leaders.dtype == np.uint8
    np.testing.assert_array_equal(leaders, values.argmax(2))


@pytest.mark.parametrize("size", [(4, 4), (40, 40)])
def test_of_equals_the_first_leads(size: tuple[int, int]) -> None:
    values = np.random.default_rng(0).integers(0, 3, (*size, 19)).astype(np.float32)
    np.testing.assert_array_equal(leading_classes(values), values.argmax(2))


def test_a_part_of_a_larger_map_is_read_as_it_lies() -> None:
    values = np.random.default_rng(1).random((64, 64, 19), np.float32)[5:45, 7:50]
    np.testing.assert_array_equal(leading_classes(values), values.argmax(2))


@pytest.mark.parametrize("size", [(4, 4), (40, 40)])
def test_what_is_not_a_number_is_some_class(size: tuple[int, int]) -> None:
    values = np.random.default_rng(2).random((*size, 19), np.float32)
    expected = values.argmax(2)
    values[1, 2, 5] = np.nan
    values[2, 3] = np.nan
    leaders = leading_classes(values)
    assert leaders.max() < 19
    known = np.isfinite(values).all(2)
    np.testing.assert_array_equal(leaders[known], expected[known])


def test_cells_led_by_any_of_some_classes() -> None:
    leaders = np.array([[0, 3], [18, 255]], np.uint8)
    assert led_by(leaders, (3, 255)).tolist() == [[False, True], [False, True]]
    assert not led_by(leaders, ()).any()
