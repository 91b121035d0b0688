"""Labels at the frame's size equal those of dense interpolation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtseg.errors import SettingError
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from rtseg.postprocess import LabelsOnce, paste, whole_labels


def probabilities(seed, rows, columns, classes, sharpness):
    """Blobs with soft or sharp edges: smooth noise per class, through a softmax."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(rows, columns, classes))
    for axis in (0, 1):
        logits = logits + np.roll(logits, 1, axis) + np.roll(logits, -1, axis)
    exponentials = np.exp(sharpness * (logits - logits.max(2, keepdims=True)))
    return (exponentials / exponentials.sum(2, keepdims=True)).astype(np.float32)


def reference(values, box, height, width):
    """Every class at every pixel of a frame, in double precision, by definition."""
    rows, columns, _ = values.shape
    y = ((np.arange(height) + 0.5 - box.top) / box.height * rows - 0.5).clip(0, rows - 1)
    x = ((np.arange(width) + 0.5 - box.left) / box.width * columns - 0.5).clip(0, columns - 1)
    y0, x0 = np.floor(y).astype(int), np.floor(x).astype(int)
    y1, x1 = np.minimum(y0 + 1, rows - 1), np.minimum(x0 + 1, columns - 1)
    v, u = (y - y0)[:, None, None], (x - x0)[None, :, None]
    values = values.astype(np.float64)
    top = values[y0][:, x0] * (1 - u) + values[y0][:, x1] * u
    low = values[y1][:, x0] * (1 - u) + values[y1][:, x1] * u
    return top * (1 - v) + low * v


def assert_leads(labels, dense):
    """Check that each label's value is the largest at its pixel, up to rounding."""
    chosen = np.take_along_axis(dense, labels[..., None].astype(int), 2)[..., 0]
    assert (dense.max(2) - chosen).max(initial=0) < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 24),
    columns=st.integers(1, 24),
    classes=st.integers(1, 20),
    sharpness=st.sampled_from([0.01, 0.5, 3.0, 40.0]),
    height=st.integers(1, 130),
    width=st.integers(1, 130),
)
def test_labels_of_a_picture_equal_dense_interpolation(
    seed, rows, columns, classes, sharpness, height, width
):
    values = probabilities(seed, rows, columns, classes, sharpness)
    labels = whole_labels(values, height=height, width=width)
    assert labels.shape == (height, width)
    assert labels.dtype == np.uint8
    whole = Box(left=0, top=0, right=width, bottom=height)
    assert_leads(labels, reference(values, whole, height, width))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    left=st.floats(-150, 90),
    top=st.floats(-150, 90),
    box_width=st.floats(0.5, 300),
    box_height=st.floats(0.5, 300),
    sharpness=st.sampled_from([0.5, 5.0]),
)
def test_pasted_labels_equal_dense_interpolation(seed, left, top, box_width, box_height, sharpness):
    values = probabilities(seed, 16, 12, 5, sharpness)
    box = Box(left=left, top=top, right=left + box_width, bottom=top + box_height)
    labels = np.full((80, 100), 77, np.uint8)
    paste(labels, values, Crop(box=box), transparent=None)
    y, x = np.arange(80) + 0.5, np.arange(100) + 0.5
    inside = ((y >= box.top) & (y < box.bottom))[:, None] & ((x >= box.left) & (x < box.right))
    assert (labels[~inside] == 77).all()
    dense = reference(values, box, 80, 100)
    assert_leads(labels[inside][None], dense[inside][None])


def test_labels_agree_with_pytorch():
    import torch

    values = probabilities(1, 64, 64, 11, 4.0)
    planes = torch.from_numpy(values).permute(2, 0, 1)[None]
    dense = torch.nn.functional.interpolate(
        planes, size=(300, 500), mode="bilinear", align_corners=False
    )[0]
    labels = whole_labels(values, height=300, width=500)
    assert (labels == dense.argmax(0).numpy()).mean() > 0.9999


def test_a_class_that_leads_at_no_corner_can_win_inside():
    # the corners lead narrowly for 0 and 1, and 2 is a close second everywhere
    values = np.zeros((2, 2, 3), np.float32)
    values[:, 0] = (0.52, 0.0, 0.48)
    values[:, 1] = (0.0, 0.52, 0.48)
    labels = whole_labels(values, height=40, width=40)
    assert (labels[:, 0] == 0).all()
    assert (labels[:, 39] == 1).all()
    assert (labels[:, 20] == 2).all()


def test_a_straight_border_is_smooth():
    # a diagonal edge, as soft as a network's, at 8 pixels per cell
    rows, columns = np.mgrid[:32, :32]
    edge = (1 / (1 + np.exp(-1.5 * (columns - 0.7 * rows - 5)))).astype(np.float32)
    labels = whole_labels(np.dstack([1 - edge, edge]), height=256, width=256)
    first = labels.argmax(1)[20:240]
    line = np.polyval(np.polyfit(np.arange(20, 240), first, 1), np.arange(20, 240))
    assert np.abs(first - line).max() < 1.5


def test_background_does_not_overwrite_labels_below_it():
    values = np.zeros((8, 8, 2), np.float32)
    values[..., 0] = 1
    values[2:6, 2:6] = (0, 1)
    labels = np.full((80, 80), 9, np.uint8)
    whole = Crop(box=Box(left=0, top=0, right=80, bottom=80))
    paste(labels, values, whole, transparent=0)
    assert labels[0, 0] == 9
    assert labels[40, 40] == 1
    assert set(np.unique(labels)) == {1, 9}


def test_borders_are_found_between_pixels():
    """A frame that contains a corner of a crop without a border, and one cell of many."""
    values = np.zeros((16, 16, 2), np.float32)
    values[..., 0] = 1
    values[12:, 12:] = (0, 1)
    labels = np.full((40, 40), 9, np.uint8)
    paste(labels, values, Crop(box=Box(left=0, top=0, right=160, bottom=160)), transparent=None)
    assert (labels == 0).all()


def test_a_box_outside_the_frame_writes_nothing():
    labels = np.zeros((20, 20), np.uint8)
    values = np.ones((4, 4, 1), np.float32)
    for start in (-30, -10, 20, 500):
        for left, top in ((start, 0), (0, start)):
            crop = Crop(box=Box(left=left, top=top, right=left + 10, bottom=top + 10))
            paste(labels, values, crop, transparent=None)
    assert not labels.any()


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 3), (4, 4, 256), (4, 4, 0)])
def test_wrong_shapes_are_refused(shape):
    with pytest.raises(SettingError, match="rows, columns, classes"):
        whole_labels(np.zeros(shape, np.float32), height=8, width=8)


def test_a_size_must_be_positive():
    with pytest.raises(SettingError, match="positive size"):
        whole_labels(np.zeros((4, 4, 2), np.float32), height=0, width=8)


def turned_reference(values, crop, height, width):
    """Values at every pixel of a frame by definition, in double precision, and which are inside.

    Nobody knows it of pixels on the crop's very sides, which are the third result: OpenCV computes
    positions in 1024ths of half a cell.
    """
    rows, columns, _ = values.shape
    box = crop.box
    x, y = crop.from_frame(*np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5))
    inside = (x >= box.left) & (x < box.right) & (y >= box.top) & (y < box.bottom)
    rounding = 2 * max(box.width / columns, box.height / rows) / 2048
    from_x = np.minimum(np.abs(x - box.left), np.abs(x - box.right))
    from_y = np.minimum(np.abs(y - box.top), np.abs(y - box.bottom))
    on_sides = np.minimum(from_x, from_y) < rounding
    u = ((x - box.left) / box.width * columns - 0.5).clip(0, columns - 1)
    v = ((y - box.top) / box.height * rows - 0.5).clip(0, rows - 1)
    x0, y0 = np.floor(u).astype(int), np.floor(v).astype(int)
    x1, y1 = np.minimum(x0 + 1, columns - 1), np.minimum(y0 + 1, rows - 1)
    u, v = (u - x0)[..., None], (v - y0)[..., None]
    values = values.astype(np.float64)
    top = values[y0, x0] * (1 - u) + values[y0, x1] * u
    low = values[y1, x0] * (1 - u) + values[y1, x1] * u
    return top * (1 - v) + low * v, inside, on_sides


class TestTurned:
    @settings(max_examples=40, deadline=None)
    @given(
        seed=st.integers(0, 10**6),
        x=st.floats(-20, 120),
        y=st.floats(-20, 100),
        side=st.floats(10, 200),
        roll=st.floats(-180, 180).filter(lambda degrees: abs(degrees) > 0.1),
        classes=st.integers(1, 12),
        sharpness=st.sampled_from([0.5, 5.0]),
    )
    def test_labels_equal_dense_interpolation(self, seed, x, y, side, roll, classes, sharpness):
        values = probabilities(seed, 16, 16, classes, sharpness)
        crop = Crop(box=box_around(x, y, side, side), roll_degrees=roll)
        labels = np.full((80, 100), 77, np.uint8)
        paste(labels, values, crop, transparent=None)
        dense, inside, on_sides = turned_reference(values, crop, 80, 100)
        np.testing.assert_array_equal((labels != 77)[~on_sides], inside[~on_sides])
        both = inside & (labels != 77)
        chosen = np.take_along_axis(dense[both], labels[both][:, None].astype(int), 1)[:, 0]
        assert (dense[both].max(1) - chosen).max(initial=0) < 2e-3

    @pytest.mark.parametrize("roll", [-150, -90, -37, 1, 20, 45, 90, 180])
    def test_a_rotated_disc_is_within_half_a_pixel(self, roll):
        """From a known position in the frame to the crop's cells, and back to the frame."""
        crop = Crop(box=box_around(150, 140, 256, 256), roll_degrees=roll)
        centres = (np.arange(64) + 0.5) * 4
        x, y = crop.to_frame(*np.meshgrid(22 + centres, 12 + centres))
        apart = np.hypot(x - 190.25, y - 115.5) - 40  # a disc with a radius of 40 pixels
        edge = (1 / (1 + np.exp(apart / 3))).astype(np.float32)
        labels = np.zeros((280, 320), np.uint8)
        paste(labels, np.dstack([1 - edge, edge]), crop, transparent=0)
        rows, columns = np.nonzero(labels)
        assert columns.mean() + 0.5 == pytest.approx(190.25, abs=0.15)
        assert rows.mean() + 0.5 == pytest.approx(115.5, abs=0.15)
        pixel_x, pixel_y = np.meshgrid(np.arange(320) + 0.5, np.arange(280) + 0.5)
        off = np.abs(np.hypot(pixel_x - 190.25, pixel_y - 115.5) - 40)
        wrong = (labels == 1) != (np.hypot(pixel_x - 190.25, pixel_y - 115.5) < 40)
        assert off[wrong].max(initial=0) < 0.5

    def test_a_quarter_turn_equals_the_rotated_upright_result(self):
        values = probabilities(3, 32, 32, 6, 3.0)
        box = box_around(60, 60, 100, 100)
        upright, turned = np.zeros((120, 120), np.uint8), np.zeros((120, 120), np.uint8)
        paste(upright, values, Crop(box=box), transparent=None)
        paste(turned, values, Crop(box=box, roll_degrees=90), transparent=None)
        assert (np.rot90(upright, -1) == turned).mean() > 0.999

    def test_background_does_not_overwrite_labels_below_it(self):
        values = np.zeros((8, 8, 2), np.float32)
        values[..., 0] = 1
        values[2:6, 2:6] = (0, 1)
        labels = np.full((80, 80), 9, np.uint8)
        crop = Crop(box=box_around(40, 40, 80, 80), roll_degrees=30)
        paste(labels, values, crop, transparent=0)
        assert set(np.unique(labels)) == {1, 9}
        assert labels[40, 40] == 1

    def test_a_map_with_very_many_borders_works(self):
        """More cells with a border than fit into 16 bits."""
        values = np.zeros((300, 300, 2), np.float32)
        values[(np.indices((300, 300)).sum(0) % 2 == 0), 0] = 1
        values[..., 1] = 1 - values[..., 0]
        crop = Crop(box=box_around(20, 20, 60, 60), roll_degrees=45)
        labels = np.full((40, 40), 9, np.uint8)
        paste(labels, values, crop, transparent=None)
        dense, _, _ = turned_reference(values, crop, 40, 40)
        chosen = np.take_along_axis(dense, labels[..., None].astype(int), 2)[..., 0]
        assert (dense.max(2) - chosen).max() < 2e-2

    def test_a_crop_outside_the_frame_writes_nothing(self):
        labels = np.full((20, 20), 7, np.uint8)
        values = np.ones((4, 4, 1), np.float32)
        for place in (-30, -7, 28, 45):
            for x, y in ((place, 10), (10, place)):
                crop = Crop(box=box_around(x, y, 10, 10), roll_degrees=20)
                paste(labels, values, crop, transparent=None)
        assert (labels == 7).all()


@pytest.mark.parametrize("roll", [0.0, 30.0])
def test_labels_made_once_are_those_made_each_time(roll):
    """A crop at rest, moved, beyond the frame's edges, outside it, and in frames of other sizes."""
    values = probabilities(4, 16, 16, 3, 3.0)
    once = LabelsOnce(values)
    places = [(20, 10), (20, 10), (21, 10), (-30, -20), (-30, -20), (500, 10), (20, 10)]
    for (left, top), size in [*((place, (100, 120)) for place in places), ((20, 10), (90, 60))]:
        box = Box(left=left, top=top, right=left + 64, bottom=top + 64)
        crop = Crop(box=box, roll_degrees=roll)
        for transparent in (0, 1, None):
            expected = np.full(size, 9, np.uint8)
            paste(expected, values, crop, transparent=transparent)
            labels = np.full(size, 9, np.uint8)
            once.paste(labels, crop, transparent=transparent)
            assert (labels == expected).all()


def test_labels_of_a_crop_at_rest_are_computed_once(monkeypatch):
    made = []
    monkeypatch.setattr("rtseg.postprocess.labels_at", lambda *_, **__: made.append(1) or ONES)
    once = LabelsOnce(np.full((4, 4, 2), 0.5, np.float32))
    crop = Crop(box=Box(left=2, top=2, right=10, bottom=10))
    for crop_now, count in ((crop, 1), (crop, 1), (crop.moved(1, 0), 2), (crop.moved(1, 0), 2)):
        labels = np.zeros((20, 20), np.uint8)
        once.paste(labels, crop_now, transparent=0)
        assert len(made) == count
        assert labels.sum() == 64


ONES = np.ones((8, 8), np.uint8)
