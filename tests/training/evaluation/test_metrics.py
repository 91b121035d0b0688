"""Confusion matrices and metrics, compared with values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rtseg.labels import HELEN
from training.evaluation.metrics import (
    confusion_matrix,
    f1_of,
    f1_table,
    iou_of,
    mean_of,
    pixel_accuracy,
)

TRUTH = np.array([[0, 0, 1, 1], [2, 2, 1, 255]], np.uint8)
PREDICTED = np.array([[0, 1, 1, 1], [2, 1, 0, 2]], np.uint8)


def test_pixels_are_counted_by_truth_and_prediction_without_255():
    matrix = confusion_matrix(TRUTH, PREDICTED, classes=4)
    expected = [[1, 1, 0, 0], [1, 2, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(matrix, expected)


def test_f1_iou_and_accuracy_equal_values_computed_by_hand():
    matrix = confusion_matrix(TRUTH, PREDICTED, classes=4)
    # class 1: 2 correct of 3 true and 4 predicted
    assert f1_of(matrix, [1]) == pytest.approx(2 * 2 / (3 + 4))
    assert iou_of(matrix, [1]) == pytest.approx(2 / 5)
    assert pixel_accuracy(matrix) == pytest.approx(4 / 7)


def test_combined_classes_are_pooled_before_counting():
    matrix = confusion_matrix(TRUTH, PREDICTED, classes=4)
    # 1 and 2 as one class: 4 correct of 5 true and 5 predicted; 2 predicted as 1 is correct
    assert f1_of(matrix, [1, 2]) == pytest.approx(2 * 4 / (5 + 5))
    assert iou_of(matrix, [1, 2]) == pytest.approx(4 / 6)


def test_an_absent_class_is_nan_and_excluded_from_means():
    matrix = confusion_matrix(TRUTH, PREDICTED, classes=4)
    assert math.isnan(f1_of(matrix, [3]))
    assert math.isnan(iou_of(matrix, [3]))
    assert mean_of([0.5, float("nan"), 1.0]) == 0.75
    assert math.isnan(mean_of([float("nan")]))
    assert math.isnan(pixel_accuracy(np.zeros((3, 3), np.int64)))


def test_a_class_that_is_only_predicted_scores_zero():
    matrix = confusion_matrix(np.zeros(5, np.uint8), np.ones(5, np.uint8), classes=2)
    assert f1_of(matrix, [1]) == 0.0


def test_bad_input_is_rejected():
    with pytest.raises(ValueError, match="truth is"):
        confusion_matrix(TRUTH, PREDICTED[:1], classes=4)
    with pytest.raises(ValueError, match="outside"):
        confusion_matrix(TRUTH, PREDICTED, classes=2)


def test_the_table_contains_the_classes_and_groups_that_occur():
    matrix = np.zeros((11, 11), np.int64)
    matrix[2, 3] = 5  # a left brow predicted as a right one: wrong alone, correct as brows
    table = f1_table(matrix, HELEN)
    assert table["left-brow"] == 0.0
    assert table["brows"] == 1.0
    assert table["parts"] == 1.0
    assert "hair" not in table
