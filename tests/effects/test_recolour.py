"""Recoloured hair, lips and brows: the colour arrives, the texture stays."""

import numpy as np
import pytest

from rtseg.effects import recolour_brows, recolour_hair, recolour_lips
from rtseg.effects.tones import lightened
from tests.effects.portrait import core, lab, portrait


def lab_of(colour):
    pixel = np.array([[tuple(bytes.fromhex(colour[1:]))]], np.uint8)
    return lab(pixel)[0, 0]


@pytest.mark.parametrize(
    ("colours", "target"),
    [
        ({}, "#b5532a"),  # black to copper
        ({10: (222, 190, 120)}, "#15100e"),  # blonde to black
        ({10: (150, 150, 152)}, "#6a2c70"),  # grey to purple
    ],
)
def test_hair_takes_the_colour_and_keeps_its_strands(colours, target):
    image, result = portrait(colours=colours, grain=9.0)
    made = recolour_hair(image, result, target, strength=1.0)
    inside = core(result, "hair")
    before, after, wanted = lab(image)[inside], lab(made)[inside], lab_of(target)
    # lightness moves a large part of the way, but not all of it
    share = (after[:, 0].mean() - before[:, 0].mean()) / (wanted[0] - before[:, 0].mean())
    assert 0.4 < share < 0.9
    # the hue is the target's, if the target has one
    if np.hypot(*wanted[1:]) > 10:
        hue = np.arctan2(*after[:, 1:].mean(0)[::-1]) - np.arctan2(*wanted[:0:-1])
        assert abs(np.degrees(hue)) < 20
    # lighter pixels stay lighter: strands remain distinct
    assert np.corrcoef(before[:, 0], after[:, 0])[0, 1] > 0.9
    assert after[:, 0].std() > 0.35 * before[:, 0].std()


def test_chroma_falls_in_shadows_and_highlights():
    image, result = portrait(colours={10: (110, 100, 96)}, grain=45.0)
    made = recolour_hair(image, result, "#6a2c70", strength=1.0)
    after = lab(made)[core(result, "hair")]
    chroma, light = np.hypot(after[:, 1], after[:, 2]), after[:, 0]
    middle = np.median(chroma[abs(light - np.median(light)) < 5])
    assert np.median(chroma[light < np.percentile(light, 3)]) < 0.7 * middle
    assert np.median(chroma[light > 85]) < 0.7 * middle


def test_recoloured_hair_has_no_halo():
    image, result = portrait()
    made = recolour_hair(image, result, "#6a2c70", strength=1.0)
    alpha = result.alpha("hair")
    changed = (made != image).any(2)
    assert changed[core(result, "hair")].mean() > 0.95
    # pixels with less than three tenths of hair are unchanged
    assert not changed[alpha < 0.295].any()


def test_a_bright_wall_between_dark_strands_is_not_recoloured():
    image, result = portrait()
    gaps = np.zeros(image.shape[:2], bool)
    gaps[:, ::9] = True
    gaps &= core(result, "hair")
    image[gaps] = (240, 238, 235)
    made = recolour_hair(image, result, "#b5532a", strength=1.0)
    moved = np.abs(made.astype(int) - image).max(2)
    assert np.median(moved[gaps]) < 30
    assert np.median(moved[core(result, "hair") & ~gaps]) > 40


def test_lips_take_the_colour_and_teeth_do_not():
    image, result = portrait(grain=3.0)
    # the mask is wrong: a few rows of the teeth count as lips, as in a laugh
    lips = result.mask("lips")
    rows, columns = np.nonzero(lips)
    mistaken = np.zeros_like(lips)
    mistaken[rows.max() - 3 : rows.max() + 1, columns.min() : columns.max()] = True
    mistaken &= lips
    image[mistaken] = (228, 222, 205)
    made = recolour_lips(image, result, "#b0122a", strength=1.0)
    before, after, wanted = lab(image), lab(made), lab_of("#b0122a")
    inside = core(result, "lips", by=2) & ~mistaken
    assert after[inside][:, 1].mean() > before[inside][:, 1].mean() + 10
    assert after[inside][:, 0].mean() < before[inside][:, 0].mean()
    assert after[inside][:, 1].mean() < wanted[1] + 8
    assert np.abs(after[mistaken] - before[mistaken]).max(1).mean() < 6
    teeth = core(result, "inner-mouth", by=2)
    assert np.abs(made.astype(int) - image)[teeth].max() <= 6


def test_highlights_on_lips_keep_their_colour():
    image, result = portrait(grain=3.0)
    rows, columns = np.nonzero(core(result, "lower-lip", by=3))
    spot = np.s_[int(rows.mean()), int(columns.mean()) - 2 : int(columns.mean()) + 3]
    image[spot] = (250, 236, 232)
    made = recolour_lips(image, result, "#3020a0", strength=1.0)
    assert np.abs(made.astype(int) - image)[spot].max() < 60
    assert np.abs(made.astype(int) - image)[core(result, "lips", by=2)].max(1).mean() > 40


def test_only_brows_take_the_brow_colour():
    image, result = portrait()
    made = recolour_brows(image, result, "#7a4020")
    changed = (made != image).any(2)
    assert changed[core(result, "brows", by=2)].mean() > 0.8
    assert not changed[result.alpha("brows") < 0.24].any()


def test_the_starting_colour_is_measured_for_each_face():
    image, result = portrait((110, 150, 150), (290, 150, 150))
    left = np.arange(image.shape[1]) < 200
    hair = core(result, "hair")
    fair = (result.alpha("hair") > 0.3) & ~left
    image[fair] = np.minimum(image[fair].astype(int) + 150, 255)
    made = lab(recolour_hair(image, result, "#808080", strength=1.0))
    dark, light = made[hair & left][:, 0].mean(), made[hair & ~left][:, 0].mean()
    was = lab(image)
    assert dark > was[hair & left][:, 0].mean() + 10
    assert light < was[hair & ~left][:, 0].mean() - 10


@pytest.mark.parametrize(
    ("mean", "goal"), [(8, 32), (50, 60), (70, 22), (40, 40), (1, 60), (99, 3)]
)
def test_the_tone_curve_rises_from_black_to_white(mean, goal):
    light = np.linspace(0, 100, 256)
    curve = lightened(light, mean, goal)
    assert (np.diff(curve) >= -1e-9).all()
    assert curve[0] == pytest.approx(0, abs=1e-9)
    assert curve.max() <= 100 + 1e-9
    if goal > mean:
        assert (curve >= light - 1e-9).all()
    # the goal is reached wherever a moderate exponent can
    if 4 < mean < 90:
        assert np.interp(mean, light, curve) == pytest.approx(goal, abs=4)
    lifted = lightened(light, mean, goal, toe=1.0)
    assert (lifted >= curve - 3).all()
    assert np.diff(lifted).max() <= np.diff(curve).max() + 1e-9
