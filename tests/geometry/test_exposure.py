"""Stretching crops that use little of the range from black to white."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.frames import Box
from rtseg.geometry.crop import Crop
from rtseg.geometry.exposure import FULL_RANGE, evened, stretching_table
from rtseg.geometry.fit import PADDING

SIDE = 64
WHOLE = Box(left=0, top=0, right=SIDE, bottom=SIDE)


def noise(low, high, shape=(SIDE, SIDE, 3), seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.uint8, endpoint=True)


def seen(picture, crop=None, size=(SIDE, SIDE)):
    crop = crop or Crop(box=WHOLE)
    return evened(picture, crop, height=size[0], width=size[1])


def test_a_picture_of_full_range_stays_as_it_is():
    picture = noise(5, 250)
    assert seen(picture) is picture


@pytest.mark.parametrize(("low", "high"), [(0, 30), (120, 160), (200, 255), (60, 190)])
def test_a_picture_of_few_grey_levels_is_stretched(low, high):
    picture = noise(low, high)
    before = picture.copy()
    result = seen(picture)
    assert np.array_equal(picture, before)
    assert np.ptp(result) >= FULL_RANGE
    # what was darker still is
    order = np.argsort(picture.ravel(), kind="stable")
    assert (np.diff(result.ravel()[order].astype(int)) >= 0).all()


def test_hues_stay():
    dark = (noise(0, 60) * np.array([1, 0.6, 0.3])).astype(np.uint8)
    result = seen(dark).astype(int)
    assert (result[..., 0] >= result[..., 1])[dark[..., 0] >= dark[..., 1]].all()
    # one table for all channels
    for value in np.unique(dark):
        assert len(np.unique(result[dark == value])) == 1


def test_light_of_one_colour_is_left_alone():
    red = noise(10, 250)
    red[..., 1:] //= 12
    assert seen(red) is red


def test_a_few_bright_pixels_do_not_count():
    picture = noise(0, 40)
    picture[::9, ::9] = 255
    assert np.median(seen(picture)) > 80


def test_nothing_is_made_of_nothing():
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    assert np.ptp(seen(flat)) == 0
    almost = noise(90, 91)
    assert np.ptp(seen(almost)) <= 2 * FULL_RANGE / 8


class TestMetering:
    """A face before a bright window."""

    picture = noise(200, 255)
    picture[12:52, 12:52] = noise(0, 25, (40, 40, 3))

    def test_a_crop_around_a_face_is_judged_by_its_centre(self):
        inside = seen(self.picture)[12:52, 12:52]
        assert np.ptp(inside) > 150

    def test_one_with_faces_anywhere_by_all_of_it(self):
        assert seen(self.picture, Crop(box=WHOLE, metering="average")) is self.picture


class TestBeyondTheEdges:
    """What is outside of the frame is padding."""

    def picture(self, shown):
        picture = np.full((SIDE, SIDE, 3), PADDING, np.uint8)
        picture[shown] = noise(0, 20)[shown]
        return picture

    def test_upright(self):
        crop = Crop(box=Box(left=-32, top=-16, right=32, bottom=48))
        shown = np.zeros((SIDE, SIDE), bool)
        shown[16:, 32:] = True
        result = seen(self.picture(shown), crop)
        assert (result[~shown] == PADDING).all()
        assert np.ptp(result[shown]) >= FULL_RANGE

    def test_rotated(self):
        crop = Crop(box=WHOLE, roll_degrees=30)
        shown = crop.shown(SIDE, SIDE, height=SIDE, width=SIDE)
        assert shown is not None
        assert 0.6 < shown.mean() < 0.95
        result = seen(self.picture(shown), crop)
        assert (result[~shown] == PADDING).all()
        assert np.ptp(result[shown]) >= FULL_RANGE

    def test_all_of_it(self):
        crop = Crop(box=Box(left=200, top=0, right=264, bottom=64))
        picture = np.full((SIDE, SIDE, 3), PADDING, np.uint8)
        assert (seen(picture, crop) == PADDING).all()


@settings(max_examples=200, deadline=None)
@given(low=st.integers(0, 250), used=st.integers(1, 255), more=st.integers(1, 2))
def test_a_little_more_light_makes_no_jump(low, used, more):
    def values(high):
        ramp = np.linspace(low, min(255, high), 500).round().astype(np.uint8)
        table = stretching_table(np.repeat(ramp[:, None], 3, 1))
        return np.arange(256) if table is None else table.astype(int)

    first, second = values(low + used), values(low + used + more)
    # as far as the range that both use reaches, and as finely as it is known
    inside = slice(low, min(255, low + used) + 1)
    step = more * max(1.0, FULL_RANGE / max(8, used))
    assert np.abs(first[inside] - second[inside]).max() <= 3 * step + 2
