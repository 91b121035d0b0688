"""Resampling a map from one crop's grid to another's."""

import numpy as np
import pytest

from rtseg.geometry.crop import Crop, box_around
from rtseg.geometry.resample import block_means, carried_over

CELLS = 32


def where(crop):
    """Each cell's own position in the frame, as two channels."""
    box = crop.box
    step = box.width / CELLS
    centres = (np.arange(CELLS) + 0.5) * step
    x, y = crop.to_frame(*np.meshgrid(box.left + centres, box.top + centres))
    return np.dstack([x, y]).astype(np.float32)


@pytest.mark.parametrize(
    ("was_roll", "now_roll"), [(0, 0), (0, 20), (20, 0), (30, 35), (30, 30), (-170, 170), (90, -90)]
)
def test_values_keep_their_position_in_the_frame(was_roll, now_roll):
    was = Crop(box=box_around(200, 150, 256, 256), roll_degrees=was_roll)
    now = Crop(box=box_around(207, 146, 240, 240), roll_degrees=now_roll)
    moved, known = carried_over(where(was), was, now)
    assert moved.dtype == known.dtype == np.float32
    # OpenCV works in 32nds of a cell, which is 8 pixels; the outer half cell is replicated
    inside = np.zeros((CELLS, CELLS), bool)
    inside[2:-2, 2:-2] = True
    x, y = was.from_frame(*np.moveaxis(where(now).astype(float), 2, 0))
    off = np.maximum(np.abs(x - 200), np.abs(y - 150))
    inside &= off < 128 - 5
    assert inside.sum() > 400
    assert np.abs(moved - where(now))[inside].max() < 0.5
    np.testing.assert_array_equal(
        known[np.abs(off - 128) > 0.01], (off < 128)[np.abs(off - 128) > 0.01]
    )


@pytest.mark.parametrize(("was_roll", "now_roll"), [(0, 0), (20, -35)])
def test_a_window_of_the_result_is_what_the_whole_shows_there(was_roll, now_roll):
    values = np.random.default_rng(0).random((CELLS, CELLS, 3), np.float32)
    was = Crop(box=box_around(200, 150, 256, 256), roll_degrees=was_roll)
    now = Crop(box=box_around(290, 146, 240, 240), roll_degrees=now_roll)
    whole, known = carried_over(values, was, now)
    there = np.s_[5:17, 3:31]
    part, known_there = carried_over(values, was, now, window=there)
    np.testing.assert_allclose(part, whole[there], atol=0.05)  # OpenCV rounds to 32nds of a cell
    np.testing.assert_array_equal(known_there, known[there])
    assert 0 < known_there.mean() < 1


def test_many_channels_are_interpolated_at_once():
    values = np.random.default_rng(0).random((CELLS, CELLS, 21), np.float32)
    was = Crop(box=box_around(0, 0, 64, 64), roll_degrees=90)
    moved, known = carried_over(values, was, Crop(box=was.box))
    np.testing.assert_allclose(moved, np.rot90(values, -1), atol=1e-5)
    assert known.all()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((128, 128), (64, 64)),
        ((256, 384), (64, 96)),
        ((127, 128), (127, 128)),
        ((130, 300), (65, 150)),
        ((64, 64), (64, 64)),
        ((32, 32), (32, 32)),
    ],
)
def test_blocks_are_averaged_while_enough_remain(shape, expected):
    values = np.random.default_rng(0).random((*shape, 5), np.float32)
    means = block_means(values, cells=64)
    assert means.dtype == np.float32
    block = shape[0] // expected[0]
    blocks = values.reshape(expected[0], block, expected[1], block, 5)
    np.testing.assert_allclose(means, blocks.mean((1, 3)), atol=1e-6)


@pytest.mark.parametrize("roll", [0.0, 360.0])
def test_cells_that_the_old_crop_did_not_show_are_unknown(roll):
    was = Crop(box=box_around(32, 32, 64, 64), roll_degrees=roll)
    now = Crop(box=box_around(64, 48, 64, 64))
    _, known = carried_over(np.zeros((CELLS, CELLS, 1), np.float32), was, now)
    expected = np.zeros((CELLS, CELLS))
    expected[:24, :16] = 1  # two pixels a cell, 32 across and 16 down
    np.testing.assert_array_equal(known, expected)
    _, known = carried_over(np.zeros((CELLS, CELLS, 1), np.float32), now, was)
    np.testing.assert_array_equal(known, expected[::-1, ::-1])
