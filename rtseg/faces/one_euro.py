"""The one-euro filter: smooth at rest, responsive in motion."""

from __future__ import annotations

import math


class OneEuro:
    """A low-pass filter that follows faster the faster its input moves.

    Casiez, Roussel, Vogel: "1 Euro Filter", CHI 2012.

    Args:
        min_cutoff_hz: cutoff at rest; a lower one is steadier.
        beta: cutoff in Hz per unit of speed; a higher one lags less.
        speed_cutoff_hz: cutoff of the filter for the speed itself.
    """

    def __init__(
        self, *, min_cutoff_hz: float = 1.5, beta: float = 12.0, speed_cutoff_hz: float = 3.0
    ) -> None:
        self.min_cutoff_hz = min_cutoff_hz
        self.beta = beta
        self.speed_cutoff_hz = speed_cutoff_hz
        self._value: float | None = None
        self._speed = 0.0

    def __call__(self, value: float, step_seconds: float, *, unit: float = 1.0) -> float:
        """Filter the value that follows the last one after `step_seconds` (positive).

        `unit` is the unit of length in speeds: the size of what moves, so that small and large
        faces are filtered alike.
        """
        if self._value is None:
            self._value = value
            return value
        speed = (value - self._value) / (unit * step_seconds)
        self._speed += low_pass_share(self.speed_cutoff_hz, step_seconds) * (speed - self._speed)
        cutoff = self.min_cutoff_hz + self.beta * abs(self._speed)
        self._value += low_pass_share(cutoff, step_seconds) * (value - self._value)
        return self._value


def low_pass_share(cutoff_hz: float, step_seconds: float) -> float:
    """The weight of a new value in a low-pass filter of first order, 0..1."""
    turns = 2 * math.pi * cutoff_hz * step_seconds
    return turns / (turns + 1)
