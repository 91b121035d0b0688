"""Boxes that are steady on a still head, and keep up with a moving one.

An edge of a head's box jumps far when a lock of hair comes or goes in the labels. An edge that was
filtered by itself would take that for a fast movement and follow at once. So all edges share the
speed of the face, which hardly depends on hair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rtseg.faces.one_euro import low_pass_share
from rtseg.frames import Box

_CUTOFF_HZ, _BETA = 1.0, 6.0  # at rest, and more per face height a second
_SPEED_CUTOFF_HZ = 3.0


class BoxSpeed:
    """The speed of a box: of its centre or its edges' distance from it, whichever is faster."""

    def __init__(self) -> None:
        self._past: tuple[float, ...] | None = None
        self._speeds: tuple[float, ...] = (0.0,) * 4

    def __call__(self, box: Box, step_seconds: float) -> float:
        """The speed, in heights of the box a second, after a time step (positive)."""
        now = (*box.centre, box.width / 2, box.height / 2)
        past, self._past = self._past, now
        if past is None:
            return 0.0
        unit = max(1.0, box.height) * step_seconds
        share = low_pass_share(_SPEED_CUTOFF_HZ, step_seconds)
        # each with its sign, so that noise cancels out
        self._speeds = tuple(
            speed + share * ((new - old) / unit - speed)
            for speed, new, old in zip(self._speeds, now, past, strict=True)
        )
        x, y, half_width, half_height = self._speeds
        return max(math.hypot(x, y), abs(half_width), abs(half_height))


@dataclass(eq=False)
class SteadyBox:
    """A box filtered over time."""

    _past: Box | None = field(default=None, init=False)

    def __call__(self, box: Box, step_seconds: float, *, speed: float) -> Box:
        """Filter the box that follows the last one after a time step.

        Args:
            box: in pixels.
            step_seconds: positive.
            speed: that of the face in it, from `BoxSpeed`.
        """
        past = self._past or box
        share = low_pass_share(_CUTOFF_HZ + _BETA * speed, step_seconds)
        left, top, right, bottom = (
            old + share * (new - old) for old, new in zip(past.xyxy, box.xyxy, strict=True)
        )
        self._past = Box(left=left, top=top, right=right, bottom=bottom)
        return self._past
