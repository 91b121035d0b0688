"""Decoding a finder network's maps into faces, and encoding faces as maps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.faces.centres import FACE_CENTRES, GROUPS, STRIDE, expected
from rtseg.faces.finder import (
    NetworkFinder,
    bounds_of,
    calibrated,
    head_around,
    read_centres,
)
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around

ROWS, COLUMNS = 28, 48
WHOLE = Crop(box=Box(left=0, top=0, right=COLUMNS * STRIDE, bottom=ROWS * STRIDE))


def shares(value, group):
    """Split a value between the two bins beside it."""
    count = len(group.values)
    position = (value - float(group.values[0])) / group.step
    position = position % count if group.period else min(max(position, 0), count - 1)
    low = int(position)
    bin_shares = np.zeros(count, np.float32)
    bin_shares[low] = 1 - (position - low)
    bin_shares[(low + 1) % count if group.period else min(low + 1, count - 1)] += position - low
    return bin_shares


def probabilities(*faces):
    """Make maps with one face per tuple (x, y, width, height, roll, score), in input pixels."""
    maps = np.zeros((ROWS, COLUMNS, len(FACE_CENTRES)), np.float32)
    maps[..., 0] = 1
    for x, y, width, height, roll, score in faces:
        row, column = int(y / STRIDE), int(x / STRIDE)
        values = (
            math.log2(math.sqrt(width * height)),
            math.log2(width / height),
            roll,
            x / STRIDE - column - 0.5,
            y / STRIDE - row - 0.5,
        )
        maps[row, column] = 0
        maps[row, column, 0] = 1 - score
        for value, group in zip(values, GROUPS, strict=True):
            maps[row, column, group.classes] = shares(value, group) * (score / len(GROUPS))
    return maps


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(20, 360),
    y=st.floats(20, 200),
    size=st.floats(8, 250),
    shape=st.floats(0.6, 1.1),
    roll=st.floats(-179, 179),
)
def test_an_encoded_face_is_decoded(x, y, size, shape, roll):
    width, height = size * math.sqrt(shape), size / math.sqrt(shape)
    (face,) = read_centres(probabilities((x, y, width, height, roll, 0.8)), WHOLE, min_score=0.5)
    assert face.score == pytest.approx(0.8, abs=1e-4)
    assert face.box.centre == pytest.approx((x, y), abs=0.2)
    assert (face.roll_degrees - roll + 180) % 360 == pytest.approx(180, abs=3)
    upright = height if abs(math.cos(math.radians(roll))) > 0.999 else None
    if upright:
        assert face.box.height == pytest.approx(upright, rel=0.03)
    # the head extends beyond the face, most at its top
    assert face.head.height > 1.3 * height
    up = math.sin(math.radians(roll)), -math.cos(math.radians(roll))
    moved = np.subtract(face.head.centre, face.box.centre)
    assert float(moved @ up) > 0


def test_boxes_from_a_tile_are_in_picture_pixels():
    tile = Crop(box=Box(left=100, top=50, right=100 + COLUMNS * 4, bottom=50 + ROWS * 4))
    maps = probabilities((200, 100, 30, 40, 0, 0.9))
    (face,) = read_centres(maps, tile, min_score=0.5)
    assert face.box.centre == pytest.approx((200, 100), abs=0.2)
    assert face.box.height == pytest.approx(20, rel=0.05)


def test_a_face_in_two_tiles_is_returned_once_with_the_higher_score():
    maps = {
        0.0: probabilities((200, 100, 30, 40, 0, 0.7)),
        40.0: probabilities((160, 100, 30, 40, 0, 0.9)),
    }
    regions = [
        Crop(box=Box(left=x, top=0, right=x + COLUMNS * STRIDE, bottom=ROWS * STRIDE)) for x in maps
    ]
    finder = NetworkFinder(min_score=0.5)
    detections = finder(
        np.zeros((224, 424, 3), np.uint8),
        lambda crops: [maps[crop.box.left] for crop in crops],
        regions=regions,
    )
    assert [round(face.score, 2) for face in detections] == [0.9]


def test_detections_below_the_threshold_or_outside_are_dropped():
    maps = probabilities((200, 100, 30, 40, 0, 0.7), (380, 10, 30, 40, 0, 0.9))
    finder = NetworkFinder(min_score=0.8)
    picture = np.zeros((224, 300, 3), np.uint8)
    assert finder(picture, lambda crops: [maps], regions=[WHOLE]) == []
    assert finder(picture, lambda crops: [], regions=[]) == []


def test_an_angle_near_half_a_turn_does_not_average_to_zero():
    roll = GROUPS[2]
    cells = np.zeros((1, len(FACE_CENTRES)), np.float32)
    cells[0, roll.classes] = shares(179.0, roll)
    assert abs(float(expected(cells, roll)[0])) == pytest.approx(179, abs=3)


def test_a_calibration_scales_and_shifts_the_logits():
    maps = probabilities((200, 100, 30, 40, 0, 0.7), (60, 60, 30, 40, 0, 0.4))
    one, other = read_centres(maps, WHOLE, min_score=0.05, calibration=(2.0, -1.0))
    assert one.score == pytest.approx(1 / (1 + math.exp(1 - 2 * math.log(0.7 / 0.3))), abs=1e-4)
    assert other.score == pytest.approx(1 / (1 + math.exp(1 - 2 * math.log(0.4 / 0.6))), abs=1e-4)
    # thresholds apply to calibrated scores
    assert len(read_centres(maps, WHOLE, min_score=0.5, calibration=(2.0, -1.0))) == 1
    finder = NetworkFinder(min_score=0.5, calibration=(2.0, -1.0))
    picture = np.zeros((224, 384, 3), np.uint8)
    assert len(finder(picture, lambda crops: [maps], regions=[WHOLE])) == 1


def test_the_classes_are_shown_in_shades_from_black_to_white():
    shades = FACE_CENTRES.colours
    assert shades[0] == (0, 0, 0)
    assert shades[-1] == (255, 255, 255)
    assert list(shades) == sorted(set(shades))


@pytest.mark.parametrize("stretch", [(8.0, 8.0), (4.0, 6.0)])
def test_the_box_of_an_upright_face_has_its_width_and_height(stretch):
    step_x, step_y = stretch  # pixels per cell
    tile = Crop(box=Box(left=100, top=50, right=100 + COLUMNS * step_x, bottom=50 + ROWS * step_y))
    maps = probabilities((200, 100, 60, 90, 0, 0.9))
    (face,) = read_centres(maps, tile, min_score=0.5)
    assert face.box.width == pytest.approx(60 * step_x / 8, rel=0.02)
    assert face.box.height == pytest.approx(90 * step_y / 8, rel=0.02)
    assert face.box.centre == pytest.approx((100 + 25 * step_x, 50 + 12.5 * step_y), abs=0.2)


@pytest.mark.parametrize(
    ("roll", "size"),
    [(0, (60, 90)), (90, (90, 60)), (180, (60, 90)), (45, (76.5, 76.5)), (30, (68.7, 83.5))],
)
def test_a_rotated_face_is_bounded_as_an_ellipse(roll, size):
    bounds = bounds_of(box_around(200, 100, 60, 90), roll)
    assert (bounds.width, bounds.height) == pytest.approx(size, abs=0.1)
    assert bounds.centre == pytest.approx((200, 100))


@pytest.mark.parametrize(
    ("roll", "moved"), [(0, (0, -12)), (90, (12, 0)), (180, (0, 12)), (-45, (-8.49, -8.49))]
)
def test_a_head_is_larger_than_its_face_and_its_middle_farther_up(roll, moved):
    head = head_around(box_around(200, 100, 60, 100), roll)
    assert (head.width, head.height) == pytest.approx((81, 145))
    assert head.centre == pytest.approx((200 + moved[0], 100 + moved[1]), abs=0.01)


def test_certain_cells_have_finite_scores():
    scores = calibrated(np.array([0.0, 0.5, 1.0], np.float32), (1.0, 0.0))
    assert scores == pytest.approx([0, 0.5, 1], abs=1e-5)
    assert 0 < scores[0] < scores[2] < 1


@pytest.mark.parametrize(
    ("x", "y", "is_kept"),
    [
        (2, 100, True),
        (-2, 100, False),
        (298, 100, True),
        (302, 100, False),
        (150, 2, True),
        (150, -2, False),
        (150, 198, True),
        (150, 202, False),
    ],
)
def test_a_face_counts_while_its_middle_is_in_the_picture(x, y, is_kept):
    region = Crop(box=Box(left=-42, top=-12, right=342, bottom=212))
    maps = probabilities((x + 42, y + 12, 30, 40, 0, 0.9))
    finder = NetworkFinder(min_score=0.5)
    picture = np.zeros((200, 300, 3), np.uint8)
    assert len(finder(picture, lambda crops: [maps], regions=[region])) == is_kept


def test_a_detection_of_exactly_the_least_score_is_kept():
    maps = probabilities((200, 100, 30, 40, 0, 0.7))
    (face,) = read_centres(maps, WHOLE, min_score=0.5)
    assert len(read_centres(maps, WHOLE, min_score=face.score)) == 1
    assert read_centres(maps, WHOLE, min_score=face.score + 1e-6) == []
