"""Positions between the cells of a grid over a picture, and bilinear interpolation at them.

Half-pixel centres, edges replicated: what PyTorch calls `align_corners=False`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.geometry.crop import Crop

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
    height, width, channels = values.shape
    # NumPy's `take` copies whole cells, several times as fast as indexing does
    low, share = _neighbours(rows, height)
    down = values.take(low, axis=0)
    following = values.take(np.minimum(low + 1, height - 1), axis=0)
    following -= down
    following *= share[:, None, None]
    down += following
    low, share = _neighbours(columns, width)
    across: Grid = down.take(low, axis=1)
    following = down.take(np.minimum(low + 1, width - 1), axis=1)
    following -= across
    # a share a channel, as multiplying short runs by one number each is slow
    following *= share.repeat(channels).reshape(-1, channels)
    across += following
    return across


def block_means(values: Grid, *, cells: int) -> Grid:
    """The means of blocks of 2 x 2, 4 x 4, … cells: as large as leave so many cells a side.

    Args:
        values: float32 (rows, columns, channels); the grid itself where no such blocks fit.
        cells: the fewest of the result, a side.
    """
    rows, columns, channels = values.shape
    while min(rows, columns) >= 2 * cells and rows % 2 == 0 and columns % 2 == 0:
        lines = values.reshape(rows // 2, 2, columns * channels)
        rows, columns = rows // 2, columns // 2
        pairs = (lines[:, 0] + lines[:, 1]).reshape(rows, columns, 2, channels)
        values = pairs[:, :, 0] + pairs[:, :, 1]
        values *= 0.25
    return values


def _neighbours(positions: Positions, cells: int) -> tuple[npt.NDArray[np.intp], Positions]:
    """The cell before each position, and how far the position lies towards the next."""
    low = np.minimum(positions.astype(np.intp), max(cells - 2, 0))
    return low, positions - low.astype(np.float32)


def carried_over(values: Grid, was: Crop, now: Crop) -> tuple[Grid, npt.NDArray[np.float32]]:
    """The values of one crop in the cells of another, of as many rows and columns.

    Args:
        values: float32 (rows, columns, channels).
        was, now: where the values come from, and where they are wanted.

    Returns:
        float32 (rows, columns, channels), edges replicated; and 1 where a cell's centre lies in
        the old crop, else 0: float32 (rows, columns).
    """
    rows, columns = values.shape[:2]
    if was.is_upright and now.is_upright:
        y, y_known = _carried_positions(
            now.box.top, now.box.height, was.box.top, was.box.height, rows
        )
        x, x_known = _carried_positions(
            now.box.left, now.box.width, was.box.left, was.box.width, columns
        )
        return interpolate(values, y, x), np.outer(y_known, x_known)
    import cv2

    there = np.vstack((now.grid_from_frame(rows, columns), [0, 0, 1]))
    matrix = was.grid_from_frame(rows, columns) @ np.linalg.inv(there)
    moved = cv2.warpAffine(
        values,
        matrix,
        (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    old_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    old_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    known = (old_x >= -0.5) & (old_x <= columns - 0.5) & (old_y >= -0.5) & (old_y <= rows - 0.5)
    return moved.astype(np.float32, copy=False), known.astype(np.float32)


def _carried_positions(
    now_start: float, now_extent: float, was_start: float, was_extent: float, cells: int
) -> tuple[Positions, Positions]:
    """Where the new cells' centres lie in the old grid along one axis, and which lie inside it."""
    cell = now_extent / cells
    # measured in new cells, so that these are the "pixels" of the old grid
    positions = grid_positions(
        0, cells, origin=(was_start - now_start) / cell, extent=was_extent / cell, cells=cells
    )
    centres = now_start + (np.arange(cells) + 0.5) * cell
    known = (centres >= was_start) & (centres <= was_start + was_extent)
    return positions, known.astype(np.float32)
