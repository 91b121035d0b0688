"""Reading faces from label probabilities: their boxes, and what is no face."""

import cv2
import numpy as np
import pytest

from rtseg.faces.parsed_faces import (
    ParsedFace,
    distinct_parsed,
    faces_in_crop,
    nearest,
    parse_faces,
)
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around, wrapped
from rtseg.labels import HELEN
from tests.support.painted import PARTS, paint

REGION = Box(left=0, top=0, right=64, bottom=64)


def maps(labels, sure=0.9):
    values = np.full((*labels.shape, 11), (1 - sure) / 10, np.float32)
    np.put_along_axis(values, labels[..., None].astype(int), sure, 2)
    return values


def read(labels, region=REGION):
    return parse_faces(maps(labels), Crop(box=region), HELEN, min_cells=20, bridge=1)


def test_a_finger_does_not_split_a_face():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    labels[:, 31:33] = 0
    (face,) = read(labels)
    assert face.head.width == pytest.approx(50 * 0.76, abs=2.5)


def test_a_finger_across_does_not_split_a_face_into_two():
    """Both halves are as wide as a face, but neither has all of its parts."""
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    labels[36:38] = 0
    (face,) = read(labels)
    assert face.head.height == pytest.approx(50, abs=2.5)
    assert face.parts == 1


def test_a_face_of_few_cells_is_rejected_in_its_own_crop():
    """In its own crop a face is large; in a large picture the same few cells may be one."""
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 10)
    assert 10 < np.isin(labels, HELEN.face).sum() < 60
    crop = Crop(box=REGION)
    assert faces_in_crop(maps(labels), crop, HELEN) == []
    assert len(parse_faces(maps(labels), crop, HELEN, min_cells=5, bridge=0)) == 1
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 20)
    assert len(faces_in_crop(maps(labels), crop, HELEN)) == 1


def test_boxes_end_where_the_cells_do():
    labels = np.zeros((64, 64), np.uint8)
    labels[10:50, 20:44] = HELEN.skin[0] if HELEN.skin else 1
    labels[10:16, 20:44] = HELEN.hair[0]
    (face,) = read(labels)
    edges = (face.head.left, face.head.top, face.head.right, face.head.bottom)
    assert edges == pytest.approx((20, 10, 44, 50), abs=0.2)
    assert face.bounds == face.head
    edges = (face.face.left, face.face.right, face.face.bottom)
    assert edges == pytest.approx((20, 44, 50), abs=0.2)
    assert not face.is_cut


def test_two_touching_faces_stay_separate():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 20.5, 32, 34, parts=tuple(PARTS)[1:])
    paint(labels, 42.5, 32, 34, parts=tuple(PARTS)[1:])
    left, right = sorted(read(labels), key=lambda face: face.head.left)
    assert left.face.right < right.face.left


def test_touching_hair_is_divided():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 17, 32, 34)
    paint(labels, 47, 32, 34)
    labels[20:22, 8:56] = 10
    left, right = sorted(read(labels), key=lambda face: face.head.left)
    assert not (left.cells & right.cells).any()
    assert left.head.right <= right.head.left + 1.5


@pytest.mark.parametrize("vague", [(2, 3, 4, 5), (6, 7, 8, 9)], ids=["upper", "lower"])
def test_a_face_is_as_certain_as_its_less_certain_half(vague):
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    (whole,) = read(labels)
    assert whole.certain == pytest.approx(0.9, abs=0.03)
    values = maps(labels)
    doubtful = np.isin(labels, vague)
    values[doubtful] = 0.0
    values[doubtful, 1] = 0.7  # skin, most likely
    np.put_along_axis(values, np.where(doubtful, labels, 1)[..., None].astype(int), 0.3, 2)
    values[~doubtful] = maps(labels)[~doubtful]
    (face,) = parse_faces(values, Crop(box=REGION), HELEN, min_cells=20, bridge=1)
    assert face.certain == pytest.approx(0.3, abs=0.05)
    assert face.sure > 0.9


def test_coordinates_are_frame_pixels():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 40)
    region = Box(left=100, top=-50, right=100 + 256, bottom=-50 + 128)
    (in_map,), (in_frame,) = read(labels), read(labels, region)
    assert in_frame.head.left == pytest.approx(100 + 4 * in_map.head.left)
    assert in_frame.head.bottom == pytest.approx(-50 + 2 * in_map.head.bottom)


def test_parts_in_another_order_lower_the_score():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    (face,) = read(labels)
    assert face.parts == 1
    (upside_down,) = read(labels[::-1])
    assert upside_down.parts < 0.7
    scattered = labels.copy()
    scattered[labels == 6] = 1
    scattered[50:53, 18:24] = 6
    (odd,) = read(scattered)
    assert odd.parts < 0.7


@pytest.mark.parametrize("degrees", [-60, -30, 30, 60])
def test_a_tilted_head_is_a_face(degrees):
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    turned = cv2.warpAffine(
        labels,
        cv2.getRotationMatrix2D((31.5, 31.5), degrees, 1),
        (64, 64),
        flags=cv2.INTER_NEAREST,
    )
    (face,) = read(turned)
    assert face.parts == 1


def test_an_empty_map_has_no_face():
    assert read(np.zeros((64, 64), np.uint8)) == []


def test_face_parts_combine_left_and_right_and_the_mouth():
    assert HELEN.face_parts == ((2, 3), (4, 5), (6,), (7, 8, 9))
    assert set(PARTS) - {1, 10} == {part for group in HELEN.face_parts for part in group}


def turned(labels, degrees):
    """Rotate clockwise, as displayed."""
    middle = ((labels.shape[1] - 1) / 2, (labels.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(middle, -degrees, 1)
    return cv2.warpAffine(labels, matrix, labels.shape[::-1], flags=cv2.INTER_NEAREST)


@pytest.mark.parametrize("degrees", [-170, -90, -45, -12, 0, 30, 75, 120, 180])
def test_the_roll_is_estimated_from_eyes_and_mouth(degrees):
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    (face,) = read(turned(labels, degrees))
    assert abs(wrapped(face.roll_degrees - degrees)) < 4


@pytest.mark.parametrize("missing", [(4,), (5,), (4, 5), (7, 8, 9), (2, 3)])
def test_the_roll_is_known_with_some_parts_missing(missing):
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    labels[np.isin(labels, missing)] = 1
    (face,) = read(turned(labels, 40))
    assert abs(face.roll_degrees - 40) < 5


def test_the_roll_of_skin_alone_is_unknown():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50, parts=(1, 10))
    (face,) = read(labels)
    assert face.roll_degrees is None


def test_confused_left_and_right_do_not_turn_a_face_over():
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    swapped = np.arange(11, dtype=np.uint8)
    swapped[[4, 5]] = 5, 4
    (face,) = read(swapped[labels])
    assert abs(face.roll_degrees) < 3


@pytest.mark.parametrize("roll", [-60, 25, 90])
def test_a_rotated_crop_gives_the_heads_position_in_the_frame(roll):
    """A head that is upright in the crop is rotated in the frame, and keeps its size."""
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 36, 30, 40)
    crop = Crop(box=Box(left=100, top=-50, right=100 + 256, bottom=-50 + 256), roll_degrees=roll)
    (upright,) = read(labels)
    (face,) = parse_faces(maps(labels), crop, HELEN, min_cells=20, bridge=1)
    assert face.roll_degrees == pytest.approx(roll + upright.roll_degrees)
    assert face.head.height == pytest.approx(4 * upright.head.height)
    assert face.head.width == pytest.approx(4 * upright.head.width)
    x, y = upright.head.centre
    x, y = crop.to_frame(np.array(100 + 4 * x), np.array(-50 + 4 * y))
    assert face.head.centre == pytest.approx((x, y))
    # the upright rectangle around it, to within a cell
    rows, columns = np.nonzero(labels)
    x, y = crop.to_frame(100 + 4 * (columns + 0.5), -50 + 4 * (rows + 0.5))
    assert face.bounds.left == pytest.approx(x.min(), abs=4)
    assert face.bounds.bottom == pytest.approx(y.max(), abs=4)
    if abs(roll) == 90:
        assert face.bounds.width == pytest.approx(face.head.height, abs=8)


def test_eyes_that_lie_too_close_together_do_not_tell_the_roll():
    """One eye of which a few cells are labelled as the other one."""
    labels = np.zeros((64, 64), np.uint8)
    paint(labels, 32, 32, 50)
    labels[labels == 5] = 1
    rows, columns = np.nonzero(labels == 4)
    labels[rows.max() + 1, columns.min() : columns.max() + 1] = 5
    (face,) = read(labels)
    assert abs(face.roll_degrees) < 35


def edges(box):
    return box.left, box.top, box.right, box.bottom


def test_an_edge_is_where_the_probability_falls_to_one_half():
    """Cells are as sure as a mean over their area; each edge has its own pair of values."""
    sure = np.zeros((64, 64), np.float32)
    sure[10:50, 19] = 0.3
    sure[10:50, 44] = 0.4
    sure[9, 20:44] = 0.2
    sure[50, 20:44] = 0.1
    sure[10:50, 20:44] = 0.95
    sure[10:50, 20], sure[10:50, 43] = 0.9, 0.8
    sure[10, 20:44], sure[49, 20:44] = 0.7, 0.6
    values = np.zeros((64, 64, 11), np.float32)
    values[..., 1], values[..., 0] = sure, 1 - sure
    (face,) = parse_faces(values, Crop(box=REGION), HELEN, min_cells=20, bridge=0)
    assert edges(face.head) == pytest.approx(
        (
            20.5 - (0.9 - 0.5) / (0.9 - 0.3),
            10.5 - (0.7 - 0.5) / (0.7 - 0.2),
            43.5 + (0.8 - 0.5) / (0.8 - 0.4),
            49.5 + (0.6 - 0.5) / (0.6 - 0.1),
        )
    )


@pytest.mark.parametrize(
    ("rows", "columns", "is_cut"),
    [
        (slice(1, 63), slice(1, 63), False),
        (slice(0, 63), slice(1, 63), True),
        (slice(1, 64), slice(1, 63), True),
        (slice(1, 63), slice(0, 63), True),
        (slice(1, 63), slice(1, 64), True),
    ],
)
def test_a_head_is_cut_by_any_edge_that_it_touches(rows, columns, is_cut):
    labels = np.zeros((64, 64), np.uint8)
    labels[rows, columns] = 1
    (face,) = read(labels)
    assert face.is_cut is is_cut
    expected = columns.start, rows.start, columns.stop, rows.stop
    assert edges(face.head) == pytest.approx(expected, abs=0.1)


def test_the_bounds_of_a_rotated_head_include_all_of_its_cells():
    labels = np.zeros((64, 64), np.uint8)
    labels[10:50, 20:44] = 1
    labels[10:16, 20:44] = 10
    crop = Crop(box=Box(left=100, top=-50, right=356, bottom=206), roll_degrees=90)
    (face,) = parse_faces(maps(labels), crop, HELEN, min_cells=20, bridge=1)
    # 32 rows and columns to the middle (228, 78); downwards in the crop is to the left
    assert edges(face.bounds) == pytest.approx(
        (228 - 4 * 18, 78 - 4 * 12, 228 + 4 * 22, 78 + 4 * 12)
    )
    assert edges(face.face) == pytest.approx((228 - 4 * 18, 78 - 4 * 12, 228 + 4 * 16, 78 + 4 * 12))


def test_hair_that_does_not_touch_a_face_is_not_its_own():
    labels = np.zeros((64, 64), np.uint8)
    labels[24:50, 20:44] = 1
    labels[20:24, 20:44] = 10
    labels[12:16, 20:44] = 10
    (face,) = read(labels)
    assert face.head.top == pytest.approx(20, abs=0.2)


def test_faces_apart_in_one_crop_are_not_bridged():
    labels = np.zeros((64, 64), np.uint8)
    labels[20:44, 10:26] = labels[20:44, 34:50] = 1
    assert len(faces_in_crop(maps(labels), Crop(box=REGION), HELEN)) == 2


def face_at(x, *, sure=1.0, parts=1.0, is_cut=False, height=100.0):
    box = box_around(x, 0, 80, height)
    return ParsedFace(
        head=box,
        bounds=box,
        face=box,
        sure=sure,
        parts=parts,
        certain=1.0,
        roll_degrees=0.0,
        cells=np.ones((8, 8), bool),
        is_cut=is_cut,
    )


def test_missing_parts_lower_the_score_but_leave_some_promise():
    face = face_at(0, sure=0.8, parts=0.5)
    assert face.score == pytest.approx(0.4)
    assert face.promise == pytest.approx(0.8 * (0.4 + 0.3))
    assert face_at(0, sure=0.8, parts=0.0).promise == pytest.approx(0.32)


def test_of_one_face_in_several_places_whole_and_promising_ones_are_kept():
    cut, whole = face_at(0, is_cut=True), face_at(4, sure=0.6)
    better, other = face_at(8, sure=0.8), face_at(300, sure=0.7)
    assert distinct_parsed([cut, whole, better, other]) == [better, other]
    assert distinct_parsed([cut]) == [cut]


def test_the_nearest_face_continues_a_head_and_of_two_as_near_the_surer_one():
    head = box_around(0, 0, 80, 100)
    near, far = face_at(10), face_at(-40)
    assert nearest([far, near], head) is near
    assert nearest([near, far], head) is near
    unsure, sure = face_at(-20, sure=0.4), face_at(20, sure=0.9)
    assert nearest([unsure, sure], head) is sure
    assert nearest([sure, unsure], head) is sure
    # one that is a little farther away but much surer
    assert nearest([face_at(-16, sure=0.4), sure], head) is sure


@pytest.mark.parametrize("other", [face_at(80), face_at(0, parts=0.0), face_at(-75, sure=0.5)])
def test_what_is_far_away_or_no_face_continues_nothing(other):
    assert nearest([other], box_around(0, 0, 80, 100)) is None
