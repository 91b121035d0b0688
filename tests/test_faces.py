import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.crops import CROP_FACTOR, crop_side, regions
from rtseg.faces import FaceTracker
from rtseg.frames import Box
from rtseg.labels import HELEN
from rtseg.one_euro import OneEuro
from rtseg.settings import FaceSettings
from rtseg.sightings import part_groups, sightings
from tests.painted import PARTS, PaintedBackend, paint, scene

FPS = 30


class Stage:
    """A tracker over painted pictures, frame after frame."""

    def __init__(self, *, height=360, width=640, **options):
        from rtseg.crops import cut

        self.size = height, width
        self.backend = PaintedBackend(input_height=128, input_width=128)
        self.tracker = FaceTracker(HELEN, FaceSettings(**options))
        self.index = 0
        self.cut = cut

    def look(self, boxes):
        crops = np.zeros((len(boxes), 128, 128, 3), np.uint8)
        for crop, box in zip(crops, boxes, strict=True):
            self.cut(self.image, box, out=crop)
        return list(self.backend.infer(crops)) if boxes else []

    def show(self, *heads, image=None):
        self.image = scene(*self.size, *heads)[0] if image is None else image
        self.backend.batches.clear()
        faces = self.tracker.step(*self.size, self.look, seconds=self.index / FPS)
        self.index += 1
        return faces

    def show_still(self, *heads):
        self.image = scene(*self.size, *heads)[0]
        return self.tracker.step(*self.size, self.look, seconds=0.0, thorough=True)

    @property
    def looks(self):
        """How many crops the network saw for the last frame."""
        return sum(self.backend.batches)


def at(face):
    x, y = face.head.centre
    return round(x), round(y)


def ids(faces):
    return {face.track_id for face in faces}


@settings(max_examples=15, deadline=None)
@given(x=st.floats(60, 580), y=st.floats(60, 300), height=st.floats(50, 330))
def test_a_face_is_found_where_it_is(x, y, height):
    (face,) = Stage().show_still((x, y, height))
    drawn = scene(360, 640, (x, y, height))[1]
    rows, columns = np.nonzero(drawn)
    slack = 2 + 0.03 * height
    assert face.head.left == pytest.approx(columns.min(), abs=slack)
    assert face.head.right == pytest.approx(columns.max() + 1, abs=slack)
    assert face.head.top == pytest.approx(rows.min(), abs=slack)
    assert face.head.bottom == pytest.approx(rows.max() + 1, abs=slack)
    assert face.score > 0.8
    # and the crop is what a model trains on
    assert face.crop.height == pytest.approx(crop_side(face.head), rel=0.25)


def test_the_crop_is_so_many_heads_high():
    assert crop_side(Box(left=0, top=0, right=50, bottom=100)) == CROP_FACTOR * 100
    # a wide head still fits
    assert crop_side(Box(left=0, top=0, right=200, bottom=100)) >= 200


def test_no_face_no_track_and_a_bounded_cost():
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
    from tests.painted import COLOURS

    stage = Stage()
    for _ in range(5):
        assert stage.show(image=COLOURS[labels]) == ()
    # once looked at closely, it is left alone for a while
    assert stage.looks == 3


def test_the_tiniest_patterns_are_no_faces():
    assert len(Stage(height=720, width=720).show_still((360, 360, 58))) == 1
    assert Stage(height=720, width=720).show_still((360, 360, 26)) == ()


def test_half_a_face_at_the_edge_is_a_face():
    (face,) = Stage().show_still((5, 180, 160))
    assert face.head.left < 8


def test_two_faces_keep_their_ids_side_by_side():
    stage = Stage()
    first = stage.show((150, 180, 120), (480, 180, 140))
    for index in range(1, 30):
        faces = stage.show((150 + index, 180, 120), (480 - index, 180, 140))
        assert [face.track_id for face in faces] == [face.track_id for face in first]
    assert at(faces[0]) == pytest.approx((451, 180), abs=4)


def test_ids_stay_when_two_faces_pass_each_other():
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


def test_a_moving_face_is_followed_without_looking_around():
    stage = Stage(detect_every=1000)
    (face,) = stage.show((100, 180, 120))
    for index in range(1, 45):
        x, y = 100 + 10 * index, 180 + 40 * math.sin(index / 6)
        (face,) = stage.show((x, y, 120 - index))
        assert stage.looks == 1
        assert face.track_id == 1
        assert at(face) == pytest.approx((x, y), abs=5)
        # the head stays inside its crop
        assert face.crop.left < face.head.left
        assert face.crop.right > face.head.right


def test_the_crop_of_a_still_face_stands_still():
    stage = Stage()
    crops = []
    for index in range(40):
        jitter = 2 * math.sin(index * 2.3)
        (face,) = stage.show((320 + jitter, 180 - jitter, 150))
        crops.append(face.crop)
    assert len(set(crops[3:])) == 1


def test_a_small_face_that_appears_is_seen_when_its_tile_comes_round():
    stage = Stage()
    stage.show()
    seen = [len(stage.show((560, 180, 44))) for _ in range(3)]
    assert seen[-1] == 1
    assert stage.show((560, 180, 44))[0].head.height == pytest.approx(44, abs=4)


def test_a_second_face_is_noticed_within_the_period():
    stage = Stage(detect_every=6)
    stage.show((150, 180, 120))
    counts = [len(stage.show((150, 180, 120), (480, 180, 120))) for _ in range(7)]
    assert counts[0] == 1
    assert counts[-1] == 2


def test_a_face_too_small_for_the_whole_picture_is_noticed_beside_a_followed_one():
    stage = Stage(detect_every=3)
    assert len(stage.show((320, 180, 100))) == 1
    assert not Stage().show((380, 160, 34))
    counts = [len(stage.show((320, 180, 100), (380, 160, 34))) for _ in range(4)]
    assert counts[-1] == 2


def test_a_face_that_leaves_is_gone_at_once_and_its_return_within_half_a_second_is_noticed():
    stage = Stage()
    for _ in range(5):
        stage.show((320, 180, 150))
    for _ in range(10):
        assert stage.show() == ()
    (face,) = stage.show((360, 190, 150))
    assert face.track_id == 1


def test_a_face_that_comes_back_elsewhere_keeps_its_id():
    stage = Stage(width=800)
    for _ in range(5):
        stage.show((320, 180, 150))
    for _ in range(8):
        assert stage.show() == ()
    faces = [stage.show((500, 180, 150)) for _ in range(3)]
    assert ids(faces[-1]) == {1}


def test_after_a_longer_absence_it_is_another():
    stage = Stage()
    stage.show((320, 180, 150))
    for _ in range(30):
        stage.show()
    (face,) = stage.show((320, 180, 150))
    assert face.track_id == 2


def test_no_more_faces_than_asked_for():
    heads = [(100, 180, 90), (260, 180, 110), (420, 180, 130), (560, 180, 100)]
    stage = Stage(max_faces=2)
    for _ in range(12):
        assert len(stage.show(*heads)) <= 2
    assert len(stage.show(*heads)) == 2
    assert len(Stage(max_faces=4).show_still(*heads)) == 4
    assert len(Stage(max_faces=2).show_still(*heads)) == 2


def test_duplicates_are_merged():
    """Two tracks that end up on one face become one, the older."""
    stage = Stage()
    stage.show((200, 180, 120), (440, 180, 120))
    for index in range(1, 13):
        faces = stage.show((200 + 10 * index, 180, 120), (440 - 10 * index, 180, 120))
    assert len(faces) == 1
    assert faces[0].track_id in (1, 2)
    for _ in range(20):
        assert len(stage.show((320, 180, 120))) == 1


def test_a_neighbour_in_the_crop_is_foreign():
    stage = Stage(height=480)
    faces = stage.show_still((260, 240, 200), (420, 240, 160))
    assert len(faces) == 2
    large = faces[0]
    assert large.foreign is not None
    columns = np.flatnonzero(large.foreign.any(0))
    assert columns.min() > large.foreign.shape[1] / 2  # the neighbour sits on the right


def test_the_same_input_gives_the_same_tracks_twice():
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
    stage.tracker.reset()
    assert ids(stage.show((320, 180, 150))) == {2}


class TestRegions:
    @given(height=st.integers(1, 3000), width=st.integers(1, 3000))
    def test_tiles_cover_the_frame_and_are_few(self, height, width):
        whole, tiles, fine = regions(height, width, aspect=1.0, stretch=False)
        assert whole.width == pytest.approx(whole.height)
        assert whole.width == pytest.approx(max(height, width))
        assert len(tiles) <= 16
        assert len(fine) <= 64
        for x in np.linspace(0, width, 7):
            for y in np.linspace(0, height, 7):
                for level in (tiles, fine or tiles):
                    assert any(
                        tile.left - 1e-6 <= x <= tile.right + 1e-6
                        and tile.top - 1e-6 <= y <= tile.bottom + 1e-6
                        for tile in level
                    )

    def test_a_wide_frame_has_three_square_tiles(self):
        _, tiles, fine = regions(720, 1280, aspect=1.0, stretch=False)
        assert [(tile.left, tile.width, tile.height) for tile in tiles] == [
            (0, 720, 720),
            (280, 720, 720),
            (560, 720, 720),
        ]
        assert len(fine) == 15
        assert {tile.height for tile in fine} == {360}

    def test_a_small_frame_is_not_cut_finer(self):
        assert regions(240, 320, aspect=1.0, stretch=False).fine == ()

    def test_stretching_takes_the_frame_as_it_is(self):
        whole = regions(720, 1280, aspect=1.0, stretch=True).whole
        assert whole == Box(left=0, top=0, right=1280, bottom=720)


class TestOneEuro:
    def test_it_is_steady_at_rest_and_quick_in_motion(self):
        rng = np.random.default_rng(0)
        still, quick = OneEuro(), OneEuro()
        rest = [still(0.01 * noise, 1 / 30) for noise in rng.normal(size=300)]
        assert np.std(rest[50:]) < 0.006
        for index in range(60):
            followed = quick(index / 30, 1 / 30)
        assert followed == pytest.approx(59 / 30, abs=0.03)

    def test_the_first_value_passes(self):
        assert OneEuro()(5.0, 1 / 30) == 5.0

    def test_a_step_twice_as_long_counts_twice(self):
        once, twice = OneEuro(beta=0), OneEuro(beta=0)
        once(0.0, 0.01)
        twice(0.0, 0.01)
        for _ in range(20):
            slow = once(1.0, 0.02)
        for _ in range(40):
            fast = twice(1.0, 0.01)
        assert slow == pytest.approx(fast, abs=0.02)

    def test_size_does_not_matter(self):
        small, large = OneEuro(), OneEuro()
        values = np.cumsum(np.random.default_rng(1).normal(size=50))
        for value in values:
            low = small(value, 1 / 30, unit=2.0)
            high = large(10 * value, 1 / 30, unit=20.0)
        assert high == pytest.approx(10 * low)


class TestSightings:
    REGION = Box(left=0, top=0, right=64, bottom=64)

    def maps(self, labels, sure=0.9):
        values = np.full((*labels.shape, 11), (1 - sure) / 10, np.float32)
        np.put_along_axis(values, labels[..., None].astype(int), sure, 2)
        return values

    def read(self, labels, region=REGION):
        return sightings(self.maps(labels), region, HELEN, min_cells=20, bridge=1)

    def test_a_finger_across_does_not_split_a_face(self):
        labels = np.zeros((64, 64), np.uint8)
        paint(labels, 32, 32, 50)
        labels[:, 31:33] = 0
        (face,) = self.read(labels)
        assert face.head.width == pytest.approx(50 * 0.76, abs=2.5)

    def test_two_whole_faces_cheek_by_cheek_are_two(self):
        labels = np.zeros((64, 64), np.uint8)
        paint(labels, 20.5, 32, 34, parts=tuple(PARTS)[1:])
        paint(labels, 42.5, 32, 34, parts=tuple(PARTS)[1:])
        left, right = sorted(self.read(labels), key=lambda seen: seen.head.left)
        assert left.face.right < right.face.left

    def test_touching_hair_is_shared_out(self):
        labels = np.zeros((64, 64), np.uint8)
        paint(labels, 17, 32, 34)
        paint(labels, 47, 32, 34)
        labels[20:22, 8:56] = 10
        left, right = sorted(self.read(labels), key=lambda seen: seen.head.left)
        assert not (left.cells & right.cells).any()
        assert left.head.right <= right.head.left + 1.5

    def test_coordinates_are_the_frames(self):
        labels = np.zeros((64, 64), np.uint8)
        paint(labels, 32, 32, 40)
        region = Box(left=100, top=-50, right=100 + 256, bottom=-50 + 128)
        (here,), (there,) = self.read(labels), self.read(labels, region)
        assert there.head.left == pytest.approx(100 + 4 * here.head.left)
        assert there.head.bottom == pytest.approx(-50 + 2 * here.head.bottom)

    def test_parts_in_another_order_are_less_of_a_face(self):
        labels = np.zeros((64, 64), np.uint8)
        paint(labels, 32, 32, 50)
        (face,) = self.read(labels)
        assert face.parts == 1
        (upside_down,) = self.read(labels[::-1])
        assert upside_down.parts < 0.7
        scattered = labels.copy()
        scattered[labels == 6] = 1
        scattered[50:53, 18:24] = 6
        (odd,) = self.read(scattered)
        assert odd.parts < 0.7

    @pytest.mark.parametrize("degrees", [-60, -30, 30, 60])
    def test_a_tilted_head_is_a_face(self, degrees):
        import cv2

        labels = np.zeros((64, 64), np.uint8)
        paint(labels, 32, 32, 50)
        turned = cv2.warpAffine(
            labels,
            cv2.getRotationMatrix2D((31.5, 31.5), degrees, 1),
            (64, 64),
            flags=cv2.INTER_NEAREST,
        )
        (face,) = self.read(turned)
        assert face.parts == 1

    def test_nothing(self):
        assert self.read(np.zeros((64, 64), np.uint8)) == []

    def test_groups_join_left_and_right_and_the_mouth(self):
        assert part_groups(HELEN) == ((2, 3), (4, 5), (6,), (7, 8, 9))
        assert set(PARTS) - {1, 10} == {part for group in part_groups(HELEN) for part in group}
