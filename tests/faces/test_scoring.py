"""The evidence of a face in its cells: its parts, their arrangement, and its rotation."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.scoring import FaceScore, score_face
from rtseg.labels import HELEN, LabelSet

SIDE = 40
"""Of the square of cells that is judged; so it is the face's size too."""

BROW, EYE, OTHER_EYE, NOSE, LIP = 2, 4, 5, 6, 8


def score(
    *parts: tuple[int, float, float], side: int = SIDE, cells: int = 3, label_set: LabelSet = HELEN
) -> FaceScore:
    """Score skin with parts (class, x, y), each a square of so many cells around its centre."""
    labels = np.ones((side, side), np.uint8)
    for part, x, y in parts:
        left, top = round(x - cells / 2), round(y - cells / 2)
        labels[top : top + cells, left : left + cells] = part
    values = np.eye(len(label_set), dtype=np.float32)[labels]
    return score_face(values, np.ones((side, side), bool), label_set)


def arranged(nose: tuple[float, float], mouth: tuple[float, float]) -> FaceScore:
    """Score a face with nose and mouth that far from the middle of the eyes."""
    x, y = 18.5, 12.5
    return score(
        (EYE, x - 6, y),
        (OTHER_EYE, x + 6, y),
        (NOSE, x + nose[0], y + nose[1]),
        (LIP, x + mouth[0], y + mouth[1]),
    )


@pytest.mark.parametrize(
    ("nose", "mouth"),
    [
        ((0, 8), (0, 15)),
        ((0, 3), (0, 15)),
        ((4, 7), (0, 15)),
        ((8, 8), (12, 11)),  # a tilted head
        ((11, 9), (13, 12)),
        ((-8, 8), (-12, 11)),
        ((0, 6), (0, 9)),  # foreshortened, but a fair part of the face
    ],
)
def test_parts_are_arranged_as_in_a_face(
    nose: tuple[float, float], mouth: tuple[float, float]
) -> None:
    assert arranged(nose, mouth).parts == 1


@pytest.mark.parametrize(
    ("nose", "mouth"),
    [
        ((0, -5), (0, 15)),  # above the eyes
        ((0, 18), (0, 14)),  # below the mouth
        ((12, 8), (0, 15)),  # far aside
        ((-12, 8), (0, 15)),
        ((2, 14), (14, 8)),  # far aside of a tilted line
        ((0, 3), (0, 6)),  # all of them in a small part of the face
        ((9, 3), (17, 2)),  # side by side
        ((0, -8), (0, -11)),  # upside down
    ],
)
def test_parts_arranged_otherwise_count_less(
    nose: tuple[float, float], mouth: tuple[float, float]
) -> None:
    assert arranged(nose, mouth).parts == pytest.approx(0.6)


def test_three_of_four_parts_are_enough_and_each_one_less_counts() -> None:
    eye, nose, lip = (EYE, 14, 14), (NOSE, 20, 20), (LIP, 20, 29)
    assert score().parts == 0
    assert score(eye).parts == pytest.approx(1 / 3)
    assert score(eye, nose).parts == pytest.approx(2 / 3)
    assert score(eye, nose, lip).parts == 1
    assert score(eye, nose, lip, (BROW, 14, 9)).parts == 1


def test_of_three_kinds_of_parts_two_are_enough() -> None:
    label_set = LabelSet(
        name="three",
        names=("background", "skin", "brow", "hair", "eye", "other-eye", "nose", "ear", "lip"),
        colours=tuple((index, index, index) for index in range(9)),
        face=(1, 4, 5, 6, 8),
        skin=(1,),
        eyes=(4, 5),
        nose=(6,),
        mouth=(8,),
    )
    eye, nose = (EYE, 14, 14), (NOSE, 20, 20)
    assert score(eye, label_set=label_set).parts == pytest.approx(1 / 2)
    assert score(eye, nose, label_set=label_set).parts == 1


def test_a_part_of_few_cells_counts_in_a_small_face_only() -> None:
    eye, nose = (EYE, 7, 7), (NOSE, 10, 11)
    assert score(eye, nose, side=16, cells=2).parts == pytest.approx(2 / 3)
    assert score(eye, nose, cells=2).parts == 0


def test_the_roll_is_half_way_between_the_eyes_line_and_the_line_down() -> None:
    face = score((EYE, 12.5, 12.5), (OTHER_EYE, 24.5, 12.5), (LIP, 18.5 - 14, 12.5 + 14))
    assert face.roll_degrees == pytest.approx(45 / 2, abs=0.5)
    face = score((EYE, 12.5, 12.5), (OTHER_EYE, 24.5, 12.5), (LIP, 18.5 + 14, 12.5 + 14))
    assert face.roll_degrees == pytest.approx(-45 / 2, abs=0.5)


def test_parts_that_lie_close_together_do_not_tell_the_roll() -> None:
    eyes = (EYE, 12.5, 12.5), (OTHER_EYE, 24.5, 12.5)
    assert score(*eyes, (LIP, 20.5, 16.5)).roll_degrees is None
    assert score(*eyes, (LIP, 20.5, 18.5)).roll_degrees is not None


def test_beside_a_single_eye_the_brows_tell_the_middle() -> None:
    brows = (BROW, 12.5, 8.5), (3, 24.5, 8.5)
    face = score(*brows, (EYE, 12.5, 12.5), (LIP, 18.5, 26.5))
    assert face.roll_degrees == pytest.approx(0, abs=1)


def test_tilted_eyes_above_a_mouth_count_half() -> None:
    face = score((EYE, 12.5, 10.5), (OTHER_EYE, 24.5, 14.5), (LIP, 18.5, 26.5))
    assert face.roll_degrees == pytest.approx(18.4 / 2, abs=0.5)
