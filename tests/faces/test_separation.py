"""Which labels belong to which of the faces that a finder saw."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.scoring import Mask
from rtseg.faces.separation import REACH, separated
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from rtseg.labels import HELEN
from tests.support.painted import PARTS, paint

REGION = Crop(box=Box(left=0, top=0, right=400, bottom=240))
LEFT, RIGHT = box_around(120, 120, 100, 140), box_around(240, 120, 100, 140)


def cells(*boxes: Box) -> Mask:
    """A map of cells of four pixels in which boxes are labelled face."""
    face = np.zeros((60, 100), bool)
    for box in boxes:
        left, top, right, bottom = (round(edge / 4) for edge in box.xyxy)
        face[top:bottom, left:right] = True
    return face


def split(*faces: Mask, boxes: tuple[Box, ...] = (), doubtful: Box | None = None) -> list[Mask]:
    values = np.zeros((60, 100, len(HELEN)), np.float32)
    values[..., 1] = np.any(faces, axis=0)
    values[..., 0] = 1 - values[..., 1]
    return separated(faces, values, REGION, HELEN, boxes=boxes, doubtful=doubtful, min_cells=20)


def test_labels_that_grew_together_are_divided_between_two_boxes() -> None:
    bridge = Box(left=170, top=100, right=190, bottom=140)
    joined = cells(LEFT, bridge, RIGHT)
    pieces = split(joined, boxes=(LEFT, RIGHT))
    assert len(pieces) == 2
    first, second = sorted(pieces, key=lambda piece: int(np.flatnonzero(piece.any(0))[0]))
    assert np.flatnonzero(first.any(0)).max() + 1 == np.flatnonzero(second.any(0)).min() == 45
    np.testing.assert_array_equal(first | second, joined)


def test_without_boxes_and_where_no_box_is_labels_stay_as_they_are() -> None:
    joined = cells(LEFT, RIGHT)
    for boxes in ((), (box_around(350, 40, 60, 60),)):
        (piece,) = split(joined, boxes=boxes)
        np.testing.assert_array_equal(piece, joined)


def test_a_shoulder_beyond_the_box_is_left_out() -> None:
    shoulder = Box(left=80, top=190, right=330, bottom=236)
    (piece,) = split(cells(LEFT, shoulder), boxes=(LEFT,))
    rows, columns = np.flatnonzero(piece.any(1)), np.flatnonzero(piece.any(0))
    # a tenth of the half sizes beyond the box
    assert columns.max() <= (120 + 1.1 * 50) / 4
    assert rows.max() <= (120 + 1.1 * 70) / 4


@pytest.mark.parametrize("by", [0.8, 1.0, 0.98 * REACH])
def test_labels_of_about_the_boxs_size_are_not_cut(by: float) -> None:
    face = cells(box_around(120, 120, by * 100, by * 140))
    (piece,) = split(face, boxes=(LEFT,))
    np.testing.assert_array_equal(piece, face)


def test_a_doubtful_box_does_not_cut_its_face_but_keeps_it_apart() -> None:
    wide = Box(left=20, top=50, right=180, bottom=230)
    (piece,) = split(cells(wide), doubtful=LEFT)
    np.testing.assert_array_equal(piece, cells(wide))
    pieces = split(
        cells(wide, Box(left=180, top=50, right=290, bottom=190)), boxes=(RIGHT,), doubtful=LEFT
    )
    assert len(pieces) == 2
    assert pieces[0][:, 5].any()
    assert np.flatnonzero(pieces[0].any(0)).max() < 45


def test_what_no_box_reaches_is_another_face_only_if_it_shows_its_parts() -> None:
    headless = tuple(part for part in PARTS if part != 10)
    for parts, count in ((headless, 2), ((1,), 1)):
        labels = np.zeros((60, 100), np.uint8)
        labels[cells(LEFT)] = 1
        labels[28:32, 42:60] = 1
        paint(labels, 70, 30, 44, parts=parts)
        values = np.eye(len(HELEN), dtype=np.float32)[labels]
        pieces = separated([labels > 0], values, REGION, HELEN, boxes=(LEFT,), min_cells=20)
        assert len(pieces) == count


def test_a_rotated_crop_is_divided_in_the_picture() -> None:
    turned = Crop(box=box_around(200, 120, 400, 240), roll_degrees=180)
    joined = cells(LEFT, Box(left=170, top=100, right=190, bottom=140), RIGHT)
    values = np.zeros((60, 100, len(HELEN)), np.float32)
    pieces = separated(
        [joined[::-1, ::-1]], values, turned, HELEN, boxes=(LEFT, RIGHT), min_cells=20
    )
    assert sorted(np.count_nonzero(piece) for piece in pieces) == sorted(
        np.count_nonzero(piece) for piece in split(joined, boxes=(LEFT, RIGHT))
    )
