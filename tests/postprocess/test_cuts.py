"""Cuts are noticed; noise, movement and exposure are none."""

import numpy as np
import pytest

from rtseg.postprocess.smoothing import CutDetector
from tests.postprocess.patterns import picture


def test_a_cut_is_noticed_once():
    cuts = CutDetector()
    dark = picture() // 3
    assert not cuts(picture())
    assert not cuts(picture(2))
    assert cuts(dark)
    assert not cuts(dark)


def test_a_cut_between_dark_pictures_is_noticed():
    """Most of both is black: shares of colours say little, the places much."""
    left, right = np.zeros((90, 160, 3), np.uint8), np.zeros((90, 160, 3), np.uint8)
    left[20:70, 10:60] = 150
    right[30:90, 90:150] = (90, 60, 50)
    cuts = CutDetector()
    assert not cuts(left)
    assert cuts(right)


def test_noise_motion_and_slow_fades_are_not_cuts():
    cuts = CutDetector()
    assert not any(cuts(picture(3 * i, noise=8, seed=i)) for i in range(20))
    cuts = CutDetector()
    assert not any(cuts(picture(12 * i)) for i in range(20))
    cuts = CutDetector()
    assert not any(cuts((picture() * (1 - i / 60)).astype(np.uint8)) for i in range(60))


def test_a_fast_pan_that_loses_its_subject_is_not_a_cut():
    """Its colours change as much as in a cut, but it moved as fast before."""
    rng = np.random.default_rng(0)
    scene = np.full((90, 480, 3), 120, np.uint8)
    scene[:, 160:] += rng.integers(0, 12, (90, 320, 3), np.uint8)
    scene[:, :160] = (230, 60, 20)  # the subject, on the left
    scene[20:70, 20:140] = (20, 60, 230)
    cuts = CutDetector()
    assert not any(cuts(scene[:, 40 * i : 40 * i + 160]) for i in range(9))


def test_a_shot_of_a_single_frame_begins_and_ends_with_a_cut():
    cuts = CutDetector()
    dark = picture() // 3
    assert [cuts(shot) for shot in (picture(), dark, picture(), dark)] == [False] + 3 * [True]


def test_a_cut_after_motion_is_noticed():
    cuts = CutDetector()
    assert not any(cuts(picture(12 * i)) for i in range(5))
    assert cuts(picture(60) // 3)
    assert not any(cuts(picture(60 + 12 * i) // 3) for i in range(5))


def test_a_jump_of_the_exposure_is_not_a_cut():
    """All colours change, but by less than the picture's own contrast."""
    cuts = CutDetector()
    assert not cuts(picture())
    assert not cuts(picture() + np.uint8(15))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_small_picture_is_compared_up_to_its_edge(axis):
    cuts = CutDetector()
    before = np.zeros((2, 64, 3), np.uint8) if axis == 0 else np.zeros((64, 2, 3), np.uint8)
    after = before.copy()
    after[(np.s_[-1], np.s_[:])[:: 1 if axis == 0 else -1]] = 255
    assert not cuts(before)
    assert cuts(after)


def test_another_size_is_not_compared():
    cuts = CutDetector()
    cuts(picture())
    assert not cuts(picture(size=20) // 3)
    assert not cuts(np.zeros((1, 1, 3), np.uint8))
