"""Track the natural colour of a face part, smoothed from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Statistics = npt.NDArray[np.float64]
"""Figures of one part of one face, as the effect that measures them orders them."""

SETTLING_SECONDS = 0.8
"""Time constant: an exposure that drifts is followed, a lock that comes and goes is not."""

_GAP_SECONDS = 2.0


@dataclass
class _Held:
    values: Statistics
    seconds: float


class ColourMemory:
    """Averages colour statistics of each track over time. One for each stream.

    Without it, a recoloured region brightens and darkens with every pixel that joins or leaves
    its mask.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], _Held] = {}
        self._seconds = 0.0

    def begin(self, seconds: float) -> None:
        """Note the time of the next frame, in seconds; forget what is too old to hold."""
        self._seconds = seconds
        self._held = {
            key: held
            for key, held in self._held.items()
            if 0 <= seconds - held.seconds <= _GAP_SECONDS
        }

    def reset(self) -> None:
        """Forget everything, as at a cut."""
        self._held.clear()

    def steadied(self, part: str, track_id: int, measured: Statistics) -> Statistics:
        """The average up to this frame, the measured figures included.

        Args:
            part: what they are of, by the effect's name.
            track_id: whose they are.
            measured: this frame's figures.
        """
        key = (part, track_id)
        held = self._held.get(key)
        values = measured
        if held is not None and held.values.shape == measured.shape:
            share = math.exp(-(self._seconds - held.seconds) / SETTLING_SECONDS)
            values = share * held.values + (1 - share) * measured
        self._held[key] = _Held(values, self._seconds)
        return values
