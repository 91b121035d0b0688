"""The tiles in which a frame is searched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtseg.faces.tiles import tile_picture
from rtseg.frames import Box


@given(height=st.integers(1, 3000), width=st.integers(1, 3000))
def test_tiles_cover_the_frame_and_are_few(height, width):
    whole, tiles, fine = tile_picture(height, width, aspect=1.0, stretch=False)
    assert whole.box.width == pytest.approx(whole.box.height)
    assert whole.box.width == pytest.approx(max(height, width))
    assert len(tiles) <= 16
    assert len(fine) <= 64
    for x in np.linspace(0, width, 7):
        for y in np.linspace(0, height, 7):
            for level in (tiles, fine or tiles):
                assert any(
                    tile.box.left - 1e-6 <= x <= tile.box.right + 1e-6
                    and tile.box.top - 1e-6 <= y <= tile.box.bottom + 1e-6
                    for tile in level
                )


def test_a_wide_frame_has_three_square_tiles():
    _, tiles, fine = tile_picture(720, 1280, aspect=1.0, stretch=False)
    assert [(tile.box.left, tile.box.width, tile.box.height) for tile in tiles] == [
        (0, 720, 720),
        (280, 720, 720),
        (560, 720, 720),
    ]
    assert len(fine) == 8
    assert {tile.box.height for tile in fine} == {432}


def test_a_small_frame_is_not_cut_finer():
    assert tile_picture(240, 320, aspect=1.0, stretch=False).fine == ()


def test_stretching_takes_the_frame_as_it_is():
    whole = tile_picture(720, 1280, aspect=1.0, stretch=True).whole.box
    assert whole == Box(left=0, top=0, right=1280, bottom=720)
