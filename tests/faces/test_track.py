"""The box that callers see: steady on a still head, close to a moving one, never inverted."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.faces.base import FaceDetection
from rtseg.faces.track import Track, gap, may_be_same, planned_roll
from rtseg.frames import Box
from rtseg.geometry.crop import CROP_FACTOR, Crop, box_around, wrapped

STEP = 1 / 30


def detection(box: Box) -> FaceDetection:
    return FaceDetection(box=box, head=box, bounds=box, score=1.0, roll_degrees=0.0)


def followed(boxes: list[Box], *, step: float = STEP) -> list[Box]:
    track = Track(track_id=1, head=boxes[0], crop=Crop(box=boxes[0]), score=1.0, seen_seconds=0.0)
    bounds = []
    for index, box in enumerate(boxes):
        track.follow(detection(box), seconds=(index + 1) * step, aspect=1.0)
        bounds.append(track.bounds)
    return bounds


def test_the_first_box_is_not_filtered():
    box = Box(left=10, top=20, right=110, bottom=170)
    assert followed([box]) == [box]


def test_a_lock_of_hair_moves_the_box_little():
    rng = np.random.default_rng(3)
    rights = 300 + 12 * (rng.random(90) < 0.3)
    boxes = [Box(left=100, top=50, right=float(right), bottom=300) for right in rights]
    steadied = np.array([box.right for box in followed(boxes)])[10:]
    assert steadied.std() < 0.5 * rights.std()
    assert np.abs(np.diff(steadied)).mean() < 0.4 * np.abs(np.diff(rights)).mean()
    assert {box.left for box in followed(boxes)} == {100}


@pytest.mark.parametrize("heights_a_second", [0.5, 2.0])
def test_the_box_of_a_moving_head_keeps_up(heights_a_second: float):
    speed = heights_a_second * 200 * STEP  # pixels per frame
    boxes = [
        Box(left=speed * index, top=0, right=150 + speed * index, bottom=200) for index in range(40)
    ]
    behind = boxes[-1].left - followed(boxes)[-1].left
    assert 0 <= behind < 0.1 * 150


edges = st.floats(-500, 2500, allow_nan=False)
sizes = st.floats(8, 900)


@settings(deadline=None)
@given(st.lists(st.tuples(edges, edges, sizes, sizes), min_size=1, max_size=20))
def test_the_box_is_never_inside_out(places: list[tuple[float, float, float, float]]):
    boxes = [
        Box(left=x, top=y, right=x + width, bottom=y + height) for x, y, width, height in places
    ]
    for box in followed(boxes):  # an inverted box would raise an error
        assert box.width > 0
        assert box.height > 0


def test_the_crop_of_a_still_head_stays_and_that_of_another_follows():
    head = Box(left=100, top=100, right=200, bottom=240)
    track = Track(track_id=1, head=head, crop=Crop(box=head), score=1.0, seen_seconds=0.0)
    track.follow(detection(head), seconds=STEP, aspect=1.0)
    crop = track.crop
    assert crop.box.height == pytest.approx(CROP_FACTOR * 140, abs=4)
    for index, nudge in enumerate((2.0, -3.0, 1.0, 3.0)):
        moved = Box(left=100 + nudge, top=100, right=200 + nudge, bottom=240 + nudge)
        track.follow(detection(moved), seconds=(index + 2) * STEP, aspect=1.0)
        assert track.crop is crop
    grown = Box(left=85, top=80, right=215, bottom=260)  # about the same centre
    for index in range(20):
        track.follow(detection(grown), seconds=(index + 6) * STEP, aspect=1.0)
    assert track.crop.box.height == pytest.approx(CROP_FACTOR * 180, rel=0.1)
    far = Box(left=285, top=80, right=415, bottom=260)
    for index in range(20):
        track.follow(detection(far), seconds=(index + 26) * STEP, aspect=1.0)
    assert track.crop.box.centre == pytest.approx((350, 170), abs=12)


def made(head: Box, *, seconds: float = 0.0) -> Track:
    return Track(track_id=1, head=head, crop=Crop(box=head), score=1.0, seen_seconds=seconds)


HEAD = Box(left=100, top=100, right=200, bottom=240)


def test_a_track_is_present_from_its_beginning_and_wherever_it_is_found() -> None:
    track = made(HEAD)
    assert track.is_present
    track.is_present = False
    track.follow(detection(HEAD), seconds=STEP, aspect=1.0)
    assert track.is_present
    assert track.seen_seconds == STEP


def test_a_detection_without_head_or_bounds_is_followed_by_its_box() -> None:
    track = made(HEAD)
    box = Box(left=90, top=90, right=190, bottom=220)
    track.follow(FaceDetection(box=box, score=1.0), seconds=STEP, aspect=1.0)
    assert track.head == track.bounds == track.face == track.seen_face == box


def test_head_bounds_and_face_are_kept_apart() -> None:
    track = made(HEAD)
    face, bounds = (
        Box(left=110, top=140, right=190, bottom=230),
        Box(left=80, top=90, right=220, bottom=240),
    )
    track.follow(
        FaceDetection(box=face, head=HEAD, bounds=bounds, score=0.7), seconds=STEP, aspect=1.0
    )
    assert (track.head, track.bounds, track.face) == (HEAD, bounds, face)
    assert track.score == 0.7


def test_the_proportion_of_a_covered_face_is_remembered() -> None:
    track = made(HEAD)
    for proportion, known in ((None, None), (1.4, 1.4), (None, 1.4), (1.3, 1.3)):
        track.follow(
            FaceDetection(box=HEAD, score=1.0, proportion=proportion), seconds=STEP, aspect=1.0
        )
        assert track.proportion == known


def test_without_a_later_time_a_usual_frame_is_assumed_to_have_passed() -> None:
    usual, same = made(HEAD, seconds=5.0), made(HEAD, seconds=5.0)
    for index, x in enumerate((0, 10, 30, 25, 60)):
        box = Box(left=100 + x, top=100, right=200 + x, bottom=240)
        usual.follow(detection(box), seconds=5.0 + (index + 1) / 30, aspect=1.0)
        same.follow(detection(box), seconds=5.0, aspect=1.0)
        assert same.bounds.xyxy == pytest.approx(usual.bounds.xyxy)


def rolled(degrees: float) -> FaceDetection:
    return FaceDetection(box=HEAD, head=HEAD, bounds=HEAD, score=1.0, roll_degrees=degrees)


def test_the_crop_follows_a_head_that_turns_past_half_a_turn() -> None:
    track = made(HEAD)
    for index in range(90):
        degrees = 3.0 * index
        track.follow(rolled(wrapped(degrees)), seconds=(index + 1) * STEP, aspect=1.0)
        assert abs(wrapped(track.crop.roll_degrees - degrees)) < 25
    for index in range(90, 110):  # it stays like this, and its roll is not always known
        still = rolled(wrapped(267)) if index % 2 else FaceDetection(box=HEAD, score=1.0)
        track.follow(still, seconds=(index + 1) * STEP, aspect=1.0)
    assert track.crop.roll_degrees == pytest.approx(-93, abs=6)


def test_a_trembling_head_does_not_rotate_the_crop() -> None:
    track = made(HEAD)
    crops = set()
    for index in range(60):
        track.follow(rolled(40.0 + 2 * (-1) ** index), seconds=(index + 1) * STEP, aspect=1.0)
        if index > 20:
            crops.add(track.crop)
    assert len(crops) == 1
    assert crops.pop().roll_degrees == pytest.approx(40, abs=5)


def test_slight_tilts_leave_a_crop_upright_and_larger_ones_do_not() -> None:
    for degrees, is_upright in ((-13.0, True), (13.0, True), (-18.0, False), (18.0, False)):
        track = made(HEAD)
        for index in range(30):
            track.follow(rolled(degrees), seconds=(index + 1) * STEP, aspect=1.0)
        assert track.crop.is_upright is is_upright


def test_the_next_rolls_of_crops_of_either_sign() -> None:
    upright, left = Crop(box=HEAD), Crop(box=HEAD, roll_degrees=-40.0)
    assert planned_roll(None, left) == -40
    assert planned_roll(-37, left) == -40
    assert planned_roll(37, left) == 37
    assert planned_roll(-50, left) == -50
    assert planned_roll(-14, upright) == 0
    assert planned_roll(-14, left) == -14
    assert planned_roll(-178, replace(left, roll_degrees=179.0)) == 179


def test_the_gap_of_two_heads_is_in_heights_of_the_larger_one() -> None:
    assert gap(HEAD, HEAD) == 0
    for x, y in ((84, 0), (0, -84), (-84, 0)):
        left, top = 100 + x, 100 + y
        assert gap(HEAD, Box(left=left, top=top, right=left + 100, bottom=top + 140)) == (
            pytest.approx(0.6)
        )
    small = Box(left=184, top=135, right=284, bottom=205)
    assert gap(HEAD, small) == gap(small, HEAD) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("x", "height", "expected"),
    [
        (0, 140, True),
        (200, 140, True),
        (220, 140, False),
        (0, 270, True),
        (0, 290, False),
        (0, 75, True),
        (0, 65, False),
        (220, 290, False),
        (300, 65, False),
    ],
)
def test_a_lost_face_may_have_moved_and_changed_its_size_a_little(
    x: float, height: float, expected: bool
) -> None:
    later = box_around(150 + x, 170, 100, height)
    assert may_be_same(HEAD, later) is expected


def followed_crops(heads: Callable[[int, Crop], tuple[Box, Box]], *, frames: int) -> list[Crop]:
    """The crop after each frame, given the (face, head) that each crop shows."""
    track = made(HEAD)
    crops = []
    for index in range(frames):
        face, head = heads(index, track.crop)
        track.follow(
            FaceDetection(box=face, head=head, bounds=head, score=1.0, roll_degrees=0.0),
            seconds=(index + 1) * STEP,
            aspect=1.0,
        )
        crops.append(track.crop)
    return crops


FACE = Box(left=110, top=130, right=190, bottom=230)


def test_a_crop_that_shows_less_hair_the_larger_it_is_soon_stays_as_it_is() -> None:
    shorter = Box(left=100, top=100, right=200, bottom=215)

    def heads(_index: int, crop: Crop) -> tuple[Box, Box]:
        return FACE, shorter if crop.box.height > 165 else HEAD

    crops = followed_crops(heads, frames=600)  # twenty seconds
    changed = [index for index in range(1, 600) if crops[index] != crops[index - 1]]
    assert 2 <= len(changed) <= 14
    assert sum(index >= 300 for index in changed) <= 5


def test_a_crop_follows_hair_that_has_really_changed() -> None:
    """Such as when a hat is taken off, while the face keeps still."""
    taller = Box(left=90, top=40, right=210, bottom=240)

    def heads(index: int, _crop: Crop) -> tuple[Box, Box]:
        return FACE, taller if index // 90 % 2 else HEAD

    crops = followed_crops(heads, frames=360)
    for index, head in ((89, HEAD), (179, taller), (269, HEAD), (359, taller)):
        assert crops[index].box.height == pytest.approx(CROP_FACTOR * head.height, rel=0.12)


def test_a_crop_that_has_waited_often_still_follows_hair_within_seconds() -> None:
    shorter = Box(left=100, top=100, right=200, bottom=215)
    taller = Box(left=90, top=40, right=210, bottom=240)

    def heads(index: int, crop: Crop) -> tuple[Box, Box]:
        if index >= 600:
            return FACE, taller
        return FACE, shorter if crop.box.height > 165 else HEAD

    crops = followed_crops(heads, frames=675)
    assert crops[-1].box.height == pytest.approx(CROP_FACTOR * 200, rel=0.12)


@pytest.mark.parametrize("way", [(1, 0), (0, -1), (-0.7, 0.7)])
def test_a_crop_that_has_waited_for_hair_does_not_wait_for_the_face(way: tuple[float, float]):
    shorter = Box(left=100, top=100, right=200, bottom=215)

    def heads(index: int, crop: Crop) -> tuple[Box, Box]:
        head = shorter if crop.box.height > 165 else HEAD
        by = max(0, index - 300)
        return shifted(FACE, by, way), shifted(head, by, way)

    crops = followed_crops(heads, frames=360)
    for index in range(300, 360):
        x, y = crops[index].box.centre
        centre = (150 + way[0] * (index - 300), 164 + way[1] * (index - 300))
        assert max(abs(x - centre[0]), abs(y - centre[1])) < 0.12 * crops[index].box.height


def test_a_crop_that_has_waited_for_hair_does_not_wait_for_a_face_that_grows() -> None:
    def heads(index: int, crop: Crop) -> tuple[Box, Box]:
        head = Box(left=100, top=100, right=200, bottom=215 if crop.box.height > 165 else 240)
        return (FACE, head) if index < 300 else (scaled(FACE), scaled(head))

    crops = followed_crops(heads, frames=330)
    assert crops[-1].box.height == pytest.approx(CROP_FACTOR * 1.6 * 115, rel=0.12)


def shifted(box: Box, by: float, way: tuple[float, float]) -> Box:
    x, y = by * way[0], by * way[1]
    return Box(left=box.left + x, top=box.top + y, right=box.right + x, bottom=box.bottom + y)


def scaled(box: Box) -> Box:
    return box_around(*box.centre, 1.6 * box.width, 1.6 * box.height)
