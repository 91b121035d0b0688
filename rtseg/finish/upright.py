"""Labels on a grid of pixels that is parallel to the cells: exact, and computed only at borders.

Bilinear values are convex combinations of a cell's four corners, so where one class leads at all
four corners it leads everywhere in between; only the cells that a border runs through are
computed pixel by pixel, and there only for the classes that can win. The result is that of
interpolating every class everywhere, in a fraction of the time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.faces.grids import Positions, interpolate
from rtseg.frames import LabelMap, Probabilities


def labels_at(probabilities: Probabilities, rows: Positions, columns: Positions) -> LabelMap:
    """The class that leads at every crossing of rows and columns, ascending positions.

    Args:
        probabilities: float32 (height, width, classes).
        rows, columns: positions as `grid_positions` gives them.

    Returns:
        uint8 (len(rows), len(columns)).
    """
    height, width, _ = probabilities.shape
    if min(height, width) < 2 or len(rows) <= height or len(columns) <= width:
        dense: LabelMap = interpolate(probabilities, rows, columns).argmax(2).astype(np.uint8)
        return dense
    leaders = probabilities.argmax(2).astype(np.uint8)
    row_cells = np.minimum(rows.astype(np.intp), height - 2)
    column_cells = np.minimum(columns.astype(np.intp), width - 2)
    labels: LabelMap = leaders.take(column_cells, axis=1).take(row_cells, axis=0)
    mixed = has_border(leaders)
    cell_rows, cell_columns = np.nonzero(mixed)
    if len(cell_rows):
        down = _Axis(rows, row_cells, height)
        across = _Axis(columns, column_cells, width)
        _refine(labels, probabilities, leaders, cell_rows, cell_columns, down, across)
    return labels


def has_border(leaders: LabelMap) -> npt.NDArray[np.bool_]:
    """Between which four neighbours not one and the same class leads: (height - 1, width - 1)."""
    mixed: npt.NDArray[np.bool_] = leaders[:-1, :-1] != leaders[1:, 1:]
    mixed |= leaders[:-1, 1:] != leaders[1:, :-1]
    mixed |= leaders[:-1, 1:] != leaders[1:, 1:]
    return mixed


class _Axis:
    """Which pixels of one axis lie in which cell, and how far along."""

    def __init__(self, positions: Positions, cells: npt.NDArray[np.intp], count: int) -> None:
        self.shares = positions - cells.astype(np.float32)
        self.first = np.searchsorted(cells, np.arange(count))
        self.counts = np.searchsorted(cells, np.arange(count), side="right") - self.first

    def pixels(self, cells: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """The pixels of each cell, (most in a cell, len(cells)); shorter ones repeat their last."""
        counts = self.counts[cells]
        steps = np.arange(counts.max(initial=0))[:, None]
        inside: npt.NDArray[np.intp] = self.first[cells] + np.minimum(steps, counts - 1)
        return inside


def _refine(
    labels: LabelMap,
    probabilities: Probabilities,
    leaders: LabelMap,
    cell_rows: npt.NDArray[np.intp],
    cell_columns: npt.NDArray[np.intp],
    down: _Axis,
    across: _Axis,
) -> None:
    """Compute the pixels of the given cells from their corners, in place."""
    seen = (down.counts[cell_rows] > 0) & (across.counts[cell_columns] > 0)
    cell_rows, cell_columns = cell_rows[seen], cell_columns[seen]
    width, classes = probabilities.shape[1:]
    first_corner = cell_rows * width + cell_columns
    corners = first_corner + np.array([0, 1, width, width + 1])[:, None]
    values = probabilities.reshape(-1, classes)[corners]  # (4, cells, classes)
    order, counts = contenders(values, leaders.reshape(-1)[corners])
    # cells with many contenders first, so that each further contender concerns a leading part
    by_count = np.argsort(-counts, kind="stable")
    values, order, counts = values[:, by_count], order[by_count], counts[by_count]
    y = down.pixels(cell_rows[by_count])
    x = across.pixels(cell_columns[by_count])
    y_share, x_share = down.shares[y][:, None], across.shares[x][None]

    cells = np.arange(len(counts))
    best = np.empty((len(y), len(x), len(counts)), np.float32)
    made = np.empty(best.shape, np.uint8)
    for turn in range(int(counts.max(initial=0))):
        upto = int(np.searchsorted(-counts, -turn))
        names = order[:upto, turn]
        top_left, top_right, low_left, low_right = values[:, cells[:upto], names]
        top = top_left + (top_right - top_left) * x_share[..., :upto]
        low = low_left + (low_right - low_left) * x_share[..., :upto]
        low -= top
        value = low * y_share[..., :upto]
        value += top
        if turn == 0:
            best, made[...] = value, names
        else:
            ahead = value > best[..., :upto]
            np.copyto(made[..., :upto], names.astype(np.uint8), where=ahead)
            np.maximum(best[..., :upto], value, out=best[..., :upto])
    labels[y[:, None], x[None]] = made


def contenders(
    values: npt.NDArray[np.float32], leaders: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Which classes can win somewhere in a cell.

    A class that at all four corners stays below the mean of the corners' leading classes is below
    one of them everywhere in the cell, as a mean never exceeds the largest.

    Args:
        values: the corners' probabilities, (4, cells, classes).
        leaders: the corners' leading classes, (4, cells).

    Returns:
        class ids, contenders first and ascending, (cells, classes), and how many contend, (cells,).
    """
    cells = np.arange(values.shape[1])
    mean = values[:, cells, leaders[0]].copy()
    for corner in leaders[1:]:
        mean += values[:, cells, corner]
    mean *= 0.25
    can_win: npt.NDArray[np.bool_] = np.any(values >= mean[..., None], axis=0)
    can_win[cells, leaders] = True
    order: npt.NDArray[np.intp] = np.argsort(~can_win, axis=1, kind="stable")
    return order, can_win.sum(1)
