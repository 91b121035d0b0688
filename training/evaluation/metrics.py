"""Compute accuracy metrics from a confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtseg.frames import LabelMap
from rtseg.labels import IGNORED, LabelSet
from training.losses.functions import FIRST_SET, Sets

Matrix = npt.NDArray[np.int64]
"""Pixel counts, int64 (classes, classes): row = truth, column = prediction."""


def confusion_matrix(truth: LabelMap, predicted: LabelMap, *, classes: int) -> Matrix:
    """Count every pixel except those whose truth is 255.

    Args:
        truth: ids 0..classes-1 or 255, any shape.
        predicted: ids 0..classes-1, the same shape.

    Raises:
        ValueError: the shapes differ, or an id is out of range.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth is {truth.shape}, prediction {predicted.shape}")
    counted = truth != IGNORED
    rows = truth[counted].astype(np.int64)
    columns = predicted[counted].astype(np.int64)
    if rows.size and (rows.max() >= classes or columns.max() >= classes):
        raise ValueError(f"an id is outside 0..{classes - 1}")
    counts = np.bincount(rows * classes + columns, minlength=classes * classes)
    return counts.reshape(classes, classes)


def without_sets(truth: LabelMap, predicted: LabelMap, *, sets: Sets) -> tuple[LabelMap, LabelMap]:
    """Replace sets of classes in the truth, counting every class of a set as correct.

    Returns:
        The truth with the first class of each set instead of the set, and the prediction with
        that class wherever it is one of the set.
    """
    allowed = np.zeros((256, 256), bool)
    first = np.arange(256, dtype=np.uint8)
    for place, ids in enumerate(sets):
        allowed[FIRST_SET + place, list(ids)] = True
        first[FIRST_SET + place] = ids[0]
    single: LabelMap = first[truth]
    return single, np.where(allowed[truth, predicted], single, predicted)


def f1_of(matrix: Matrix, ids: Sequence[int]) -> float:
    """F1 = 2 TP / (A + B) of one class, or of several combined.

    A and B are the class's pixels in truth and prediction (Helen's protocol). NaN if the class is
    in neither.
    """
    chosen = list(ids)
    true_positives = matrix[np.ix_(chosen, chosen)].sum()
    both = matrix[chosen].sum() + matrix[:, chosen].sum()
    return float(2 * true_positives / both) if both else float("nan")


def iou_of(matrix: Matrix, ids: Sequence[int]) -> float:
    """Intersection over union of one class, or of several combined; NaN if it is in neither."""
    chosen = list(ids)
    true_positives = matrix[np.ix_(chosen, chosen)].sum()
    union = matrix[chosen].sum() + matrix[:, chosen].sum() - true_positives
    return float(true_positives / union) if union else float("nan")


def pixel_accuracy(matrix: Matrix) -> float:
    """The share of correct pixels; NaN if none were counted."""
    total = matrix.sum()
    return float(np.trace(matrix) / total) if total else float("nan")


def mean_of(values: Sequence[float]) -> float:
    """The mean over the classes that occur; others are NaN."""
    present = [value for value in values if not np.isnan(value)]
    return float(np.mean(present)) if present else float("nan")


def pixel_counts(matrix: Matrix, label_set: LabelSet) -> dict[str, int]:
    """The true pixels of each class by name."""
    return {name: int(n) for name, n in zip(label_set.names, matrix.sum(1), strict=True)}


def f1_table(matrix: Matrix, label_set: LabelSet) -> dict[str, float]:
    """F1 by class and group name, rounded to four digits, without absent classes."""
    rows = {name: f1_of(matrix, [i]) for i, name in enumerate(label_set.names)}
    rows |= {name: f1_of(matrix, ids) for name, ids in label_set.groups.items()}
    return {name: round(value, 4) for name, value in rows.items() if not np.isnan(value)}
