"""A finder's views with little contrast, and with glaring backgrounds."""

import dataclasses

import numpy as np
import pytest

from tests.training.augment.test_face_scenes import scenes
from training.augment.face_light import faded, overexposed

STRIPES = np.tile(np.repeat(np.array([30, 220], np.uint8), 8), (64, 8))[..., None].repeat(3, 2)


@pytest.mark.parametrize("seed", range(20))
def test_a_faded_view_has_less_contrast_but_shows_what_it_showed(seed):
    view = faded(STRIPES, np.random.default_rng(seed))
    assert view.shape == STRIPES.shape
    assert view.dtype == np.uint8
    assert 3 < view.std() < 0.95 * STRIPES.std()
    alike = np.corrcoef(view.mean(2).ravel(), STRIPES.mean(2).ravel())[0, 1]
    assert alike > 0.5


def test_views_fade_towards_black_white_and_between():
    means = [faded(STRIPES, np.random.default_rng(seed)).mean() for seed in range(40)]
    assert min(means) < 60
    assert max(means) > 190


def test_what_is_dark_already_does_not_vanish():
    dark = (STRIPES * 0.08).astype(np.uint8)
    assert dark.std() > 6
    assert all(faded(dark, np.random.default_rng(seed)).std() > 3 for seed in range(20))


@pytest.mark.parametrize("seed", range(10))
def test_an_overexposed_background_is_brighter_and_partly_white(seed):
    view = overexposed(STRIPES, np.random.default_rng(seed))
    assert (view.astype(int) >= STRIPES.astype(int) - 1).all()
    assert (view > 250).mean() > (STRIPES > 250).mean()


def test_light_changes_no_face_and_no_other_view():
    plain, foggy = scenes(), scenes(faded=1.0)
    changed = 0
    for index in range(6):
        before, faces, uncertain = plain.scene(index)
        after, same_faces, same_uncertain = foggy.scene(index)
        assert (faces, uncertain) == (same_faces, same_uncertain)
        changed += not np.array_equal(before, after)
        again = dataclasses.replace(foggy, settings=plain.settings).scene(index)[0]
        assert np.array_equal(before, again)
    assert changed >= 4  # all but those that show nearly nothing


def test_glare_lights_the_background_behind_people():
    plain, glaring = scenes(smallest=0.3), scenes(smallest=0.3, overexposed=1.0)
    shares = [
        (made.scene(index)[0] > 250).all(2).mean() for made in (plain, glaring) for index in (0, 1)
    ]
    assert max(shares[:2]) < 0.1 < min(shares[2:])
