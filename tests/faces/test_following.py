import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rtseg.faces import FaceFollower
from rtseg.faces.base import FaceDetection
from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.faces.schedule import Schedule
from rtseg.faces.track import planned_roll
from rtseg.frames import Box
from rtseg.geometry.crop import CROP_FACTOR, Crop, crop_side, wrapped
from rtseg.labels import HELEN
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, paint, scene

FPS = 30


class Stage:
    """Follows faces in painted pictures, frame after frame."""

    def __init__(self, *, height=360, width=640, input_side=128, stride=4, finder=None, **options):
        from rtseg.geometry.crop import cut

        self.size = height, width
        self.input_shape = (input_side, input_side, 3)
        self.backend = PaintedBackend(
            input_height=input_side, input_width=input_side, stride=stride
        )
        settings = FaceSettings(**options)
        self.follower = FaceFollower(
            HELEN,
            settings,
            finder=finder or ParsingFinder(HELEN, aspect=1.0),
            schedule=Schedule(every=settings.detect_every, aspect=1.0, stretch=False),
        )
        self.index = 0
        self.cut = cut

    def infer_crops(self, crops):
        pictures = np.zeros((len(crops), *self.input_shape), np.uint8)
        for picture, crop in zip(pictures, crops, strict=True):
            self.cut(self.image, crop, out=picture)
        return list(self.backend.infer(pictures)) if crops else []

    def show(self, *heads, image=None):
        self.image = scene(*self.size, *heads)[0] if image is None else image
        self.backend.batches.clear()
        faces = self.follower.step(self.image, self.infer_crops, seconds=self.index / FPS)
        self.index += 1
        return faces

    def show_still(self, *heads):
        self.image = scene(*self.size, *heads)[0]
        return self.follower.step(self.image, self.infer_crops, seconds=0.0, exhaustive=True)

    @property
    def looks(self):
        """The number of crops processed for the last frame."""
        return sum(self.backend.batches)


def at(face):
    x, y = face.head.centre
    return round(x), round(y)


def ids(faces):
    return {face.track_id for face in faces}


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
    assert stage.looks == 4  # the whole picture and three tiles, once
    for _ in range(20):
        assert stage.show() == ()
        assert stage.looks == 3  # the whole picture, a tile and a finer one


@pytest.mark.parametrize("parts", [(1,), (10,), (1, 10), (1, 4)])
def test_skin_without_a_face_in_it_is_no_face(parts):
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, 320, 180, 200, parts=parts)
    from tests.support.painted import COLOURS

    stage = Stage()
    for _ in range(5):
        assert stage.show(image=COLOURS[labels]) == ()
    # once examined, it is left alone for a while
    assert stage.looks == 3


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
        assert stage.looks == 1
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


def tilted(x, y, height, degrees, *, size=(360, 640)):
    """Make (image, labels) with one head, rotated clockwise about its centre."""
    labels = scene(*size, (x, y, height))[1]
    matrix = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), -degrees, 1)
    labels = cv2.warpAffine(labels, matrix, size[::-1], flags=cv2.INTER_NEAREST)
    return COLOURS[labels], labels


class TestRoll:
    @pytest.mark.parametrize("degrees", [-60, -30, 30, 60])
    def test_the_crop_of_a_tilted_head_is_rotated(self, degrees):
        stage = Stage()
        image, labels = tilted(320, 180, 150, degrees)
        for _ in range(4):
            (face,) = stage.show(image=image)
        assert face.crop.roll_degrees == pytest.approx(degrees, abs=6)
        rows, columns = np.nonzero(labels)
        assert face.head.left == pytest.approx(columns.min(), abs=6)
        assert face.head.right == pytest.approx(columns.max() + 1, abs=6)
        assert face.head.top == pytest.approx(rows.min(), abs=6)
        assert face.head.bottom == pytest.approx(rows.max() + 1, abs=6)
        assert face.crop.box.height == pytest.approx(CROP_FACTOR * 150, rel=0.1)

    @pytest.mark.parametrize("degrees", [-10, -5, 5, 10])
    def test_a_slightly_tilted_head_has_an_upright_crop(self, degrees):
        stage = Stage()
        for _ in range(5):
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            assert face.crop.is_upright

    def test_a_head_that_lies_down_and_gets_up_is_followed(self):
        stage = Stage(detect_every=1000)
        rolls = []
        for index in range(120):
            degrees = 90 * math.sin(math.pi * index / 119)
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            assert face.track_id == 1
            assert stage.looks == 1 or index == 0
            rolls.append(face.crop.roll_degrees - degrees)
        assert np.abs(rolls).max() < 22
        assert face.crop.is_upright

    def test_a_head_that_turns_right_round_is_followed(self):
        stage = Stage(detect_every=1000)
        for index in range(150):
            degrees = 3 * index
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            assert abs(wrapped(face.crop.roll_degrees - degrees)) < 22

    def test_a_trembling_head_does_not_rotate_the_crop(self):
        stage = Stage()
        crops = []
        for index in range(40):
            degrees = 30 + 2 * math.sin(index * 2.3)
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            crops.append(face.crop)
        assert len(set(crops[15:])) == 1

    @pytest.mark.parametrize("degrees", [-90, 90])
    def test_a_head_on_its_side_is_found(self, degrees):
        image, _ = tilted(320, 180, 150, degrees)
        stage = Stage()
        faces = [stage.show(image=image) for _ in range(6)]
        assert len(faces[-1]) == 1
        assert faces[-1][0].crop.roll_degrees == pytest.approx(degrees, abs=10)

    def test_cells_on_a_rotated_head_are_foreign_to_its_neighbour(self):
        left = tilted(240, 180, 180, 0)[1]
        right = tilted(400, 180, 140, 50)[1]
        labels = np.where(left > 0, left, right)
        stage = Stage()
        for _ in range(4):
            faces = stage.show(image=COLOURS[labels])
        assert len(faces) == 2
        upright = next(face for face in faces if face.crop.is_upright)
        assert upright.foreign is not None
        assert np.flatnonzero(upright.foreign.any(0)).min() > upright.foreign.shape[1] / 2

    def test_an_unknown_roll_leaves_the_crop_unchanged(self):
        crop = Crop(box=Box(left=0, top=0, right=10, bottom=10), roll_degrees=40)
        assert planned_roll(None, crop) == 40
        assert planned_roll(37, crop) == 40
        assert planned_roll(50, crop) == 50
        assert planned_roll(11, crop) == 11  # a slightly smaller angle keeps it rotated
        assert planned_roll(8, crop) == 0
        assert planned_roll(14, replace(crop, roll_degrees=0)) == 0
        assert planned_roll(16, replace(crop, roll_degrees=0)) == 16


def turned_away(x, y, height):
    """A head from behind, with hair everywhere."""
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, x, y, height)
    labels[labels > 0] = HELEN.hair[0]
    return COLOURS[labels]


class TestTurnedAway:
    def test_a_followed_head_that_turns_away_keeps_its_track(self):
        stage = Stage()
        for _ in range(4):
            (face,) = stage.show((320, 180, 150))
        for index in range(40):  # longer than the limit for an absence
            (away,) = stage.show(image=turned_away(320 + index, 180, 150))
            assert away.track_id == face.track_id
        assert at(away) == pytest.approx((359, 180), abs=8)
        assert away.face.centre[0] == pytest.approx(face.face.centre[0] + 39, abs=8)
        (back,) = stage.show((361, 180, 150))
        assert back.track_id == face.track_id

    def test_a_head_that_enters_from_behind_is_not_found(self):
        stage = Stage()
        for _ in range(6):
            assert stage.show(image=turned_away(320, 180, 150)) == ()

    def test_a_head_that_has_left_is_lost(self):
        stage = Stage()
        for _ in range(4):
            stage.show((320, 180, 150))
        for _ in range(4):
            assert len(stage.show(image=turned_away(320, 180, 150))) == 1
        assert stage.show() == ()
        # and hair that stays in place is not a head
        labels = np.zeros((360, 640), np.uint8)
        cv2.ellipse(labels, (320, 180), (14, 60), 0, 0, 360, HELEN.hair[0], -1)
        stage = Stage()
        for _ in range(4):
            stage.show((320, 180, 150))
        assert stage.show(image=COLOURS[labels]) == ()


class Suggests:
    """A finder that returns the same detections for every picture."""

    def __init__(self, *detections):
        self.found = list(detections)

    def __call__(self, picture, infer, *, regions, known=()):
        return self.found

    def reset(self):
        pass


def seen_at(x, y, score):
    return FaceDetection(box=Box(left=x - 45, top=y - 50, right=x + 45, bottom=y + 75), score=score)


def test_a_weak_candidate_is_accepted_if_the_labels_confirm_it():
    stage = Stage(finder=Suggests(seen_at(200, 180, 0.2), seen_at(440, 180, 0.9)))
    (face,) = stage.show_still((200, 180, 150))
    assert at(face) == pytest.approx((200, 180), abs=4)
    # however sure the finder is, no face is found where the labels show none
    assert Stage(finder=Suggests(seen_at(440, 180, 1.0))).show_still((200, 180, 150)) == ()


def test_faces_below_the_least_score_are_rejected():
    suggests = Suggests(seen_at(320, 180, 0.2))
    assert len(Stage(finder=suggests, min_score=0.5).show_still((320, 180, 150))) == 1
    assert Stage(finder=suggests, min_score=0.95).show_still((320, 180, 150)) == ()


def test_a_still_with_many_doubtful_places_has_a_bounded_cost():
    places = [seen_at(20 * x, 20 * y, 0.1) for x in range(30) for y in range(15)]
    stage = Stage(finder=Suggests(*places))
    assert stage.show_still() == ()
    # as many as can be followed plus eight, and the three best ones at three rotations
    assert stage.looks <= 12 + 9
