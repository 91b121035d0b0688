"""Joint transforms keep image and labels aligned."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.labels import HELEN
from tests.training.conftest import draw_face
from training.augment.transforms import (
    PhotometricSettings,
    affine,
    flip,
    flip_table,
    motion_kernel,
    photometric,
    shaded,
    warp,
)


def test_a_flip_swaps_left_and_right_and_keeps_255():
    image, labels = draw_face()
    labels[0, 0] = 255
    flipped_image, flipped = flip(image, labels, flip_table(HELEN))
    assert flipped[0, -1] == 255
    np.testing.assert_array_equal(flipped_image, image[:, ::-1])
    for left, right in ((2, 3), (4, 5)):
        assert np.nonzero(flipped == left)[1].mean() < np.nonzero(flipped == right)[1].mean()
        # the drawn left eye is lower than the right one: after the flip the right one is
        before = np.nonzero(labels == left)[0].mean() - np.nonzero(labels == right)[0].mean()
        after = np.nonzero(flipped == left)[0].mean() - np.nonzero(flipped == right)[0].mean()
        assert before == pytest.approx(-after)
    np.testing.assert_array_equal(flipped == 6, (labels == 6)[:, ::-1])


def test_labels_sampled_at_left_edges_are_shifted_when_mirrored():
    # labels that are one pixel to the right of what they label
    image = np.zeros((4, 10, 3), np.uint8)
    image[:, 4:7] = 255
    labels = np.zeros((4, 10), np.uint8)
    labels[:, 5:8] = 1
    shown, ids = flip(image, labels, flip_table(HELEN), shift=2)
    assert (np.nonzero(shown[0, :, 0])[0] + 1).tolist() == np.nonzero(ids[0])[0].tolist()
    plain = flip(image, labels, flip_table(HELEN))[1]
    np.testing.assert_array_equal(ids[:, 2:], plain[:, :-2])


def test_flipping_twice_changes_nothing():
    image, labels = draw_face()
    table = flip_table(HELEN)
    again = flip(*flip(image, labels, table), table)
    np.testing.assert_array_equal(again[0], image)
    np.testing.assert_array_equal(again[1], labels)


@pytest.mark.parametrize("scale", [0.2, 0.45, 1.0, 1.7])
def test_image_and_labels_stay_aligned_at_every_scale(scale: float):
    labels = np.zeros((256, 256), np.uint8)
    cv2.circle(labels, (150, 110), 60, 1, -1)
    image = np.repeat((labels * 255)[:, :, None], 3, axis=2)
    matrix = affine(
        source_centre=(128, 128), target_centre=(120, 131), scale=scale, degrees=20, stretch=1.2
    )
    warped, warped_labels = warp(image, labels, matrix, size=256, border_label=0)
    bright, marked = np.nonzero(warped[:, :, 0] > 127), np.nonzero(warped_labels)
    for axis in (0, 1):
        assert bright[axis].mean() == pytest.approx(marked[axis].mean(), abs=0.35)
    assert len(bright[0]) == pytest.approx(len(marked[0]), rel=0.06)
    assert len(marked[0]) == pytest.approx(
        np.pi * (60 * scale) ** 2, rel=0.25 if scale > 1 else 0.1
    )


@pytest.mark.parametrize(("scale", "degrees"), [(0.5, 0), (1.0, 30), (1.7, -25)])
def test_displaced_labels_are_corrected_when_warped(scale: float, degrees: float):
    labels = np.zeros((256, 256), np.uint8)
    cv2.circle(labels, (130, 124), 50, 1, -1)
    image = np.repeat((labels * 255)[:, :, None], 3, axis=2)
    aside = np.roll(labels, (6, 6), axis=(0, 1))
    matrix = affine(
        source_centre=(128, 128), target_centre=(128, 128), scale=scale, degrees=degrees
    )
    for offset, expected in ((6.0, 0.0), (0.0, None)):
        warped, marks = warp(image, aside, matrix, size=256, border_label=0, label_offset=offset)
        bright, marked = np.nonzero(warped[:, :, 0] > 127), np.nonzero(marks)
        gaps = [marked[axis].mean() - bright[axis].mean() for axis in (0, 1)]
        if expected is not None:
            assert gaps == pytest.approx([expected, expected], abs=0.35)
        else:  # unchanged, they move with the picture
            assert max(abs(gap - 6) for gap in gaps) > 1


def test_a_sharp_warp_blurs_less():
    image = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    image = cv2.GaussianBlur(image, (0, 0), 1.2)
    labels = np.zeros((128, 128), np.uint8)
    matrix = affine(source_centre=(64, 64), target_centre=(64.5, 64.5), scale=1.0)
    soft, sharp = (
        warp(image, labels, matrix, size=128, sharp=sharp)[0][8:-8, 8:-8].std()
        for sharp in (False, True)
    )
    assert soft < sharp < 1.05 * image[8:-8, 8:-8].std()


def test_shade_is_smooth_and_keeps_the_hue():
    image = np.full((128, 128, 3), (100, 80, 60), np.uint8)
    result = shaded(image, np.random.default_rng(1)).astype(float)
    assert np.ptp(result[:, :, 0]) > 15
    assert max(np.abs(np.diff(result, axis=axis)).max() for axis in (0, 1)) < 12
    np.testing.assert_allclose(result[:, :, 1] / result[:, :, 0], 0.8, atol=0.03)


def test_warping_creates_no_ids_and_marks_the_outside():
    image, labels = draw_face()
    matrix = affine(source_centre=(128, 128), target_centre=(128, 128), scale=0.5, degrees=30)
    _, warped = warp(image, labels, matrix, size=256)
    assert set(np.unique(warped)) <= {*range(11), 255}
    assert warped[0, 0] == 255


def test_photometric_changes_only_colours_and_is_reproducible():
    image, _ = draw_face()
    settings = PhotometricSettings(colour=1, grey=1, enlarge=1, blur=1, noise=1, jpeg=1, shade=1)
    first = photometric(image.copy(), np.random.default_rng(4), settings)
    second = photometric(image.copy(), np.random.default_rng(4), settings)
    assert first.shape == image.shape
    assert first.dtype == np.uint8
    assert (first != image).any()
    np.testing.assert_array_equal(first, second)
    nothing = PhotometricSettings(colour=0, grey=0, enlarge=0, blur=0, noise=0, jpeg=0)
    np.testing.assert_array_equal(
        photometric(image.copy(), np.random.default_rng(4), nothing), image
    )


@pytest.mark.parametrize("degrees", [0, 45, 90, 170])
def test_a_motion_kernel_keeps_brightness_and_position(degrees: float):
    kernel = motion_kernel(9, degrees)
    assert kernel.sum() == pytest.approx(1)
    rows, columns = np.mgrid[:9, :9]
    assert (kernel * rows).sum() == pytest.approx(4, abs=0.3)
    assert (kernel * columns).sum() == pytest.approx(4, abs=0.3)


def test_probabilities_out_of_range_are_rejected():
    with pytest.raises(SettingError, match="jpeg"):
        PhotometricSettings(jpeg=1.5)
    with pytest.raises(SettingError, match="gamma"):
        PhotometricSettings(gamma=0.4)
