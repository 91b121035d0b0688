"""Bilinear interpolation on a grid of cells over a picture.

Half-pixel centres, edges replicated: what PyTorch calls `align_corners=False`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.geometry.crop import Crop

Positions = npt.NDArray[np.float32]
"""Positions along one axis in cells, 0 at the first cell's centre; float32 (count,)."""

Grid = npt.NDArray[np.float32]
"""float32 (height, width, channels)."""


def grid_positions(
    first: int, count: int, *, origin: float, extent: float, cells: int
) -> Positions:
    """Positions of pixel centres relative to the centres of grid cells, along one axis.

    Args:
        first, count: the first pixel and the number of pixels.
        origin, extent: the grid's beginning and length in pixels.
        cells: its number of cells.

    Returns:
        float32 (count,), 0 at the first cell's centre, clipped to 0..cells - 1.
    """
    centres = np.arange(first, first + count, dtype=np.float64) + 0.5
    positions = (centres - origin) * (cells / extent) - 0.5
    return positions.clip(0, cells - 1).astype(np.float32)


def interpolate(values: Grid, rows: Positions, columns: Positions) -> Grid:
    """Interpolate every channel bilinearly at every crossing of rows and columns.

    Args:
        values: float32 (height, width, channels).
        rows, columns: positions from `grid_positions`.

    Returns:
        float32 (len(rows), len(columns), channels).
    """
    height, width, channels = values.shape
    # NumPy's `take` copies whole cells, several times as fast as indexing
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
    # one weight per channel, because multiplying short runs by a single number is slow
    following *= share.repeat(channels).reshape(-1, channels)
    across += following
    return across


def block_means(values: Grid, *, cells: int) -> Grid:
    """Average blocks of 2 x 2, 4 x 4, … cells, as large as leaves enough blocks per side.

    Args:
        values: float32 (rows, columns, channels); returned as is if no blocks fit.
        cells: the fewest blocks per side of the result.
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
    """The cell before each position, and the position's fraction towards the next cell."""
    low = np.minimum(positions.astype(np.intp), max(cells - 2, 0))
    return low, positions - low.astype(np.float32)


def carried_over(
    values: Grid, was: Crop, now: Crop, *, window: tuple[slice, slice] | None = None
) -> tuple[Grid, npt.NDArray[np.float32]]:
    """Resample one crop's values at the cells of another crop with the same grid size.

    Args:
        values: float32 (rows, columns, channels).
        was, now: the crop of the values, and the crop to resample for.
        window: the rows and columns of the result that are needed; by default all.

    Returns:
        float32 (rows, columns, channels) of the window, with edges replicated; and float32 (rows,
        columns), 1 where a cell's centre is inside the old crop, else 0.
    """
    import cv2

    rows, columns = values.shape[:2]
    window = window or (slice(rows), slice(columns))
    new_rows, new_columns = np.arange(rows)[window[0]], np.arange(columns)[window[1]]
    matrix_now = np.vstack((now.grid_from_frame(rows, columns), [0, 0, 1]))
    matrix = was.grid_from_frame(rows, columns) @ np.linalg.inv(matrix_now)
    from_window = matrix.copy()
    from_window[:, 2] += matrix[:, :2] @ (new_columns[0], new_rows[0])
    moved = cv2.warpAffine(
        values,
        from_window,
        (len(new_columns), len(new_rows)),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    moved = moved.astype(np.float32, copy=False)
    if was.is_upright and now.is_upright:
        y_known = _is_known(now.box.top, now.box.height, was.box.top, was.box.height, rows)
        x_known = _is_known(now.box.left, now.box.width, was.box.left, was.box.width, columns)
        return moved, np.outer(y_known[window[0]], x_known[window[1]])
    x, y = np.meshgrid(new_columns, new_rows)
    old_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    old_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    is_known = (old_x >= -0.5) & (old_x <= columns - 0.5) & (old_y >= -0.5) & (old_y <= rows - 0.5)
    return moved, is_known.astype(np.float32)


def _is_known(
    now_start: float, now_extent: float, was_start: float, was_extent: float, cells: int
) -> npt.NDArray[np.float32]:
    """1 for the new cells whose centres are inside the old grid along one axis, else 0."""
    centres = now_start + (np.arange(cells) + 0.5) * (now_extent / cells)
    is_known = (centres >= was_start) & (centres <= was_start + was_extent)
    return is_known.astype(np.float32)
