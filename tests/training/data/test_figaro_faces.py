"""Faces of Figaro-1k: the list of them, and how a box becomes a face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SourceError
from training.augment.busts import middle_of
from training.data.base import read_split
from training.data.figaro_faces import profile_bust, read_profiles


def test_the_lists_are_of_train_names_and_exclude_each_other() -> None:
    train = set(read_split("figaro-train"))
    profiles, backs = set(read_profiles()), set(read_split("figaro-backs"))
    assert len(profiles) > 80
    assert len(backs) > 150
    assert profiles <= train
    assert backs <= train
    assert not profiles & backs


@pytest.mark.parametrize(
    "line",
    [
        "Frame00001 1 2 3",
        "Frame00001 1 2 3 four",
        "Frame00001 30 20 10 40",
        "Frame00001 1 9 3 4 5 6",
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "profiles.txt"
    path.write_text(f"Frame00002 10 20 30 40 -90\n{line}\n")
    with pytest.raises(SourceError, match=r"profiles\.txt: line 2 .*Frame00001"):
        read_profiles(path)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.txt: cannot be read"):
        read_profiles(tmp_path / "none.txt")


def test_a_box_in_percent_becomes_a_face() -> None:
    image = np.zeros((400, 200, 3), np.uint8)
    bust = profile_bust(image, (10.0, 25.0, 60.0, 75.0, -20.0))
    assert bust is not None
    assert bust.is_turned
    assert bust.roll_degrees == -20
    assert bust.face_height == pytest.approx(200)
    left, top = bust.outline.min(0)
    right, bottom = bust.outline.max(0)
    assert (left, top, right, bottom) == pytest.approx((20, 100, 120, 300), abs=1)


def test_a_face_that_the_picture_cuts_keeps_its_size() -> None:
    bust = profile_bust(np.zeros((200, 200, 3), np.uint8), (50.0, 50.0, 110.0, 130.0, 0.0))
    assert bust is not None
    assert bust.face_height == pytest.approx(160)
    assert middle_of(bust.outline, 0.0) == pytest.approx((160, 180), abs=1)
