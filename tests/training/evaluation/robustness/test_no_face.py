"""Crops without a face, and the false labels in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rtseg.frames import Image, LabelMap
from rtseg.labels import HELEN
from training.evaluation.robustness.no_face import KINDS, PRINTED, NoFaceScore, measure_no_face

RNG = np.random.default_rng(0)
PICTURES = [RNG.integers(0, 256, (60, 80, 3)).astype(np.uint8) for _ in range(3)]


def test_shares_count_labelled_pixels_and_printed_masks_separately() -> None:
    pictures: list[Image] = []

    def a_tenth(images: Sequence[Image]) -> list[LabelMap]:
        """Labels a tenth of every crop, and all of every fourth one as hair."""
        label_maps = []
        for image in images:
            labels = np.zeros(image.shape[:2], np.uint8)
            labels[: image.shape[0] // 8] = 1
            if len(pictures) % 4 == 3:
                labels[:] = 10
            pictures.append(image)
            label_maps.append(labels)
        return label_maps

    scores = {s.kind: s for s in measure_no_face(a_tenth, PICTURES, HELEN, count=4)}
    assert list(scores) == ["all", *KINDS, PRINTED]
    assert scores["all"].count == 4 * len(KINDS)
    assert scores[PRINTED].count == 4
    for score in scores.values():
        assert score.median == 1 / 8
        assert score.mean == pytest.approx((3 / 8 + 1) / 4)
        assert score.largest == 1
    assert all(image.shape == (256, 256, 3) for image in pictures)
    assert len({image.tobytes() for image in pictures}) == len(pictures)


def test_crops_are_reproducible_and_kinds_differ() -> None:
    def kept(images: Sequence[Image]) -> list[LabelMap]:
        rounds[-1].append(np.stack(images))
        return [np.zeros(image.shape[:2], np.uint8) for image in images]

    rounds: list[list[np.ndarray]] = []
    for _ in range(2):
        rounds.append([])
        list(measure_no_face(kept, PICTURES, HELEN, count=2))
    for first, second in zip(*rounds, strict=True):
        np.testing.assert_array_equal(first, second)


def test_a_score_equals_one_computed_by_hand() -> None:
    score = NoFaceScore.of("x", np.array([0.0, 0.0, 0.3]))
    assert (score.median, score.largest) == (0.0, 0.3)
    assert score.mean == pytest.approx(0.1)
