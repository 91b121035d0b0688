"""Smoothing over time: noise goes, movement and edges stay."""

import itertools
import math

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.frames import Box
from rtseg.geometry.crop import Crop
from rtseg.postprocess.smoothing import (
    LONGEST_AT_REST,
    LONGEST_SECONDS,
    TrackSmoother,
    stillness,
)
from rtseg.settings import FaceSettings
from tests.postprocess.patterns import picture

BOX = Crop(box=Box(left=0, top=0, right=256, bottom=256))
CELLS = 32


def maps(values):
    """Two classes, the second with these probabilities."""
    values = np.asarray(values, np.float32) * np.ones((CELLS, CELLS), np.float32)
    return np.dstack([1 - values, values])


def test_strength_zero_returns_the_same_map():
    smoother = TrackSmoother(0.0)
    first, second = maps(0.2), maps(0.9)
    assert smoother(first, picture=picture(), crop=BOX, seconds=0.0) is first
    assert smoother(second, picture=picture(), crop=BOX, seconds=1 / 30) is second


def test_noise_on_a_still_picture_is_averaged_away():
    rng = np.random.default_rng(0)
    smoother = TrackSmoother(0.5)
    raw, smooth = [], []
    for index in range(60):
        probabilities = maps(0.5 + 0.1 * rng.standard_normal((CELLS, CELLS)))
        smoothed = smoother(
            probabilities,
            picture=picture(noise=4.0, seed=index),
            crop=BOX,
            seconds=index / 30,
        )
        raw.append(probabilities[..., 1])
        smooth.append(smoothed[..., 1])
    assert np.std(smooth[20:], axis=0).mean() < 0.5 * np.std(raw[20:], axis=0).mean()
    assert np.mean(smooth[20:]) == pytest.approx(0.5, abs=0.01)


def test_results_are_probabilities_and_the_input_is_unchanged():
    smoother = TrackSmoother(1.0)
    for index in range(5):
        before = maps(0.1 * index)
        given = before.copy()
        out = smoother(given, picture=picture(index), crop=BOX, seconds=index / 30)
        np.testing.assert_array_equal(given, before)
        np.testing.assert_allclose(out.sum(2), 1, atol=1e-5)
        assert out.min() >= 0


@pytest.mark.parametrize("cells", [32, 64, 128, 256])
def test_a_map_of_any_stride_is_smoothed_only_where_nothing_moves(cells):
    """As many cells as pixels too: one pixel's noise is no motion, and its motion no noise."""
    rng = np.random.default_rng(0)
    smoother = TrackSmoother(0.5)
    raw, smooth = [], []
    for index in range(40):
        view = picture(noise=4.0, seed=index)
        view[:, 128:] = picture(12 * index, noise=4.0, seed=index)[:, 128:]
        second = (0.5 + 0.1 * rng.standard_normal((cells, cells))).astype(np.float32)
        given = np.dstack([1 - second, second])
        out = smoother(given, picture=view, crop=BOX, seconds=index / 30)
        raw.append(given[..., 1])
        smooth.append(out[..., 1])
    left, right = np.s_[20:, :, : cells * 3 // 8], np.s_[20:, :, cells * 5 // 8 :]
    raw, smooth = np.array(raw), np.array(smooth)
    assert np.std(smooth[left], axis=0).mean() < 0.5 * np.std(raw[left], axis=0).mean()
    assert np.abs(smooth[right] - raw[right]).mean() < 0.2 * np.abs(raw[right] - 0.5).mean()


def test_moving_parts_are_not_averaged():
    smoother = TrackSmoother(1.0)
    for index in range(10):
        new = maps(index % 2)
        out = smoother(new, picture=picture(12 * index), crop=BOX, seconds=index / 30)
        assert np.abs(out - new).mean() < 0.1


def test_a_change_in_one_corner_leaves_the_rest_smoothed():
    """An eye that closes: the change is let through there, at once."""
    smoother = TrackSmoother(0.5)
    open_eye = picture()
    closed = open_eye.copy()
    closed[64:128, 64:128] //= 3
    for index in range(20):
        smoother(maps(0.0), picture=open_eye, crop=BOX, seconds=index / 30)
    out = smoother(maps(1.0), picture=closed, crop=BOX, seconds=20 / 30)[..., 1]
    assert out[9:15, 9:15].min() > 0.9
    assert out[20:, 20:].max() < 0.5


def test_labels_of_a_still_picture_flicker_at_most_two_fifths_as_often():
    """A soft border with noise on it, before a noisy camera that stands still."""
    rng = np.random.default_rng(1)
    smoother = TrackSmoother(FaceSettings().smoothing)
    raw, steadied = [], []
    border = np.linspace(0.2, 0.8, CELLS)
    for index in range(60):
        doubtful = maps((border + 0.1 * rng.standard_normal((CELLS, CELLS))).clip(0, 1))
        view = picture(noise=4.0, seed=index)
        smoothed = smoother(doubtful, picture=view, crop=BOX, seconds=index / 30)
        raw.append(doubtful.argmax(2))
        steadied.append(smoothed.argmax(2))

    def changes(labels):
        return np.mean([(old != new).mean() for old, new in itertools.pairwise(labels[10:])])

    assert changes(raw) > 0.1
    assert changes(steadied) < 0.4 * changes(raw)


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_closing_eye_shows_within_two_frames(strength):
    """A tenth of the crop darkens and its class goes, at 30 frames a second, in sensor noise."""
    smoother = TrackSmoother(strength)
    is_eye = np.zeros((CELLS, CELLS), bool)
    is_eye[10:14, 8:16] = True
    responses = []
    for index in range(32):
        view = picture(noise=4.0, seed=index).astype(np.int16)
        closed = index >= 30
        view[80:112, 64:128] += -45 if not closed else 0  # an open eye is darker than its lid
        out = smoother(
            maps(is_eye * (0.1 if closed else 0.9)),
            picture=view.clip(0, 255).astype(np.uint8),
            crop=BOX,
            seconds=index / 30,
        )
        responses.append((0.9 - out[..., 1][is_eye]) / 0.8)
    assert responses[29].max() < 0.1
    assert responses[31].min() > 0.9


@pytest.mark.parametrize("pixels", [0.3, 1.0])
def test_slow_movement_leaves_no_trail(pixels):
    """A border that moves by less than a cell a frame is not held back by the average."""
    smoother = TrackSmoother(1.0)
    for index in range(90):
        edge = 60 + pixels * index
        columns = (np.arange(256) + 0.5 < edge).astype(np.float32)
        cells = columns.reshape(CELLS, 8).mean(1)
        view = np.repeat((90 + 24 * columns).astype(np.uint8)[None, :, None], 256, axis=0)
        view = np.ascontiguousarray(np.repeat(view, 3, axis=2))
        out = smoother(maps(cells[None]), picture=view, crop=BOX, seconds=index / 30)
        lag = (cells.sum() - out[..., 1].sum(1).mean()) * 8
        assert abs(lag) < 2.5  # pixels; the average alone would lag by 9 pixels for each one


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("fps", [15, 30, 60])
def test_the_time_constant_does_not_depend_on_the_frame_rate(strength, fps):
    """It is short at first, and grows once a cell has been at rest for twice as long."""
    smoother = TrackSmoother(strength)
    smoother(maps(0.0), picture=picture(), crop=BOX, seconds=0.0)
    tau = strength * LONGEST_SECONDS
    for index in range(1, int(2 * tau * fps) + 1):
        out = smoother(maps(1.0), picture=picture(), crop=BOX, seconds=index / fps)
        expected = 1 - math.exp(-index / fps / tau)
        assert out[..., 1].mean() == pytest.approx(expected, rel=0.02)


def rested(strength, fps, *, crop=BOX):
    """A smoother of a picture without any change for longer than its average reaches, all 0."""
    smoother = TrackSmoother(strength)
    frames = math.ceil(3 * LONGEST_AT_REST * strength * LONGEST_SECONDS * fps)
    for index in range(frames):
        smoother(maps(0.0), picture=picture(), crop=crop, seconds=index / fps)
    return smoother, frames


@pytest.mark.parametrize("strength", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("fps", [15, 30, 60])
def test_what_has_long_been_at_rest_is_averaged_for_longer(strength, fps):
    smoother, frames = rested(strength, fps)
    tau = LONGEST_AT_REST * strength * LONGEST_SECONDS
    for index in range(1, 6):
        seconds = (frames - 1 + index) / fps
        out = smoother(maps(1.0), picture=picture(), crop=BOX, seconds=seconds)
        expected = 1 - math.exp(-index / fps / tau)
        assert out[..., 1].mean() == pytest.approx(expected, rel=0.02)


def test_after_a_change_the_average_is_short_again():
    smoother, frames = rested(0.5, 30)
    changed = picture()
    changed[:, :128] = 255 - changed[:, :128]
    out = smoother(maps(1.0), picture=changed, crop=BOX, seconds=frames / 30)
    left, right = out[:, : CELLS // 2 - 2, 1], out[:, CELLS // 2 + 2 :, 1]
    assert left.min() == pytest.approx(1)
    assert right.max() < 0.1
    for index in range(1, 4):
        out = smoother(maps(0.0), picture=changed, crop=BOX, seconds=(frames + index) / 30)
    expected = math.exp(-3 / 30 / (0.5 * LONGEST_SECONDS))
    assert out[:, : CELLS // 2 - 2, 1].mean() == pytest.approx(expected, rel=0.02)


def test_a_crop_that_moves_leaves_what_is_at_rest_at_rest():
    smoother, frames = rested(0.5, 30)
    shift = 16  # pixels, whole cells
    moved = Crop(
        box=Box(
            left=BOX.box.left + shift,
            top=BOX.box.top,
            right=BOX.box.right + shift,
            bottom=BOX.box.bottom,
        )
    )
    view = picture(-shift)
    out = smoother(maps(1.0), picture=view, crop=moved, seconds=frames / 30)
    inside = out[4:-4, 4 : CELLS - 8, 1]
    expected = 1 - math.exp(-1 / 30 / (LONGEST_AT_REST * 0.5 * LONGEST_SECONDS))
    assert np.median(inside) == pytest.approx(expected, rel=0.05)
    assert out[4:-4, -2:, 1].min() == pytest.approx(1), "the new part has no past"


def test_a_slow_change_has_the_same_time_constant_at_any_frame_rate():
    """Fitted: a noisy picture whose light fades slowly, probabilities that drift."""

    def fitted(fps):
        smoother = TrackSmoother(0.5)
        given, returned = [], []
        for index in range(fps):
            light = -20.0 * index / fps
            view = picture(noise=4.0, seed=index).astype(np.float32) + light
            given.append(maps(0.2 + 0.6 * index / fps))
            returned.append(
                smoother(
                    given[-1],
                    picture=view.clip(0, 255).astype(np.uint8),
                    crop=BOX,
                    seconds=index / fps,
                )
            )
        given, returned = np.array(given)[..., 1], np.array(returned)[..., 1]
        behind, step = returned[:-1] - given[1:], returned[1:] - given[1:]
        return -1 / (fps * math.log((step * behind).sum() / (behind * behind).sum()))

    constants = [fitted(fps) for fps in (15, 30, 60)]
    assert max(constants) < 1.1 * min(constants)
    assert 0.5 * LONGEST_SECONDS < constants[0] < 0.5 * LONGEST_SECONDS * LONGEST_AT_REST


def test_a_crop_that_moves_over_a_still_picture_is_aligned():
    """The same half of the frame is 1; the crop moves; the average must know it."""
    smoother = TrackSmoother(1.0)
    scene = picture(size=512)
    truth_columns = np.arange(512) < 250
    for index in range(12):
        left = 100 + 4 * index
        crop = Crop(box=Box(left=left, top=100, right=left + 256, bottom=356))
        view = np.ascontiguousarray(scene[100:356, left : left + 256])
        truth = truth_columns[left : left + 256].reshape(CELLS, 8).mean(1)
        out = smoother(maps(truth[None]), picture=view, crop=crop, seconds=index / 30)
    edge = np.abs(out[..., 1] - truth[None])
    assert edge.max() < 0.35  # a border within a cell, blurred a little
    assert edge.mean() < 0.03
    # without alignment the border would trail behind: 4 pixels a frame, half a cell
    assert np.abs(out[..., 1].sum(1) - truth.sum()).max() < 0.3


def test_content_new_in_the_crop_has_no_past():
    """Everything looks alike, so only geometry can tell that the right half was not seen."""
    smoother = TrackSmoother(1.0)
    grey = np.full((256, 256, 3), 90, np.uint8)
    smoother(maps(0.0), picture=grey, crop=BOX, seconds=0.0)
    moved = Crop(box=Box(left=128, top=0, right=384, bottom=256))
    out = smoother(maps(1.0), picture=grey, crop=moved, seconds=1 / 30)[..., 1]
    assert (out[:, CELLS // 2 + 1 :] == 1).all()
    assert (out[:, : CELLS // 2 - 1] < 0.5).all()


@pytest.mark.parametrize("seconds", [0.6, -1.0, 0.0])
def test_a_gap_or_a_step_back_starts_again(seconds):
    smoother = TrackSmoother(1.0)
    smoother(maps(0.0), picture=picture(), crop=BOX, seconds=0.0)
    out = smoother(maps(1.0), picture=picture(), crop=BOX, seconds=seconds)
    assert (out[..., 1] == 1).all()


def test_a_gap_of_half_a_second_is_bridged():
    smoother = TrackSmoother(1.0)
    smoother(maps(0.0), picture=picture(), crop=BOX, seconds=0.0)
    out = smoother(maps(1.0), picture=picture(), crop=BOX, seconds=0.5)
    assert out[..., 1].max() == pytest.approx(1 - math.exp(-0.5 / LONGEST_SECONDS), abs=1e-3)


def test_reset_forgets():
    smoother = TrackSmoother(1.0)
    smoother(maps(0.0), picture=picture(), crop=BOX, seconds=0.0)
    smoother.reset()
    assert (smoother(maps(1.0), picture=picture(), crop=BOX, seconds=0.03)[..., 1] == 1).all()


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_out_of_range_are_refused(strength):
    with pytest.raises(SettingError, match="smoothing must be within"):
        TrackSmoother(strength)


def test_stillness_separates_noise_from_motion():
    def guide(shift, noise, seed):
        crop = picture(shift, noise=noise, seed=seed).astype(np.float32)
        return crop.reshape(CELLS, 8, CELLS, 8, 3).mean((1, 3))

    assert stillness(guide(0, 5, 1), guide(0, 5, 2)).mean() > 0.95
    assert stillness(guide(0, 5, 1), guide(8, 5, 2)).mean() < 0.3


def test_content_new_in_the_crop_is_compared_only_with_itself():
    """The past of cells that lay outside the crop before is not what lay at its edge."""

    def world(beyond):
        """Grey 102 as far as the first crop reaches, another grey beyond; cut to the second."""
        cells = np.full((256, 256, 3), 102, np.uint8)
        cells[:, 128:] = beyond
        return cells

    second = Crop(box=Box(left=128, top=0, right=384, bottom=256))
    smoother = TrackSmoother(1.0)
    smoother(maps(0.0), picture=np.full((256, 256, 3), 102, np.uint8), crop=BOX, seconds=0.0)
    smoother(maps(0.0), picture=world(100), crop=second, seconds=1 / 30)
    # four grey levels more than before: moved; but only two and a half from a mixture with 102
    moved = smoother(maps(1.0), picture=world(104), crop=second, seconds=2 / 30)
    assert moved[:, CELLS // 2 + 3 :, 1].min() == pytest.approx(1.0, abs=0.01)
    assert moved[:, : CELLS // 2 - 3, 1].max() < 0.5, "what stood still is averaged"


@pytest.mark.parametrize(
    ("change", "still"), [(0.0, 1.0), (1.8, 1.0), (2.65, 0.5), (3.5, 0.0), (9.0, 0.0)]
)
def test_stillness_falls_evenly_from_small_changes_to_large_ones(change, still):
    """In grey levels, of a picture whose other half has no noise at all."""
    past = np.full((CELLS, CELLS, 3), 100, np.float32)
    guide = past.copy()
    guide[:, CELLS // 2 :] += change
    assert stillness(guide, past)[:, CELLS // 2 + 3 :] == pytest.approx(still, abs=0.01)
    assert stillness(guide, past)[:, : CELLS // 2 - 3] == pytest.approx(1.0)


@pytest.mark.parametrize("cells", [32, 128, 256])
def test_a_fine_map_is_steadied_in_as_much_noise_as_a_coarse_one(cells):
    """A single pixel's noise looks like motion; that of a few pixels together does not."""
    rng = np.random.default_rng(0)
    smoother = TrackSmoother(1.0)
    raw, smooth = [], []
    for index in range(16):
        second = (0.5 + 0.1 * rng.standard_normal((cells, cells))).astype(np.float32)
        view = picture(noise=12.0, seed=index)
        given = np.dstack([1 - second, second])
        raw.append(second)
        smooth.append(smoother(given, picture=view, crop=BOX, seconds=index / 30)[..., 1])
    assert np.std(smooth[8:], axis=0).mean() < 0.4 * np.std(raw[8:], axis=0).mean()
