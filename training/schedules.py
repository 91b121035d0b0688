"""Learning-rate schedules as pure functions of how far a run is.

A run may follow its steps or the clock; both give a progress from 0 to 1, and a schedule gives the
rate's share of its peak. Where PyTorch has the schedule, the two agree (a test holds them equal).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Schedule = Literal["one-cycle", "cosine-restarts", "poly", "step", "constant"]


def one_cycle(progress: float, *, warm_up: float, start: float = 0.04) -> float:
    """A cosine rise from `start` to 1, then a cosine fall to zero.

    Smith and Topin, "Super-convergence", 2019; `start` is the inverse of PyTorch's `div_factor`,
    `warm_up` its `pct_start`.
    """
    if progress < warm_up:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warm_up)) / 2
    fallen = min(1.0, (progress - warm_up) / (1 - warm_up))
    return (1 + math.cos(math.pi * fallen)) / 2


def cycled_momentum(
    progress: float, *, warm_up: float, highest: float = 0.95, lowest: float = 0.85
) -> float:
    """One-cycle's momentum: low where the rate is high."""
    return highest - (highest - lowest) * one_cycle(progress, warm_up=warm_up, start=0.0)


def cosine_restarts(epoch: float, *, first: float, factor: float) -> float:
    """A cosine fall to zero over `first` epochs, again over `factor` times as many, and so on.

    Loshchilov and Hutter, "SGDR", ICLR 2017.
    """
    length = first
    while epoch >= length:
        epoch -= length
        length *= factor
    return (1 + math.cos(math.pi * epoch / length)) / 2


def poly(progress: float, *, power: float) -> float:
    """(1 - progress) ** power, as DeepLab has it (Chen et al., TPAMI 2017)."""
    return float(max(0.0, 1 - progress) ** power)


def step(progress: float, *, cuts: Sequence[float], factor: float) -> float:
    """Multiplied by `factor` at each of `cuts`, shares of the run."""
    return float(factor ** sum(progress >= cut for cut in cuts))
