"""Positions between the cells of a probability map, and bilinear interpolation at them.

Half-pixel centres, edges replicated: what PyTorch calls `align_corners=False`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.float32]
"""Along one axis, in cells, 0 at the first cell's centre; float32 (count,)."""

Grid = npt.NDArray[np.float32]
"""float32 (height, width, channels)."""


def grid_positions(
    first: int, count: int, *, origin: float, extent: float, cells: int
) -> Positions:
    """Where the centres of pixels lie between the centres of grid cells, along one axis.

    Args:
        first, count: the pixels.
        origin, extent: where the grid begins and how long it is, in pixels.
        cells: how many cells it has.

    Returns:
        float32 (count,), 0 at the first cell's centre, held within 0..cells - 1.
    """
    centres = np.arange(first, first + count, dtype=np.float64) + 0.5
    positions = (centres - origin) * (cells / extent) - 0.5
    return positions.clip(0, cells - 1).astype(np.float32)


def interpolate(values: Grid, rows: Positions, columns: Positions) -> Grid:
    """Every channel at every crossing of rows and columns, bilinear.

    Args:
        values: float32 (height, width, channels).
        rows, columns: positions as `grid_positions` gives them.

    Returns:
        float32 (len(rows), len(columns), channels).
    """
    low, share = _neighbours(rows, values.shape[0])
    down = values[low]
    down += (values[np.minimum(low + 1, values.shape[0] - 1)] - down) * share[:, None, None]
    low, share = _neighbours(columns, values.shape[1])
    across: Grid = down[:, low]
    following = down[:, np.minimum(low + 1, values.shape[1] - 1)]
    following -= across
    following *= share[:, None]
    across += following
    return across


def _neighbours(positions: Positions, cells: int) -> tuple[npt.NDArray[np.intp], Positions]:
    """The cell before each position, and how far the position lies towards the next."""
    low = np.minimum(positions.astype(np.intp), max(cells - 2, 0))
    return low, positions - low.astype(np.float32)
