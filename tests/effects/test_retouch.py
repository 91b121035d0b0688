"""Smoother skin, whiter teeth, brighter eyes, and nothing else."""

import numpy as np

from rtseg.effects import brighten_eyes, smooth_skin, whiten_teeth
from tests.effects.portrait import core, lab, portrait


def blemished(**options):
    image, result = portrait(grain=2.0, **options)
    rng = np.random.default_rng(8)
    spots = np.zeros(image.shape[:2], np.float32)
    spots[::14, ::14] = 1
    spots = np.roll(spots, rng.integers(0, 14), 1)
    import cv2

    dark = cv2.dilate(spots, np.ones((3, 3), np.uint8))
    image = (image - 9 * dark[:, :, None]).clip(0, 255).astype(np.uint8)
    return image, result


def test_skin_is_evened_out_and_other_parts_are_untouched():
    image, result = blemished()
    made = smooth_skin(image, result, strength=1.0)
    skin = core(result, "skin", "nose")
    was, now = lab(image)[..., 0], lab(made)[..., 0]
    assert now[skin].std() < 0.6 * was[skin].std()
    assert abs(now[skin].mean() - was[skin].mean()) < 0.5
    for part in ("lips", "eyes", "brows", "hair"):
        inside = core(result, part, by=2)
        assert np.abs(made.astype(int) - image)[inside].max() <= 1, part
    assert (made == image)[result.alpha("skin", "nose") < 0.02].all()


def test_half_the_strength_has_about_half_the_effect():
    image, result = blemished()
    skin = core(result, "skin", "nose")
    spread = [
        lab(smooth_skin(image, result, strength=strength))[skin][:, 0].std()
        for strength in (0.0, 0.5, 1.0)
    ]
    assert spread[0] > spread[1] > spread[2]
    assert (smooth_skin(image, result, strength=0.0) == image).all()


def test_an_edge_in_the_skin_is_preserved():
    image, result = portrait(grain=0.0)
    skin = core(result, "skin")
    shadow = skin & (np.arange(image.shape[1]) < 180)
    image[shadow] //= 2
    made = smooth_skin(image, result, strength=1.0)
    row = 200
    step = np.abs(np.diff(made[row, 165:195].astype(int), axis=0)).max()
    assert step > 0.8 * np.abs(np.diff(image[row, 165:195].astype(int), axis=0)).max()


def test_teeth_lose_their_yellow_and_gums_do_not():
    image, result = portrait(colours={8: (214, 200, 158)}, grain=2.0)
    inside = core(result, "inner-mouth", by=1)
    gums = inside & (np.arange(image.shape[1]) < 195)
    image[gums] = (150, 70, 72)
    made = whiten_teeth(image, result, strength=1.0)
    before, after = lab(image), lab(made)
    teeth = inside & ~gums
    assert after[teeth][:, 2].mean() < 0.7 * before[teeth][:, 2].mean()
    assert after[teeth][:, 0].mean() > before[teeth][:, 0].mean() + 2
    assert np.abs(after[gums] - before[gums]).max() < 3


def test_a_dark_open_mouth_without_teeth_stays_dark():
    image, result = portrait(colours={8: (38, 16, 18)}, grain=2.0)
    made = whiten_teeth(image, result, strength=1.0)
    assert np.abs(made.astype(int) - image).max() <= 3


def test_eyes_become_lighter_and_pupils_stay_dark():
    image, result = portrait(colours={4: (150, 150, 148), 5: (150, 150, 148)}, grain=2.0)
    inside = core(result, "eyes", by=2)
    pupils = inside & (np.arange(image.shape[1]) % 8 < 2)
    image[pupils] = (12, 10, 10)
    made = brighten_eyes(image, result, strength=1.0)
    whites = inside & ~pupils
    assert lab(made)[whites][:, 0].mean() > lab(image)[whites][:, 0].mean() + 5
    assert lab(made)[pupils][:, 0].mean() < 16
    assert (made == image)[result.alpha("eyes") < 0.3].all()
