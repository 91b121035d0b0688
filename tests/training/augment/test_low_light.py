"""Views in poor light, stretched as rtseg stretches what its networks see."""

from __future__ import annotations

import numpy as np
import pytest

from training.augment.low_light import in_low_light

SHADES = np.linspace(10, 240, 64).astype(np.uint8)
RAMP = np.repeat(np.tile(SHADES, (64, 1))[..., None], 3, 2)


def seen(seed: int) -> np.ndarray:
    return in_low_light(RAMP, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(12))
def test_a_view_is_worse_but_as_bright_as_before_and_shows_the_same(seed: int) -> None:
    before = RAMP.copy()
    view = seen(seed)
    assert np.array_equal(RAMP, before)
    assert view.shape == RAMP.shape
    assert view.dtype == np.uint8
    assert not np.array_equal(view, RAMP)
    assert np.percentile(view, 98) - np.percentile(view, 2) > 150
    assert np.corrcoef(view.mean(2).ravel(), RAMP.mean(2).ravel())[0, 1] > 0.8


def test_some_views_are_much_worse_than_others() -> None:
    errors = [np.abs(seen(seed).mean(2) - RAMP[..., 0]).mean() for seed in range(40)]
    assert max(errors) > 3 * min(errors)


def test_the_same_seed_gives_the_same_view() -> None:
    assert np.array_equal(seen(3), seen(3))
