"""Faces are found, followed and lost from frame to frame."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtseg.frames import Box
from rtseg.geometry.crop import CROP_FACTOR, crop_side
from tests.faces.stage import Stage, at, ids
from tests.support.painted import COLOURS, paint, scene


@settings(max_examples=15, deadline=None)
@given(x=st.floats(60, 580), y=st.floats(60, 300), height=st.floats(50, 330))
@example(x=60.0, y=134.0, height=182.0)  # a tile ends in the middle of it
def test_a_face_is_found_at_its_position(x, y, height):
    (face,) = Stage().show_still((x, y, height))
    drawn = scene(360, 640, (x, y, height))[1]
    rows, columns = np.nonzero(drawn)
    slack = 2 + 0.05 * height  # this test's network has 32 cells per side
    assert face.head.left == pytest.approx(columns.min(), abs=slack)
    assert face.head.right == pytest.approx(columns.max() + 1, abs=slack)
    assert face.head.top == pytest.approx(rows.min(), abs=slack)
    assert face.head.bottom == pytest.approx(rows.max() + 1, abs=slack)
    assert face.score > 0.8
    # and the crop is like those that a model trains on
    assert face.crop.box.height == pytest.approx(crop_side(face.head), rel=0.25)


def test_the_crop_is_1_6_heads_high():
    assert crop_side(Box(left=0, top=0, right=50, bottom=100)) == CROP_FACTOR * 100
    # a wide head still fits
    assert crop_side(Box(left=0, top=0, right=200, bottom=100)) >= 200


def test_without_a_face_there_is_no_track_and_a_bounded_cost():
    stage = Stage()
    assert stage.show() == ()
    assert stage.crop_count == 4  # the whole picture and three tiles, once
    for _ in range(20):
        assert stage.show() == ()
        assert stage.crop_count == 3  # the whole picture, a tile and a finer one


@pytest.mark.parametrize("parts", [(1,), (10,), (1, 10), (1, 4)])
def test_skin_without_a_face_in_it_is_no_face(parts):
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, 320, 180, 200, parts=parts)

    stage = Stage()
    for _ in range(5):
        assert stage.show(image=COLOURS[labels]) == ()
    # once examined, it is left alone for a while
    assert stage.crop_count == 3


def test_the_tiniest_patterns_are_not_faces():
    assert len(Stage(height=720, width=720).show_still((360, 360, 58))) == 1
    assert Stage(height=720, width=720).show_still((360, 360, 26)) == ()


def test_half_a_face_at_the_edge_is_found():
    (face,) = Stage().show_still((5, 180, 160))
    assert face.head.left < 8


def test_two_faces_keep_their_ids_side_by_side():
    stage = Stage()
    first = stage.show((150, 180, 120), (480, 180, 140))
    for index in range(1, 30):
        faces = stage.show((150 + index, 180, 120), (480 - index, 180, 140))
        assert [face.track_id for face in faces] == [face.track_id for face in first]
    assert at(faces[0]) == pytest.approx((451, 180), abs=4)


def test_ids_persist_when_two_faces_pass_each_other():
    stage = Stage(height=480)
    stage.show((100, 130, 120), (540, 340, 120))
    for index in range(40):
        faces = stage.show((100 + 11 * index, 130, 120), (540 - 11 * index, 340, 120))
        assert len(faces) == 2
    by_id = {face.track_id: at(face) for face in faces}
    upper, lower = by_id[1], by_id[2]
    assert {upper, lower} == {at(face) for face in faces}
    high = {face.track_id for face in faces if face.head.centre[1] < 240}
    start = Stage(height=480).show((100, 130, 120), (540, 340, 120))
    assert high == {face.track_id for face in start if face.head.centre[1] < 240}


def test_a_moving_face_is_followed_without_a_search():
    stage = Stage(detect_every=1000)
    (face,) = stage.show((100, 180, 120))
    for index in range(1, 45):
        x, y = 100 + 10 * index, 180 + 40 * math.sin(index / 6)
        (face,) = stage.show((x, y, 120 - index))
        assert stage.crop_count == 1
        assert face.track_id == 1
        assert at(face) == pytest.approx((x, y), abs=5)
        # the head stays inside its crop
        assert face.crop.box.left < face.head.left
        assert face.crop.box.right > face.head.right


def test_the_crop_of_a_still_face_does_not_move():
    stage = Stage()
    crops = []
    for index in range(40):
        jitter = 2 * math.sin(index * 2.3)
        (face,) = stage.show((320 + jitter, 180 - jitter, 150))
        crops.append(face.crop)
    assert len(set(crops[3:])) == 1


def test_a_small_new_face_is_found_when_its_tile_is_searched():
    stage = Stage()
    stage.show()
    counts = [len(stage.show((560, 180, 44))) for _ in range(3)]
    assert counts[-1] == 1
    assert stage.show((560, 180, 44))[0].head.height == pytest.approx(44, abs=4)


def test_a_second_face_is_found_within_the_period():
    stage = Stage(detect_every=6)
    stage.show((150, 180, 120))
    counts = [len(stage.show((150, 180, 120), (480, 180, 120))) for _ in range(7)]
    assert counts[0] == 1
    assert counts[-1] == 2


def test_a_small_second_face_is_found_beside_a_followed_one():
    stage = Stage(detect_every=3)
    assert len(stage.show((320, 180, 100))) == 1
    counts = [len(stage.show((320, 180, 100), (380, 160, 34))) for _ in range(13)]
    assert counts[-1] == 2


def test_a_face_that_leaves_is_lost_at_once_and_found_again_within_half_a_second():
    stage = Stage()
    for _ in range(5):
        stage.show((320, 180, 150))
    for _ in range(10):
        assert stage.show() == ()
    (face,) = stage.show((360, 190, 150))
    assert face.track_id == 1


def test_a_face_that_returns_elsewhere_keeps_its_id():
    stage = Stage(width=800)
    for _ in range(5):
        stage.show((320, 180, 150))
    for _ in range(8):
        assert stage.show() == ()
    faces = [stage.show((500, 180, 150)) for _ in range(3)]
    assert ids(faces[-1]) == {1}


def test_after_a_longer_absence_it_gets_a_new_id():
    stage = Stage()
    stage.show((320, 180, 150))
    for _ in range(30):
        stage.show()
    (face,) = stage.show((320, 180, 150))
    assert face.track_id == 2


def test_no_more_faces_than_requested_are_followed():
    heads = [(100, 180, 90), (260, 180, 110), (420, 180, 130), (560, 180, 100)]
    stage = Stage(max_faces=2)
    for _ in range(12):
        assert len(stage.show(*heads)) <= 2
    assert len(stage.show(*heads)) == 2
    assert len(Stage(max_faces=4).show_still(*heads)) == 4
    assert len(Stage(max_faces=2).show_still(*heads)) == 2


def test_duplicates_are_merged():
    """Two tracks that reach the same face become one, the older one."""
    stage = Stage()
    stage.show((200, 180, 120), (440, 180, 120))
    for index in range(1, 13):
        faces = stage.show((200 + 10 * index, 180, 120), (440 - 10 * index, 180, 120))
    assert len(faces) == 1
    assert faces[0].track_id in (1, 2)
    for _ in range(20):
        assert len(stage.show((320, 180, 120))) == 1


def test_a_neighbour_in_the_crop_is_marked_as_foreign():
    stage = Stage(height=480)
    faces = stage.show_still((260, 240, 200), (420, 240, 160))
    assert len(faces) == 2
    large = faces[0]
    assert large.foreign is not None
    columns = np.flatnonzero(large.foreign.any(0))
    assert columns.min() > large.foreign.shape[1] / 2  # the neighbour is on the right


@pytest.mark.parametrize("stride", [1, 2, 8])
def test_a_finer_or_coarser_map_shows_the_same_faces(stride):
    heads = (260, 240, 200), (420, 240, 160)
    usual = Stage(height=480, input_side=256).show_still(*heads)
    stage = Stage(height=480, input_side=256, stride=stride)
    faces = stage.show_still(*heads)
    assert len(faces) == len(usual) == 2
    for face, other in zip(faces, usual, strict=True):
        side = 256 // stride
        assert face.probabilities.shape[:2] == (side, side)
        cell = max(4, stride) / 256 * face.crop.box.height
        for edge in ("left", "top", "right", "bottom"):
            expected = getattr(other.head, edge)
            assert getattr(face.head, edge) == pytest.approx(expected, abs=1.5 * cell)
    large = faces[0]
    assert large.foreign is not None
    assert large.foreign.shape == large.probabilities.shape[:2]
    assert np.flatnonzero(large.foreign.any(0)).min() > large.foreign.shape[1] / 2


def test_the_same_input_gives_the_same_tracks():
    def run():
        stage = Stage(detect_every=5)
        return [
            (index, face.track_id, face.head, face.crop, face.score)
            for index in range(25)
            for face in stage.show((100 + 9 * index, 180, 130), (500, 100 + 3 * index, 70))
        ]

    assert run() == run()


def test_reset_forgets_but_does_not_reuse_ids():
    stage = Stage()
    assert ids(stage.show((320, 180, 150))) == {1}
    stage.follower.reset()
    assert ids(stage.show((320, 180, 150))) == {2}
