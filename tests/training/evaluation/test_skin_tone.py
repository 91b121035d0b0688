"""Accuracy by skin tone."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest

from rtseg.labels import FACE_PARTS, HELEN, LabelSet
from tests.training.conftest import draw_face
from training.data.base import Sample
from training.data.face_targets import FaceTargets, from_helen
from training.evaluation.skin_tone import (
    BINS,
    bin_of,
    measure_skin_tones,
    tone_table,
    typology_angle,
)

LIGHT, DARK = (240, 210, 195), (90, 60, 45)


class Two:
    """A light face and a dark one."""

    label_set: LabelSet = FACE_PARTS
    names = ("light", "dark")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        image, labels = draw_face()
        image[labels == 1] = (LIGHT, DARK)[index]
        return Sample(name=self.names[index], image=image, labels=labels)


def test_the_angle_falls_from_light_to_dark() -> None:
    skin = np.ones((10, 10), bool)
    angles = [
        typology_angle(np.full((10, 10, 3), colour, np.uint8), skin) for colour in (LIGHT, DARK)
    ]
    assert angles[0] > 55
    assert -30 > angles[1] > -90
    assert np.isnan(typology_angle(np.zeros((10, 10, 3), np.uint8), ~skin))
    assert [bin_of(least + 0.1) for _, least in BINS] == [name for name, _ in BINS]
    assert bin_of(-90.0) == "dark"


def test_a_network_that_misses_dark_faces_is_exposed() -> None:
    def label(images: list[np.ndarray]) -> list[np.ndarray]:
        _, labels = draw_face()
        return [
            labels if image.max() > 200 and image[130, 90, 0] > 150 else labels * 0
            for image in images
        ]

    scores = {score.tone: score for score in measure_skin_tones(label, [Two(), Two()])}
    assert list(scores) == ["very light", "dark", "all"]
    assert scores["very light"].mean == 1
    assert (scores["dark"].faces, scores["dark"].missed, scores["dark"].mean) == (2, 2, 0)
    assert 0 < scores["all"].mean < 1
    assert scores["all"].missed == 2
    text = tone_table(list(scores.values()))
    assert "| dark | 2 | 2 |" in text
    assert set(scores["all"].f1) == set(HELEN.names) - {"background"}


def test_displaced_labels_are_compared_at_their_offset() -> None:
    asked = []

    class Displaced(Two):
        def __getitem__(self, index: int) -> Sample:
            return dataclasses.replace(super().__getitem__(index), label_offset=0.5)

    def label(images: list[np.ndarray], *, offset: float = 0.0) -> list[np.ndarray]:
        asked.append(offset)
        return [draw_face()[1] for _ in images]

    assert measure_skin_tones(label, [Displaced()])[-1].mean == pytest.approx(1)
    assert asked == [0.5, 0.5]


def test_skin_that_may_be_glasses_counts_as_skin() -> None:
    targets = FaceTargets(dataset=Two(), convert=partial(from_helen, glasses=True))

    def label(images: list[np.ndarray], *, offset: float = 0.0) -> list[np.ndarray]:
        return [draw_face()[1] for _ in images]

    scores = {score.tone: score for score in measure_skin_tones(label, [targets])}
    assert list(scores) == ["very light", "dark", "all"]
    assert scores["all"].faces == 2
    assert scores["all"].f1["skin"] == pytest.approx(1)
