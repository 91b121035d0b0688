"""Make a finder network's target maps from the faces of a view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.faces.centres import GROUPS, STRIDE

TargetMap = npt.NDArray[np.int16]
"""int16 (rows, columns, 8): peak, and whether the cell counts, in thousandths; then one quantity
per group of bins in hundredths (degrees for the roll); then their weight in hundredths."""

_CHANNELS = 3 + len(GROUPS)
_SPREAD = 0.12  # a peak's standard deviation, relative to the face's size
_LEAST_SPREAD = 0.6  # cells
_DESCRIBES = 0.3  # least peak value of cells that learn the face's properties


@dataclass(frozen=True, kw_only=True)
class PlacedFace:
    """A face in a view.

    Attributes:
        x, y: its centre in pixels.
        width, height: its size in pixels, measured upright.
        roll_degrees: rotation, clockwise on the screen.
        visible: the visible share, 0..1.
        box: (left, top, right, bottom) of its part inside the picture, in pixels.
    """

    x: float
    y: float
    width: float
    height: float
    roll_degrees: float
    visible: float
    box: tuple[float, float, float, float]

    @property
    def size(self) -> float:
        """The square root of width times height, in pixels."""
        return math.sqrt(self.width * self.height)


def target_map(
    faces: Sequence[PlacedFace],
    uncertain: Sequence[PlacedFace],
    *,
    height: int,
    width: int,
) -> TargetMap:
    """Make the target map of a view.

    Args:
        faces: the faces to find.
        uncertain: faces that need not be found, as they are hardly visible or too small.
        height, width: size of the view in pixels.
    """
    rows, columns = height // STRIDE, width // STRIDE
    target = np.zeros((rows, columns, _CHANNELS), np.int16)
    target[..., 1] = 1000
    across = np.arange(columns, dtype=np.float32) + 0.5
    down = np.arange(rows, dtype=np.float32)[:, None] + 0.5
    for face in uncertain:
        reach = max(1.0, 0.5 * face.size / STRIDE)
        near = np.hypot(across - face.x / STRIDE, down - face.y / STRIDE) < reach
        target[near, 1] = 0
    best = np.zeros((rows, columns), np.float32)
    for face in sorted(faces, key=lambda one: -one.size):
        x, y = face.x / STRIDE, face.y / STRIDE
        spread = max(_LEAST_SPREAD, _SPREAD * face.size / STRIDE)
        distance = (across - x) ** 2 + (down - y) ** 2
        peak = np.exp(-distance / (2 * spread**2))
        row = min(rows - 1, max(0, int(y)))
        column = min(columns - 1, max(0, int(x)))
        peak[row, column] = 1.0
        is_nearest = (peak > best) & (peak >= _DESCRIBES)
        target[is_nearest, 2] = np.rint(100 * math.log2(face.size))
        target[is_nearest, 3] = np.rint(100 * math.log2(face.width / face.height))
        target[is_nearest, 4] = np.rint(face.roll_degrees)
        target[..., 5][is_nearest] = np.rint(
            100 * np.broadcast_to(x - across, peak.shape)[is_nearest]
        )
        target[..., 6][is_nearest] = np.rint(
            100 * np.broadcast_to(y - down, peak.shape)[is_nearest]
        )
        target[is_nearest, 7] = np.rint(100 * peak[is_nearest])
        best = np.maximum(best, peak)
        target[row, column, 1] = 1000
    target[..., 0] = np.rint(1000 * best)
    return target
