"""Which cells belong to which face, and which hair to which head."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.components import connected_to, face_masks, hair_of
from rtseg.labels import HELEN
from tests.support.painted import PARTS, paint

HEADLESS = tuple(part for part in PARTS if part != 10)


def masks(labels: np.ndarray, *, min_cells: int = 5, bridge: int = 1) -> list[np.ndarray]:
    values = np.eye(len(HELEN), dtype=np.float32)[labels]
    face = np.isin(labels, HELEN.face)
    return face_masks(face, values, HELEN, min_cells=min_cells, bridge=bridge)


def two_pieces(gap: int) -> np.ndarray:
    labels = np.zeros((32, 32), np.uint8)
    labels[8:20, 4:10] = labels[8:20, 10 + gap : 16 + gap] = 1
    return labels


@pytest.mark.parametrize("bridge", [0, 1, 2])
@pytest.mark.parametrize("beyond", [0, 1])
def test_gaps_up_to_twice_the_bridge_are_bridged(bridge: int, beyond: int) -> None:
    pieces = masks(two_pieces(2 * bridge + beyond), bridge=bridge)
    assert len(pieces) == 1 + beyond
    assert sum(np.count_nonzero(piece) for piece in pieces) == 2 * 12 * 6


@pytest.mark.parametrize("bridge", [0, 1])
def test_a_face_of_the_fewest_cells_is_one(bridge: int) -> None:
    labels = np.zeros((16, 16), np.uint8)
    labels[4:7, 4:8] = 1
    assert len(masks(labels, min_cells=12, bridge=bridge)) == 1
    assert masks(labels, min_cells=13, bridge=bridge) == []
    labels[12:14, 12:14] = 1
    assert len(masks(labels, min_cells=12, bridge=bridge)) == 1


def side_by_side() -> np.ndarray:
    """Two whole faces, the left one larger, with a gap of two cells."""
    labels = np.zeros((64, 96), np.uint8)
    paint(labels, 30, 32, 50, parts=HEADLESS)
    paint(labels, 60.5, 32, 44, parts=HEADLESS)
    labels[:, 45:47] = 0
    return labels


def test_two_whole_faces_beside_each_other_are_two_down_to_the_fewest_cells() -> None:
    labels = side_by_side()
    large, small = masks(labels)
    np.testing.assert_array_equal(large | small, labels > 0)
    assert np.flatnonzero(large.any(0)).max() < 45 < np.flatnonzero(small.any(0)).min()
    least = np.count_nonzero(small)
    assert np.count_nonzero(large) > least
    assert len(masks(labels, min_cells=least)) == 2
    assert len(masks(labels, min_cells=least + 1)) == 1


def test_what_a_finger_cuts_off_one_of_two_faces_stays_with_the_nearer_one() -> None:
    labels = side_by_side()
    labels[48] = 0  # above both chins
    left, right = masks(labels)
    np.testing.assert_array_equal(left | right, labels > 0)
    assert not (left & right).any()
    for mask, columns in ((left, slice(0, 45)), (right, slice(47, 96))):
        assert mask[49:, columns].any()
        np.testing.assert_array_equal(mask[:, columns], labels[:, columns] > 0)


def hair_around(
    index: int, *boxes: tuple[int, int, int, int], size: tuple[int, int] = (80, 80)
) -> np.ndarray:
    """The hair of one of several faces, in a picture full of hair around them."""
    faces = []
    for left, top, right, bottom in boxes:
        faces.append(np.zeros(size, bool))
        faces[-1][top:bottom, left:right] = True
    hair = ~np.any(faces, axis=0)
    rivals = [*boxes[:index], *boxes[index + 1 :]]
    return hair_of(faces[index], hair, np.ones(size, np.int32), rivals)


def test_hair_counts_up_to_nine_tenths_of_the_faces_height_around_it() -> None:
    expected = np.zeros((80, 80), bool)
    expected[30 - 11 : 40 + 11, 32 - 11 : 40 + 11] = True
    expected[30:40, 32:40] = False
    np.testing.assert_array_equal(hair_around(0, (32, 30, 40, 40)), expected)
    # at the picture's edge there is less of it
    near_edge = hair_around(0, (5, 3, 13, 13))
    rows, columns = np.flatnonzero(near_edge.any(1)), np.flatnonzero(near_edge.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (0, 23, 0, 23)


def test_hair_belongs_to_the_face_that_is_nearer_for_its_height() -> None:
    boxes = (14, 30, 22, 40), (36, 22, 54, 46)
    hair = hair_around(0, *boxes), hair_around(1, *boxes)
    rows, columns = np.mgrid[:80, :80] + 0.5
    near = [
        np.hypot(columns - (left + right) / 2, rows - (top + bottom) / 2) / (bottom - top)
        for left, top, right, bottom in boxes
    ]
    between = np.zeros((80, 80), bool)
    between[26:44, 23:35] = True  # within reach of both
    np.testing.assert_array_equal(hair[0][between], (near[0] <= near[1])[between])
    np.testing.assert_array_equal(hair[1][between], (near[1] <= near[0])[between])


def test_hair_as_near_to_one_face_as_to_the_other_is_not_lost() -> None:
    boxes = (20, 30, 28, 40), (35, 30, 43, 40)
    hair = hair_around(0, *boxes), hair_around(1, *boxes)
    assert (hair[0] | hair[1])[20:50, 28:35].all()


def test_hair_apart_from_a_face_is_not_its_own() -> None:
    face, hair, heads = np.zeros((3, 20, 20), np.int32)
    face[8:14, 8:14] = 1
    hair[5:8, 8:14] = hair[8:14, 16:18] = 1
    heads[5:14, 8:14], heads[8:14, 16:18] = 1, 2
    own = hair_of(face > 0, hair > 0, heads, [])
    np.testing.assert_array_equal(own, (hair > 0) & (heads == 1))


@pytest.mark.parametrize(("connectivity", "pieces"), [(4, "a"), (8, "ab")])
def test_cells_are_connected_to_a_seed_along_sides_or_also_corners(
    connectivity: int, pieces: str
) -> None:
    picture = np.array([list("aa..s"), list("aa..."), list("..bbb"), list("....."), list("ccc..")])
    seeds = np.zeros(picture.shape, bool)
    seeds[0, 0] = seeds[0, 4] = True  # the second one is not among the cells
    cells = np.isin(picture, list("abc"))
    connected = connected_to(seeds, cells, connectivity=connectivity)
    np.testing.assert_array_equal(connected, np.isin(picture, list(pieces)))
