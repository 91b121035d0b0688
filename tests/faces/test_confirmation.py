"""The evidence that is required before something is called a face."""

from types import SimpleNamespace

import numpy as np
import pytest

from rtseg.faces.confirmation import UNKNOWN_SCORE, face_probability, is_surely_a_face
from rtseg.frames import Box
from rtseg.geometry.crop import crop_around


@pytest.mark.parametrize(
    ("side", "score", "certain", "left", "accepted"),
    [
        (28, 0.93, 1.0, 90, False),  # a crop of fewer pixels than cells
        (28, 0.95, 1.0, 90, True),
        (40, 0.9, 1.0, 90, True),
        (40, 0.8, 1.0, 90, False),
        (40, 0.97, 0.4, 90, False),  # half of the parts are uncertain
        (40, 0.97, 0.4, 0, True),  # … or beyond the frame
    ],
)
def test_the_least_scores_of_a_face_are_required(side, score, certain, left, accepted):
    parsed = SimpleNamespace(
        score=score,
        certain=certain,
        cells=np.zeros((32, 32), bool),
        face=Box(left=left, top=90, right=110, bottom=110),
    )
    crop = crop_around(100, 100, side, 1.0)
    assert is_surely_a_face(parsed, crop, height=200, width=300) is accepted  # type: ignore[arg-type]


def test_a_face_seen_only_when_rotated_needs_a_higher_score():
    parsed = SimpleNamespace(
        score=0.9,
        certain=1.0,
        cells=np.zeros((32, 32), bool),
        face=Box(left=90, top=90, right=110, bottom=110),
    )
    turned = crop_around(100, 100, 40, 1.0, 60.0)
    assert not is_surely_a_face(parsed, turned, height=200, width=300)  # type: ignore[arg-type]


def probability(finder, labels, height=100.0):
    return face_probability(finder, labels, height=height)


def test_each_network_raises_the_probability_and_neither_decides_alone():
    scores = np.linspace(0, 1, 11)
    table = np.array([[probability(f, score) for score in scores] for f in scores])
    assert (np.diff(table, axis=0) > 0).any()
    assert (np.diff(table, axis=0) >= 0).all()
    assert (np.diff(table, axis=1) >= 0).all()
    assert 0 <= table.min() < 0.001
    assert 0.99 < table.max() <= 1
    assert probability(0.9, 0.1) < 0.5  # the labels hardly show a face
    assert probability(0.0, 0.95) < 0.5  # the finder clearly rejects it
    assert probability(0.1, 0.97) > 0.5  # … and here it is only unsure
    assert probability(UNKNOWN_SCORE, 0.7) < 0.5 < probability(UNKNOWN_SCORE, 0.95)


def test_a_face_of_a_few_pixels_needs_more_evidence():
    heights = [4.0, 10.0, 20.0, 40.0, 400.0]
    likely = [probability(0.9, 0.9, height) for height in heights]
    assert likely == sorted(likely)
    assert likely[0] < likely[2] < likely[3] == likely[4]
