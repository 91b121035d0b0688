"""Track the natural colour of a face part, smoothed from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Statistics = npt.NDArray[np.float64]
"""Statistics of one part of one face; their order is up to the effect that measures them."""

SETTLING_SECONDS = 0.8
"""Time constant in seconds: follows drifting exposure, but not a lock of hair coming and going."""

_GAP_SECONDS = 2.0


@dataclass
class _Held:
    values: Statistics
    seconds: float


class ColourMemory:
    """Averages each track's colour statistics over time. Use one per stream.

    Without it, a recoloured region flickers with every pixel that enters or leaves its mask.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[str, int], _Held] = {}
        self._seconds = 0.0

    def begin(self, seconds: float) -> None:
        """Set the time of the next frame in seconds; forget statistics that are too old."""
        self._seconds = seconds
        self._held = {
            key: remembered
            for key, remembered in self._held.items()
            if 0 <= seconds - remembered.seconds <= _GAP_SECONDS
        }

    def reset(self) -> None:
        """Forget everything, for example at a cut."""
        self._held.clear()

    def steadied(self, part: str, track_id: int, measured: Statistics) -> Statistics:
        """Return the average up to and including this frame.

        Args:
            part: the part, by the effect's name.
            track_id: the face's track.
            measured: this frame's statistics.
        """
        key = (part, track_id)
        remembered = self._held.get(key)
        values = measured
        if remembered is not None and remembered.values.shape == measured.shape:
            share = math.exp(-(self._seconds - remembered.seconds) / SETTLING_SECONDS)
            values = share * remembered.values + (1 - share) * measured
        self._held[key] = _Held(values, self._seconds)
        return values
