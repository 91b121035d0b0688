"""Calibrating scores to probabilities, and reporting the result."""

import math

import numpy as np
import pytest

from training.augment.busts import bust_of
from training.evaluation.face_finding import Finding
from training.evaluation.score_calibration import (
    Calibrated,
    after,
    detections_of,
    draw_diagram,
    expected_error,
    fit_calibration,
    fit_logistic,
    reliability,
    view_of,
)

SCALE, SHIFT = 2.5, -0.7


def drawn(count=20_000, seed=0):
    """Make scores whose logits need a given scale and shift to become probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.2, count)
    scores = 1 / (1 + np.exp(-logits))
    true = 1 / (1 + np.exp(-(SCALE * logits + SHIFT)))
    return scores, rng.random(count) < true


def finding(scores, false, empty=()):
    return Finding(
        scores=list(scores),
        heights=[0.2] * len(scores),
        rolls=[0.0] * len(scores),
        false_scores=list(false),
        views=10,
        faceless_scores=list(empty),
    )


def test_a_known_calibration_is_recovered():
    scores, is_face = drawn()
    scale, shift = fit_calibration(scores, is_face)
    assert scale == pytest.approx(SCALE, rel=0.05)
    assert shift == pytest.approx(SHIFT, abs=0.06)
    before = expected_error(reliability(scores, is_face))
    now = expected_error(reliability(after(scores, (scale, shift)), is_face))
    assert before > 0.1
    assert now < 0.015


def test_a_perfect_separation_stays_finite():
    scale, shift = fit_calibration(
        np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])
    )
    assert 0 < scale < 20
    assert math.isfinite(shift)


@pytest.mark.parametrize("is_face", [True, False])
def test_detections_that_are_all_alike_are_refused(is_face):
    with pytest.raises(ValueError, match="both kinds are needed for a calibration"):
        fit_calibration(np.array([0.3, 0.4]), np.full(2, is_face))


def test_several_features_are_weighted():
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (20_000, 2))
    likely = 1 / (1 + np.exp(-(features @ [0.5, 2.0] - 1)))
    weights = fit_logistic(features, rng.random(20_000) < likely)
    assert weights == pytest.approx([0.5, 2.0, -1], abs=0.1)


def test_a_bin_has_count_mean_score_and_share_of_faces():
    rows = reliability(np.array([0.05, 0.62, 0.68, 1.0]), np.array([False, True, False, True]))
    assert rows[0] == (1, pytest.approx(0.05), 0)
    assert rows[6] == (2, pytest.approx(0.65), 0.5)
    assert rows[9] == (1, 1.0, 1.0)  # the last one contains a score of one
    assert rows[3][0] == 0


def test_a_missed_face_is_not_a_detection():
    scores, is_face = detections_of(finding([0.9, 0.0], [0.2]), finding([0.6], []))
    assert scores.tolist() == [0.9, 0.6, 0.2]
    assert is_face.tolist() == [True, True, False]


def test_tables_and_a_diagram_are_written(tmp_path):
    scores, is_face = drawn(400)
    calibrated = Calibrated(
        calibration=(SCALE, SHIFT),
        scores=scores,
        is_face=is_face,
        findings=[("Composites", finding([0.9, 0.3, 0.0], [0.6], empty=[0.2, 0.8]))],
    )
    text = calibrated.markdown()
    # 0.9 stays above a half, 0.3 does not; 0.6 is one false face in ten views
    assert "| 0.5 | 0.333 | 0.100 | 0.500 |" in text
    pytest.importorskip("matplotlib")
    draw_diagram(calibrated, tmp_path / "diagram.png")
    assert (tmp_path / "diagram.png").read_bytes().startswith(b"\x89PNG")


def test_a_whole_picture_becomes_a_letterboxed_view_with_its_face():
    image = np.zeros((160, 120, 3), np.uint8)
    face = np.zeros((160, 120), bool)
    face[40:100, 30:80] = True
    image[face] = 200
    bust = bust_of(image, face=face, person=None)
    view, (placed,), uncertain = view_of(image, bust, height=224, width=384)
    assert view.shape == (224, 384, 3)
    assert not uncertain
    left, top, right, bottom = placed.box
    assert view[top + 2 : bottom - 2, left + 2 : right - 2].min() > 190
    assert view[:, : left - 2].max() < 190
    assert placed.height == pytest.approx(60 * 224 / 160, abs=2)
    assert view_of(image, None, height=224, width=384)[1] == []
