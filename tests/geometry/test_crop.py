"""Cutting crops out of pictures, upright and rotated, within and beyond the edges."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.frames import Box
from rtseg.geometry.crop import LARGEST_SIDE, Crop, box_around, crop_around, cut


def ramp(height, width):
    """Red counts columns and green counts rows, so that a value identifies its position."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width).round()[None]
    image[..., 1] = np.linspace(0, 255, height).round()[:, None]
    return image


def cut_to(image, box, height=32, width=32):
    out = np.zeros((height, width, 3), np.uint8)
    cut(image, Crop(box=box), out=out)
    return out


@settings(max_examples=60, deadline=None)
@given(
    left=st.integers(0, 300),
    top=st.integers(0, 200),
    side=st.integers(8, 200),
    height=st.sampled_from([16, 32, 48]),
)
def test_every_pixel_comes_from_its_place(left, top, side, height):
    image = ramp(400, 500)
    out = cut_to(image, Box(left=left, top=top, right=left + side, bottom=top + side), height)
    centres_x = left + (np.arange(32) + 0.5) * side / 32 - 0.5
    centres_y = top + (np.arange(height) + 0.5) * side / height - 0.5
    # away from the part's edges, where interpolation has neighbours
    assert np.abs(out[..., 0] - centres_x / 499 * 255)[:, 2:-2].max() < 2.5
    assert np.abs(out[..., 1] - centres_y[:, None] / 399 * 255)[2:-2].max() < 2.5


def test_beyond_the_edges_is_grey_and_the_rest_stays_in_place():
    image = np.full((64, 64, 3), 255, np.uint8)
    out = cut_to(image, Box(left=-32, top=16, right=32, bottom=80))
    assert (out[:, :15] == 114).all()
    assert (out[:23, 17:] == 255).all()
    assert (out[25:] == 114).all()


@pytest.mark.parametrize("left", [-500, 64, 1000])
def test_a_crop_outside_the_picture_is_grey(left):
    out = cut_to(np.zeros((64, 64, 3), np.uint8), Box(left=left, top=0, right=left + 20, bottom=9))
    assert (out == 114).all()


@pytest.mark.parametrize("side", [256, 254, 250, 128, 127])
def test_shrinking_averages(side):
    """Fine stripes become grey instead of a moiré pattern."""
    image = np.zeros((300, 300, 3), np.uint8)
    image[:, ::2] = 200
    out = cut_to(image, Box(left=10, top=10, right=10 + side, bottom=10 + side))
    assert out[2:-2, 2:-2].std() < 30
    assert out.mean() == pytest.approx(100, abs=5)


@pytest.mark.parametrize(("height", "width"), [(100, 40), (40, 100)])
def test_shrinking_one_side_more_than_the_other_averages(height, width):
    rows, columns = np.mgrid[:300, :300]
    image = np.repeat(((rows if height > width else columns) % 2 * 200)[..., None], 3, axis=2)
    box = Box(left=10, top=10, right=10 + width, bottom=10 + height)
    out = cut_to(image.astype(np.uint8), box)
    assert out.std() < 20
    assert out.mean() == pytest.approx(100, abs=5)


def test_shrinking_by_three_halves_first_and_interpolates_then():
    """A network sees the same at any size of a face: no area is averaged that a half reaches."""
    image = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    halved = image.reshape(48, 2, 48, 2, 3).mean((1, 3))
    expected = cv2.resize(halved, (32, 32), interpolation=cv2.INTER_LINEAR)
    out = cut_to(image, Box(left=0, top=0, right=96, bottom=96))
    assert np.abs(out - expected).max() <= 1


def test_enlarging_is_bilinear():
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    out = cut_to(image, Box(left=4, top=6, right=12, bottom=14))
    expected = cv2.resize(image[6:14, 4:12], (32, 32), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("roll", [0.0, 30.0, -100.0])
def test_a_shifted_crop_shows_the_picture_shifted_along_its_sides(roll):
    crop = Crop(box=Box(left=20, top=30, right=120, bottom=230), roll_degrees=roll)
    moved = crop.moved(0.1, -0.05)
    assert (moved.box.width, moved.box.height) == pytest.approx((100, 200))
    assert moved.roll_degrees == roll
    # the shifted crop's centre is, in the first one, 10 to the right and 10 up
    x, y = crop.from_frame(*(np.array([value]) for value in moved.box.centre))
    assert (x[0], y[0]) == pytest.approx((80, 120))


def test_the_picture_is_not_modified():
    image = ramp(50, 60)
    before = image.copy()
    image.flags.writeable = False
    cut_to(image[:, ::-1], Box(left=-5, top=-5, right=70, bottom=70))
    np.testing.assert_array_equal(image, before)


def test_a_single_pixel_can_be_cut_out():
    assert (
        cut_to(np.full((1, 1, 3), 9, np.uint8), Box(left=0, top=0, right=1, bottom=1)) == 9
    ).all()


@pytest.mark.parametrize(
    ("left", "top"), [(-20, 10), (64, 10), (10, -20), (10, 48)], ids=["left", "right", "up", "down"]
)
def test_a_box_that_only_touches_the_picture_shows_none_of_it(left, top):
    image = np.full((48, 64, 3), 255, np.uint8)
    out = cut_to(image, Box(left=left, top=top, right=left + 20, bottom=top + 20))
    assert (out == 114).all()


class TestTurned:
    @settings(max_examples=40, deadline=None)
    @given(
        x=st.floats(150, 350),
        y=st.floats(130, 270),
        side=st.integers(8, 180),
        roll=st.floats(-180, 180).filter(lambda degrees: abs(degrees) > 0.1),
    )
    def test_every_pixel_comes_from_its_place(self, x, y, side, roll):
        image = ramp(400, 500)
        crop = Crop(box=box_around(x, y, side, side), roll_degrees=roll)
        out = np.zeros((32, 48, 3), np.uint8)
        cut(image, crop, out=out)
        columns = crop.box.left + (np.arange(48) + 0.5) * side / 48
        rows = crop.box.top + (np.arange(32) + 0.5) * side / 32
        frame_x, frame_y = crop.to_frame(*np.meshgrid(columns, rows))
        assert np.abs(out[..., 0] - (frame_x - 0.5) / 499 * 255).max() < 2.5
        assert np.abs(out[..., 1] - (frame_y - 0.5) / 399 * 255).max() < 2.5

    def test_clockwise_is_as_one_sees_it(self):
        """A head on its right shoulder (the viewer's) has a roll of +90; its crop is upright."""
        image = np.zeros((100, 100, 3), np.uint8)
        image[40:60, 60:90] = 255  # the forehead, on the right
        crop = Crop(box=box_around(50, 50, 100, 100), roll_degrees=90)
        out = np.zeros((50, 50, 3), np.uint8)
        cut(image, crop, out=out)
        assert out[7:18, 22:28].min() > 250
        assert out[25:].max() == 0

    @pytest.mark.parametrize("side", [640, 900, 1500])
    def test_shrinking_averages(self, side):
        image = np.zeros((700, 700, 3), np.uint8)
        image[:, ::2] = 200
        out = np.zeros((64, 64, 3), np.uint8)
        cut(image, Crop(box=box_around(350, 350, side, side), roll_degrees=40), out=out)
        inner = out[24:40, 24:40]
        assert inner.std() < 30
        assert inner.mean() == pytest.approx(100, abs=5)

    @pytest.mark.parametrize(("x", "y"), [(-33, 32), (97, 32), (32, -33), (32, 97)])
    def test_a_crop_that_ends_a_pixel_before_the_picture_shows_none_of_it(self, x, y):
        out = np.zeros((64, 64, 3), np.uint8)
        crop = Crop(box=box_around(x, y, 64, 64), roll_degrees=180)
        cut(np.full((64, 64, 3), 255, np.uint8), crop, out=out)
        assert (out == 114).all()

    @pytest.mark.parametrize("height", [4, 6, 64])
    def test_a_strip_of_picture_is_averaged_too(self, height):
        """Stripes of which a quarter is white, in the only block of rows that a crop shows."""
        striped = np.zeros((height, 256, 3), np.uint8)
        striped[:, ::4] = 200
        crop = Crop(box=box_around(128, height / 2, 128, 128), roll_degrees=180)
        cuts = []
        for image in (striped, np.full_like(striped, 50)):
            cuts.append(np.zeros((32, 32, 3), np.uint8))
            cut(image, crop, out=cuts[-1])
        assert np.abs(cuts[0].astype(int) - cuts[1]).max() <= 2

    def test_beyond_the_edges_is_grey(self):
        image = np.full((64, 64, 3), 255, np.uint8)
        for x in (-400, 32, 400):
            out = np.zeros((32, 32, 3), np.uint8)
            cut(image, Crop(box=box_around(x, 32, 128, 128), roll_degrees=45), out=out)
            assert (out[0] == 114).all()
            assert (out[16, 16] == (255 if x == 32 else 114)).all()

    @given(roll=st.floats(-180, 180), x=st.floats(-500, 500), y=st.floats(-500, 500))
    def test_to_frame_and_from_frame_are_inverse(self, roll, x, y):
        crop = Crop(box=Box(left=3, top=-20, right=50, bottom=77), roll_degrees=roll)
        in_frame = crop.to_frame(np.array(x), np.array(y))
        assert crop.from_frame(*in_frame) == pytest.approx((x, y), abs=1e-6)
        bounds = crop.bounds
        corners = crop.to_frame(np.array([3, 50, 50, 3.0]), np.array([-20, -20, 77, 77.0]))
        assert bounds.left == pytest.approx(corners[0].min())
        assert bounds.right == pytest.approx(corners[0].max())
        assert bounds.top == pytest.approx(corners[1].min())
        assert bounds.bottom == pytest.approx(corners[1].max())


@settings(max_examples=60, deadline=None)
@given(
    left=st.integers(-90, 200),
    top=st.integers(-90, 200),
    side=st.integers(24, 80).map(lambda quarters: 4 * quarters),
)
def test_content_beyond_the_edges_changes_no_pixel_inside(left, top, side):
    """The result is as if the picture continued in grey, wherever in a block it ends."""
    image = np.random.default_rng(0).integers(0, 256, (201, 203, 3), np.uint8)
    wide = cv2.copyMakeBorder(image, *(4 * [400]), cv2.BORDER_CONSTANT, value=(114, 114, 114))
    pixels = cut_to(image, Box(left=left, top=top, right=left + side, bottom=top + side))
    moved = Box(left=left + 400, top=top + 400, right=left + 400 + side, bottom=top + 400 + side)
    np.testing.assert_array_equal(pixels, cut_to(wide, moved))


def test_no_crop_is_too_large_to_be_cut_out():
    crop = crop_around(50.0, 40.0, 1e9, 1.5)
    assert max(crop.box.width, crop.box.height) <= LARGEST_SIDE
    out = np.empty((16, 24, 3), np.uint8)
    cut(np.full((80, 100, 3), 200, np.uint8), crop, out=out)
    assert (out[0, 0] == 114).all()


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.5])
def test_a_crop_has_its_height_and_aspect_around_its_point(aspect):
    box = crop_around(203.0, 154.0, 100.0, aspect).box
    assert box.height == pytest.approx(100, abs=4)
    assert box.width == pytest.approx(100 * aspect, abs=4)
    assert box.centre == pytest.approx((203, 154), abs=1)
    assert box.height % 4 == box.width % 4 == 0, "so that halving twice is exact"


def test_no_crop_is_too_small():
    box = crop_around(20.0, 20.0, 0.5, 1.0).box
    assert (box.width, box.height) == (8, 8)


def test_a_crop_within_the_picture_shows_as_much_of_it():
    from rtseg.geometry.crop import within_picture

    size = {"height": 288, "width": 288, "aspect": 1.0}
    smaller = within_picture(crop_around(120, 147, 364, 1.0), **size)
    assert smaller is not None
    assert smaller.box.left <= 0 <= 288 <= smaller.box.right
    assert smaller.box.top <= 0 <= 288 <= smaller.box.bottom
    assert smaller.box.height <= 292
    # inside, beyond one edge only, and rotated
    assert within_picture(crop_around(144, 144, 200, 1.0), **size) is None
    assert within_picture(crop_around(20, 144, 200, 1.0), **size) is None
    assert within_picture(crop_around(120, 147, 364, 1.0, 20.0), **size) is None
    assert within_picture(crop_around(900, 900, 100, 1.0), **size) is None
