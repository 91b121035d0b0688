"""Faces of Figaro-1k: the lists of them, and how a box becomes a face."""

from __future__ import annotations

import numpy as np
import pytest

from training.augment.busts import middle_of
from training.data.base import read_split
from training.data.figaro_faces import box_bust
from training.data.percent_boxes import PercentBox, read_percent_boxes


def test_the_lists_are_of_train_names_and_exclude_each_other() -> None:
    train = set(read_split("figaro-train"))
    profiles = set(read_percent_boxes("figaro-profiles"))
    faces = set(read_percent_boxes("figaro-faces"))
    backs = set(read_split("figaro-backs"))
    assert len(profiles) > 120
    assert len(faces) > 180
    assert len(backs) > 240
    assert profiles | faces | backs <= train
    assert len(profiles) + len(faces) + len(backs) == len(profiles | faces | backs)


def test_a_box_in_percent_becomes_a_face() -> None:
    image = np.zeros((400, 200, 3), np.uint8)
    place = PercentBox(left=10, top=25, right=60, bottom=75, roll_degrees=-20)
    bust = box_bust(image, place, is_turned=True)
    assert bust is not None
    assert bust.is_turned
    assert bust.roll_degrees == -20
    assert bust.face_height == pytest.approx(200)
    left, top = bust.outline.min(0)
    right, bottom = bust.outline.max(0)
    assert (left, top, right, bottom) == pytest.approx((20, 100, 120, 300), abs=1)


def test_a_face_that_the_picture_cuts_keeps_its_size() -> None:
    place = PercentBox(left=50, top=50, right=110, bottom=130)
    bust = box_bust(np.zeros((200, 200, 3), np.uint8), place, is_turned=False)
    assert bust is not None
    assert not bust.is_turned
    assert bust.face_height == pytest.approx(160)
    assert middle_of(bust.outline, 0.0) == pytest.approx((160, 180), abs=1)


def test_a_face_that_is_not_in_the_picture_is_none() -> None:
    place = PercentBox(left=120, top=10, right=160, bottom=60)
    assert box_bust(np.zeros((200, 200, 3), np.uint8), place, is_turned=False) is None


def test_the_lists_to_measure_on_are_of_val_names() -> None:
    faces, backs = set(read_percent_boxes("figaro-val-faces")), set(read_split("figaro-val-backs"))
    assert len(faces) > 25
    assert len(backs) > 20
    assert faces | backs <= set(read_split("figaro-val"))
    assert not faces & backs
