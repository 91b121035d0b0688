"""Tone curves for effects."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import numpy.typing as npt

Values = TypeVar("Values", npt.NDArray[np.float32], npt.NDArray[np.float64])

_SHOULDER = 75.0
"""L* above which lightening is reduced, so that strands in bright light remain distinct."""

_LEAST_POWER, _MOST_POWER = 0.45, 4.5


def smooth_step(values: Values, low: float, high: float) -> Values:
    """0 up to `low`, 1 from `high`, and a smooth cubic in between."""
    share = (values - low) * (1 / max(high - low, 1e-6))
    np.clip(share, 0, 1, out=share)
    slope = 3 - 2 * share
    share *= share
    share *= slope
    return share


def lightened(
    light: npt.NDArray[np.float64], mean: float, goal: float, *, toe: float = 0.0
) -> npt.NDArray[np.float64]:
    """A tone curve through black and white that maps one lightness to another.

    Args:
        light: L* values to map, 0..100.
        mean, goal: the lightness before and after.
        toe: how far below black, in L*, a lightening curve begins. This lifts black itself,
            because a power curve alone would spread the darkest levels too far apart.

    Returns:
        L*, 0..100.
    """
    mean, goal = min(max(mean, 2.0), 97.0), min(max(goal, 1.0), 97.0)
    toe = toe if goal > mean else 0.0
    power = math.log((goal + toe) / (100 + toe)) / math.log((mean + toe) / (100 + toe))
    power = min(max(power, _LEAST_POWER), _MOST_POWER)
    curve = (100 + toe) * ((light + toe) / (100 + toe)) ** power - toe
    if power < 1:
        above = np.maximum(curve - _SHOULDER, 0)
        room = 100 - _SHOULDER
        # never darker than before
        flattened = np.minimum(curve, _SHOULDER) + room * (1 - np.exp(-above / room))
        curve = np.maximum(flattened, np.minimum(light, curve))
    return curve
