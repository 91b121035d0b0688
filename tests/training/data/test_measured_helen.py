"""Helen* evaluated with nineteen classes: bystanders are ignored, glasses count as correct."""

from __future__ import annotations

import numpy as np

from rtseg.labels import FACE_PARTS, IGNORED
from training.data.base import Sample
from training.data.measured_helen import as_measured
from training.evaluation.metrics import without_sets

SKIN = FACE_PARTS.names.index("skin")
GLASSES = FACE_PARTS.names.index("glasses")


def sample() -> Sample:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 10:30] = SKIN
    return Sample(name="someone", image=np.zeros((40, 60, 3), np.uint8), labels=labels)


def test_only_the_labelled_face_counts() -> None:
    boxes = {"someone": [(25, 5, 30, 30)], "another": [(0, 0, 60, 40)]}
    measured = as_measured(sample(), boxes=boxes)
    assert (measured.labels[5:35, 30:55] == IGNORED).all()
    assert (measured.labels[10:30, 10:30] != IGNORED).all()
    assert (measured.labels != IGNORED).sum() == 40 * 60 - (30 * 30 - 20 * 5)


def test_a_picture_without_bystanders_counts_completely() -> None:
    measured = as_measured(sample(), boxes={})
    assert (measured.labels != IGNORED).all()
    assert measured.label_offset == 0.5


def test_glasses_on_skin_count_as_correct() -> None:
    measured = as_measured(sample(), boxes={})
    predicted = np.full((40, 60), GLASSES, np.uint8)
    truth, right = without_sets(measured.labels, predicted, sets=measured.sets)
    assert (truth[10:30, 10:30] == SKIN).all()
    assert (right[10:30, 10:30] == SKIN).all()
