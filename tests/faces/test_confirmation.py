"""The evidence that is required before something is called a face."""

from types import SimpleNamespace

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.confirmation import (
    UNKNOWN_SCORE,
    face_probability,
    is_as_rotated_as,
    is_clearly_arranged,
    is_surely_a_face,
    may_be_face,
    of_both_looks,
)
from rtseg.frames import Box
from rtseg.geometry.crop import box_around, crop_around


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


def test_two_looks_of_a_finder_meet_halfway_in_log_odds():
    assert of_both_looks(0.9, 0.1) == pytest.approx(0.5)
    assert of_both_looks(0.99, 0.5) == pytest.approx(1 / (1 + 99**-0.5))
    assert of_both_looks(0.8, 0.8) == pytest.approx(0.8)
    assert of_both_looks(1.0, 0.0) == pytest.approx(0.5)  # neither is ever certain


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


@pytest.mark.parametrize(
    ("box", "accepted"),
    [
        (Box(left=20, top=20, right=280, bottom=180), False),  # all of it is in the frame
        (Box(left=6, top=20, right=100, bottom=180), True),
        (Box(left=200, top=20, right=294, bottom=180), True),
        (Box(left=100, top=6, right=200, bottom=166), True),
        (Box(left=100, top=34, right=200, bottom=194), True),
        (Box(left=6, top=80, right=46, bottom=120), False),  # near the edge, but small
        (Box(left=254, top=80, right=294, bottom=120), False),
        (Box(left=100, top=154, right=130, bottom=194), False),
        (Box(left=100, top=6, right=130, bottom=46), False),
    ],
)
def test_parts_beyond_the_frame_need_not_be_certain(box, accepted):
    parsed = SimpleNamespace(score=0.97, certain=0.4, cells=np.zeros((32, 32), bool), face=box)
    crop = crop_around(150, 100, 200, 1.0)
    assert is_surely_a_face(parsed, crop, height=200, width=300) is accepted  # type: ignore[arg-type]


def turned(roll, *, parts=1.0, certain=0.9, crop_roll=75.0):
    parsed = SimpleNamespace(roll_degrees=roll, parts=parts, certain=certain)
    return is_clearly_arranged(parsed, crop_around(100, 100, 40, 1.0, crop_roll))  # type: ignore[arg-type]


def test_in_a_rotated_crop_every_part_is_clear_and_arranged_like_the_crop():
    assert turned(75)
    assert turned(110)
    assert turned(-75, crop_roll=-75.0)
    assert turned(-170, crop_roll=160.0)
    assert not turned(None)
    assert not turned(20)
    assert not turned(130)
    assert not turned(-75)
    assert not turned(75, parts=2 / 3)
    assert not turned(75, certain=0.4)


def test_what_clear_labels_could_not_make_a_face_is_not_worth_a_rotated_crop():
    box = box_around(100, 100, 80, 100)
    likely = face_probability(0.2, 0.95, height=100.0)
    for least, worth_it in ((likely - 0.01, True), (likely, True), (likely + 0.01, False)):
        assert may_be_face(FaceDetection(box=box, score=0.2), min_score=least) is worth_it
    # the same score in a few pixels
    tiny = FaceDetection(box=box_around(100, 100, 5, 6), score=0.2)
    assert not may_be_face(tiny, min_score=likely - 0.01)


@pytest.mark.parametrize(
    ("crop_roll", "read", "possible"),
    [
        (0.0, 45.0, True),
        (0.0, 46.0, False),
        (0.0, -45.0, True),
        (0.0, -46.0, False),
        (170.0, -160.0, True),  # 30 degrees further round
        (90.0, 0.0, False),
        (0.0, None, False),
    ],
)
def test_labels_read_rotations_near_that_of_their_crop_only(crop_roll, read, possible):
    assert is_as_rotated_as(crop_around(100, 100, 40, 1.0, crop_roll), read) is possible
