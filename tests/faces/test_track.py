"""The box that callers see: steady on a still head, close to a moving one, never inverted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.faces.base import FaceDetection
from rtseg.faces.track import Track
from rtseg.frames import Box
from rtseg.geometry.crop import CROP_FACTOR, Crop

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
