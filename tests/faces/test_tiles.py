"""The tiles in which a frame is searched."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtseg.faces.schedule import Schedule
from rtseg.faces.tiles import tile_picture
from rtseg.frames import Box
from rtseg.geometry.crop import box_around


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


@pytest.mark.parametrize("aspect", [384 / 224, 1.0, 0.75])
@pytest.mark.parametrize("size", [(720, 1280), (1280, 720), (1080, 1080), (300, 3000)])
def test_every_region_has_the_shape_of_the_networks_input(aspect, size):
    height, width = size
    whole, tiles, fine = tile_picture(height, width, aspect=aspect, stretch=False)
    for region in (whole, *tiles, *fine):
        assert region.box.width / region.box.height == pytest.approx(aspect)
    assert whole.box.centre == pytest.approx((width / 2, height / 2))
    assert whole.box.height == pytest.approx(max(height, width / aspect))
    # the others show faces larger
    assert max(tile.box.height for tile in tiles) <= 0.8 * whole.box.height
    assert all(tile.box.height < tiles[0].box.height for tile in fine)


def test_a_picture_of_the_inputs_shape_has_tiles_of_three_fifths_of_it():
    _, tiles, _ = tile_picture(720, 1280, aspect=384 / 224, stretch=False)
    assert {tile.box.height for tile in tiles} == {432}
    assert len(tiles) == 6
    assert {tile.box.top for tile in tiles} == {0, 288}


def test_tiles_that_are_larger_than_a_narrow_picture_are_centred_on_it():
    _, tiles, _ = tile_picture(100, 3000, aspect=1.0, stretch=False)
    assert {tile.box.centre[1] for tile in tiles} == {50}
    assert {tile.box.height for tile in tiles} == {500}
    _, tiles, _ = tile_picture(3000, 100, aspect=1.0, stretch=False)
    assert {tile.box.centre[0] for tile in tiles} == {50}


@pytest.mark.parametrize(("height", "is_finer"), [(255, False), (256, True)])
def test_tiles_from_256_pixels_are_cut_finer(height, is_finer):
    assert bool(tile_picture(height, 512, aspect=1.0, stretch=False).fine) is is_finer


def test_searched_regions_are_metered_as_a_whole_and_those_around_a_place_by_its_centre():
    whole, tiles, fine = tile_picture(720, 1280, aspect=1.0, stretch=False)
    assert {region.metering for region in (whole, *tiles, *fine)} == {"average"}
    made = Schedule(every=12, aspect=1.0, stretch=False)
    assert made.around(box_around(100, 100, 40, 50)).metering == "centre"
