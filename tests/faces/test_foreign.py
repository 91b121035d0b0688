"""The cells of a crop that another person's head covers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtseg.faces.foreign import foreign_cells
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around

CELLS = 32
CROP = Crop(box=Box(left=0, top=0, right=128, bottom=128))  # four pixels a cell


def parsed(left: int, top: int, right: int, bottom: int, *, parts: float = 1.0) -> Any:
    cells = np.zeros((CELLS, CELLS), bool)
    cells[top:bottom, left:right] = True
    head = Box(left=4 * left, top=4 * top, right=4 * right, bottom=4 * bottom)
    return SimpleNamespace(cells=cells, head=head, parts=parts)


MINE = parsed(4, 4, 12, 14)


def foreign(
    *, heads: tuple[Crop, ...] = (), beside: tuple[Any, ...] = (), rows: int = CELLS
) -> Any:
    probabilities = np.zeros((rows, 2 * rows, 11), np.float32)
    return foreign_cells(CROP, MINE, heads=heads, beside=beside, probabilities=probabilities)


def test_without_others_nothing_is_foreign() -> None:
    assert foreign() is None
    assert foreign(beside=(MINE,)) is None
    assert foreign(heads=(Crop(box=box_around(500, 500, 40, 40)),)) is None


def test_another_head_covers_its_cells_and_one_more_on_each_side() -> None:
    expected = np.zeros((CELLS, CELLS), bool)
    expected[15:27, 19:29] = True
    other = Crop(box=Box(left=80, top=64, right=112, bottom=104))  # cells 20..28 and 16..26
    np.testing.assert_array_equal(foreign(heads=(other,)), expected)


def test_a_rotated_head_covers_the_cells_beneath_it() -> None:
    other = Crop(box=box_around(96, 80, 24, 48), roll_degrees=90)  # 48 wide and 24 high
    rows, columns = np.nonzero(foreign(heads=(other,)))
    assert (columns.min(), columns.max()) == (17, 30)
    assert (rows.min(), rows.max()) == (16, 23)


@pytest.mark.parametrize(
    ("other", "is_foreign"),
    [
        (parsed(18, 4, 26, 14), True),
        (parsed(18, 4, 26, 14, parts=0.5), False),  # hardly a face
        (parsed(7, 6, 14, 16), False),  # a part of the same head
        (parsed(4, 20, 12, 30), True),
    ],
)
def test_other_faces_in_the_crop_are_foreign(other: Any, is_foreign: bool) -> None:
    cells = foreign(beside=(other,))
    assert (cells is not None) is is_foreign
    if is_foreign:
        np.testing.assert_array_equal(cells, other.cells)


def test_the_face_itself_is_never_foreign() -> None:
    over_it = Crop(box=Box(left=32, top=16, right=80, bottom=56))
    cells = foreign(heads=(over_it,))
    assert cells.any()
    assert not (cells & MINE.cells).any()


def test_a_finer_map_gets_a_mask_of_its_own_size() -> None:
    other = Crop(box=Box(left=80, top=64, right=112, bottom=104))
    coarse, fine = foreign(heads=(other,)), foreign(heads=(other,), rows=2 * CELLS)
    assert fine.shape == (2 * CELLS, 2 * CELLS)
    np.testing.assert_array_equal(fine[::2, ::2], coarse)
    np.testing.assert_array_equal(fine[1::2, 1::2], coarse)
