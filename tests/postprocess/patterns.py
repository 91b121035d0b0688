"""Pictures that move and are noisy as told."""

import numpy as np


def picture(shift=0.0, *, size=256, noise=0.0, seed=0):
    """A soft diagonal pattern, moved to the right by `shift` pixels, with sensor noise."""
    rows, columns = np.mgrid[:size, :size]
    wave = 120 + 70 * np.sin((columns - shift) / 9) * np.cos(rows / 13)
    grain = np.random.default_rng(seed).normal(0, noise, (size, size)) if noise else 0
    return np.repeat((wave + grain).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
