"""What of a face is covered, according to a finder's box."""

from __future__ import annotations

import pytest

from rtseg.faces.whole_face import (
    covered_height,
    lengthened,
    missing_height,
    no_further,
    whole_proportion,
)
from rtseg.frames import Box
from rtseg.geometry.crop import box_around

WHOLE = Box(left=100, top=100, right=200, bottom=240)
UPPER = Box(left=102, top=98, right=198, bottom=165)


def test_labels_that_end_early_are_extended_to_the_chin() -> None:
    covered = covered_height(UPPER, WHOLE, 0)
    assert covered == pytest.approx(75)
    assert lengthened(UPPER, covered, 0) == Box(left=102, top=98, right=198, bottom=240)


@pytest.mark.parametrize(
    "labelled",
    [
        Box(left=102, top=98, right=198, bottom=225),  # about as long
        Box(left=102, top=98, right=198, bottom=300),  # longer
        Box(left=160, top=98, right=256, bottom=165),  # aside
        Box(left=102, top=10, right=198, bottom=77),  # far above
        Box(left=102, top=145, right=198, bottom=200),  # below the finder's forehead
    ],
)
def test_a_box_that_does_not_agree_otherwise_covers_nothing(labelled: Box) -> None:
    assert covered_height(labelled, WHOLE, 0) == 0


@pytest.mark.parametrize(
    ("roll", "labelled", "expected"),
    [
        (180, Box(left=102, top=175, right=198, bottom=242), (102, 100, 198, 242)),
        (90, Box(left=175, top=102, right=242, bottom=198), (100, 102, 242, 198)),
        (-90, Box(left=98, top=102, right=165, bottom=198), (98, 102, 240, 198)),
    ],
)
def test_down_is_the_faces_own_direction(
    roll: float, labelled: Box, expected: tuple[float, ...]
) -> None:
    whole = WHOLE if roll == 180 else Box(left=100, top=100, right=240, bottom=200)
    covered = covered_height(labelled, whole, roll)
    box = lengthened(labelled, covered, roll)
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx(expected)


def test_a_known_proportion_tells_what_is_missing_later() -> None:
    proportion = whole_proportion(UPPER, 75, 0)
    assert proportion == pytest.approx((67 + 75) / 96)
    assert missing_height(UPPER, proportion, 0) == pytest.approx(75)
    assert missing_height(WHOLE, proportion, 0) == 0  # nothing is covered any more
    # the same face, turned and farther away
    whole = box_around(300, 300, 74, 50)
    assert missing_height(whole, proportion, 90) == pytest.approx(0.0)
    upper = box_around(300, 300, 35, 50)
    assert missing_height(upper, proportion, 90) == pytest.approx(75 * 50 / 96, abs=0.5)


@pytest.mark.parametrize("roll", [-135, -100, -40, 0, 45, 70, 180])
def test_what_was_missing_is_missing_from_the_same_labels_whatever_the_tilt(roll: float) -> None:
    proportion = whole_proportion(UPPER, 40, roll)
    assert missing_height(UPPER, proportion, roll) == pytest.approx(40)


def test_a_face_that_is_rotated_by_half_a_right_angle_is_extended_along_its_own_direction() -> None:
    whole = box_around(200, 200, 140, 140)
    # labels end early: their centre is farther up, which is to the upper right
    labelled = box_around(230, 170, 100, 100)
    covered = covered_height(labelled, whole, 45)
    assert covered == pytest.approx(70 - 50 + 30 * 2**0.5)
    assert covered_height(box_around(230, 230, 100, 100), whole, 45) == 0  # aside
    assert covered_height(box_around(170, 170, 100, 100), whole, 45) == 0


def test_lengthening_follows_the_roll() -> None:
    face, by = box_around(0, 0, 100, 100), 100 * 2**0.5
    assert lengthened(face, by, 135).xyxy == pytest.approx((-150, -150, 50, 50))
    assert lengthened(face, by, -45).xyxy == pytest.approx((-50, -50, 150, 150))


def test_a_face_that_lacks_hardly_any_of_its_height_is_whole() -> None:
    assert missing_height(box_around(0, 0, 100, 130), 1.4, 0) == 0
    assert missing_height(box_around(0, 0, 100, 115), 1.4, 0) == pytest.approx(25)


def test_a_face_is_lengthened_no_further_than_the_finder_saw_it() -> None:
    lengthened_face = lengthened(UPPER, 200, 0)
    assert no_further(lengthened_face, UPPER, WHOLE) == Box(left=102, top=98, right=198, bottom=240)
    # what is labelled counts, wherever the finder's box ends
    short = Box(left=110, top=110, right=190, bottom=150)
    assert no_further(lengthened_face, UPPER, short) == UPPER
