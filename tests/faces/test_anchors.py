"""The finder's boxes move with the faces that are followed, and not with what labels grow over."""

from __future__ import annotations

import pytest

from rtseg.faces.anchors import Anchors
from rtseg.faces.base import FaceDetection
from rtseg.frames import Box
from rtseg.geometry.crop import box_around

FACE = box_around(300, 200, 100, 130)


def seen(box: Box, score: float = 0.9) -> FaceDetection:
    return FaceDetection(box=box, score=score)


def anchored(labelled: Box = FACE) -> Anchors:
    anchors = Anchors()
    anchors.update({1: labelled}, [seen(FACE)], seconds=0.0)
    return anchors


def test_a_followed_face_is_anchored_where_the_finder_saw_it() -> None:
    anchors = anchored(box_around(305, 205, 110, 140))
    assert anchors.of(1) == FACE
    assert anchors.boxes == [FACE]
    assert anchors.of(2) is None


@pytest.mark.parametrize(
    "detection",
    [
        seen(FACE, 0.2),  # probably no face
        seen(box_around(300, 200, 60, 80)),  # the labels are much larger
        seen(box_around(390, 200, 100, 130)),  # beside it
    ],
)
def test_what_disagrees_is_no_anchor(detection: FaceDetection) -> None:
    anchors = Anchors()
    anchors.update({1: FACE}, [detection], seconds=0.0)
    assert anchors.of(1) is None


def test_labels_of_a_small_part_of_a_face_disagree_with_its_anchor() -> None:
    anchors = anchored()
    assert not anchors.disagrees(1, box_around(300, 200, 80, 100))
    assert anchors.disagrees(1, box_around(300, 250, 80, 40))
    assert anchors.disagrees(1, box_around(390, 200, 100, 130))
    assert not anchors.disagrees(2, box_around(390, 200, 100, 130))  # never seen by the finder


def test_labels_of_somebody_beside_as_well_disagree_with_an_anchor() -> None:
    beside = box_around(420, 200, 100, 130)
    both = Box(left=250, top=135, right=450, bottom=265)
    anchors = Anchors()
    anchors.update({1: FACE, 2: beside}, [seen(FACE), seen(beside)], seconds=0.0)
    assert anchors.disagrees(1, both)
    assert not anchors.disagrees(1, box_around(320, 200, 140, 130))
    anchors.update({1: FACE}, [], seconds=0.1)
    assert not anchors.disagrees(1, both)  # nobody is followed beside it any more


def test_an_anchor_moves_and_grows_with_the_labels() -> None:
    anchors = anchored()
    anchors.update({1: box_around(306, 195, 100, 130)}, [], seconds=0.1)
    assert anchors.of(1) == box_around(306, 195, 100, 130)
    anchors.update({1: box_around(306, 195, 104, 135.2)}, [], seconds=0.2)
    box = anchors.of(1)
    assert box is not None
    assert (box.width, box.height) == (pytest.approx(104), pytest.approx(135.2))


def test_an_anchor_stays_when_labels_grow_over_something_else() -> None:
    anchors = anchored()
    for index in range(1, 20):
        grown = Box(left=250 - 10 * index, top=135, right=350, bottom=265 + 12 * index)
        anchors.update({1: grown}, [], seconds=index / 30)
    assert anchors.of(1) == FACE


@pytest.mark.parametrize(
    ("part", "beyond"),
    [
        (Box(left=320, top=210, right=345, bottom=260), (256, 142, 362, 280)),
        (Box(left=255, top=140, right=280, bottom=190), (238, 120, 344, 258)),
    ],
)
def test_an_anchor_stays_when_labels_of_a_part_grow_to_all_of_the_face_and_beyond(
    part: Box, beyond: tuple[float, float, float, float]
) -> None:
    left, top, right, bottom = beyond
    anchors = anchored()
    for index in range(1, 5):
        labelled = part if index % 2 else Box(left=left, top=top, right=right, bottom=bottom)
        anchors.update({1: labelled}, [], seconds=index / 30)
    box = anchors.of(1)
    assert box is not None
    assert box.overlap(FACE) > 0.8


def test_an_anchor_stays_where_the_face_was_seen_while_the_labels_show_hair() -> None:
    """Which may be somebody else's, and is where the head has moved, not the face."""
    anchors = anchored()
    hair = box_around(315, 170, 100, 130)
    for index in range(1, 10):
        moved = box_around(310 + 2 * index, 170, 100, 130)
        anchors.update({1: moved}, [], seconds=index / 30, turned_away={1})
    assert anchors.of(1) == FACE
    anchors.update({1: hair}, [seen(box_around(310, 200, 100, 130))], seconds=0.4, turned_away={1})
    assert anchors.of(1) == box_around(305, 200, 100, 130)
    anchors.update({1: box_around(500, 150, 100, 130)}, [], seconds=0.5, turned_away={1})
    assert anchors.of(1) is None


def test_hair_alone_is_never_anchored() -> None:
    anchors = Anchors()
    anchors.update({1: FACE}, [seen(FACE)], seconds=0.0, turned_away={1})
    assert anchors.of(1) is None


def test_the_next_sighting_counts_half() -> None:
    anchors = anchored()
    anchors.update({1: FACE}, [seen(box_around(320, 200, 100, 130))], seconds=0.1)
    assert anchors.of(1) == box_around(310, 200, 100, 130)


def test_an_anchor_is_forgotten_when_the_finder_no_longer_sees_it_or_the_face_is_lost() -> None:
    anchors = anchored()
    anchors.update({1: FACE}, [], seconds=2.9)
    assert anchors.of(1) == FACE
    anchors.update({1: FACE}, [], seconds=3.1)
    assert anchors.of(1) is None
    anchors = anchored()
    anchors.update({}, [], seconds=0.1)
    assert anchors.boxes == []


def test_faces_that_are_not_followed_are_remembered_for_a_moment() -> None:
    other = box_around(500, 200, 100, 130)
    anchors = Anchors()
    anchors.update({1: FACE}, [seen(FACE), seen(other)], seconds=0.0)
    assert anchors.boxes == [FACE, other]
    moved = box_around(510, 200, 100, 130)
    anchors.update({1: FACE}, [seen(moved)], seconds=0.3)
    assert anchors.boxes == [FACE, moved]
    anchors.update({1: FACE}, [], seconds=0.7)
    assert anchors.boxes == [FACE, moved]
    anchors.update({1: FACE}, [], seconds=0.9)
    assert anchors.boxes == [FACE]


def test_a_box_within_the_labels_of_a_face_without_anchor_divides_nothing() -> None:
    anchors = Anchors()
    anchors.update({1: box_around(300, 200, 300, 200)}, [seen(FACE)], seconds=0.0)
    assert anchors.boxes == []


def test_faces_of_which_one_is_in_front_of_the_other_are_not_divided() -> None:
    anchors = Anchors()
    other = box_around(410, 200, 100, 130)
    anchors.update({1: FACE, 2: other}, [seen(FACE), seen(other)], seconds=0.0)
    assert anchors.boxes == [FACE, other]
    for index, expected in enumerate([2, 2, 0, 0, 0], start=1):
        moved = box_around(410 - 10 * index, 200, 100, 130)
        anchors.update({1: FACE, 2: moved}, [], seconds=index / 30)
        assert len(anchors.boxes) == expected
    # one that is not followed yields
    anchors = Anchors()
    anchors.update({1: FACE}, [seen(FACE), seen(box_around(370, 200, 100, 130))], seconds=0.0)
    assert anchors.boxes == [FACE]


def test_an_edge_that_is_cut_off_does_not_hold_a_moving_face_back() -> None:
    anchors = anchored()
    box = Box(left=245, top=135, right=350, bottom=265)
    anchors.update({1: box}, [], seconds=0.0)
    for index in range(1, 6):
        # the left edge stays at the limit of what the anchor allows, the right one moves
        box = Box(left=245, top=135, right=350 - 10 * index, bottom=265)
        anchors.update({1: box}, [], seconds=index / 30)
    moved = anchors.of(1)
    assert moved is not None
    assert moved.centre[0] < 295


def test_a_box_is_not_carried_farther_than_half_its_size_without_being_seen_again() -> None:
    anchors = anchored()
    kept = []
    for index in range(1, 8):
        moved = box_around(300 + 12 * index, 200, 100, 130)
        anchors.update({1: moved}, [], seconds=index / 30)
        kept.append(anchors.of(1) is not None)
    assert kept == [True] * 4 + [False] * 3
    anchors.update({1: moved}, [seen(moved)], seconds=0.5)
    assert anchors.of(1) == moved
