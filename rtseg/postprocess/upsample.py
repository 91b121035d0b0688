"""Upsample probabilities to labels on an axis-aligned grid, computing only along borders.

Bilinear values are convex combinations of a cell's four corners, so a class that leads at all four
corners leads everywhere in between. Only cells crossed by a border are computed pixel by pixel, and
only for the classes that can win there. The result equals interpolating every class everywhere, in
a fraction of the time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.faces.leaders import leading_classes
from rtseg.frames import LabelMap, Probabilities
from rtseg.geometry.resample import Positions, interpolate


def labels_at(
    probabilities: Probabilities,
    rows: Positions,
    columns: Positions,
    *,
    leaders: LabelMap | None = None,
) -> LabelMap:
    """Return the leading class at every crossing of the given rows and columns.

    Args:
        probabilities: float32 (height, width, classes).
        rows, columns: ascending positions from `grid_positions`.
        leaders: the probabilities' leading classes, if already known.

    Returns:
        uint8 (len(rows), len(columns)).
    """
    height, width, _ = probabilities.shape
    if min(height, width) < 2 or len(rows) <= height or len(columns) <= width:
        return leading_classes(interpolate(probabilities, rows, columns))
    if leaders is None:
        leaders = leading_classes(probabilities)
    row_cells = np.minimum(rows.astype(np.intp), height - 2)
    column_cells = np.minimum(columns.astype(np.intp), width - 2)
    labels: LabelMap = leaders.take(column_cells, axis=1).take(row_cells, axis=0)
    # NumPy finds them several times as fast in one dimension
    cell_rows, cell_columns = np.divmod(np.flatnonzero(has_border(leaders)), width - 1)
    if len(cell_rows):
        down = _Axis(rows, row_cells, height)
        across = _Axis(columns, column_cells, width)
        _refine(labels, probabilities, leaders, cell_rows, cell_columns, down, across)
    return labels


def has_border(leaders: LabelMap) -> npt.NDArray[np.bool_]:
    """Whether four neighbouring cells have different leading classes: (height - 1, width - 1)."""
    mixed: npt.NDArray[np.bool_] = leaders[:-1, :-1] != leaders[1:, 1:]
    mixed |= leaders[:-1, 1:] != leaders[1:, :-1]
    mixed |= leaders[:-1, 1:] != leaders[1:, 1:]
    return mixed


class _Axis:
    """Along one axis: the cell of each pixel, and the pixel's position within it."""

    def __init__(self, positions: Positions, cells: npt.NDArray[np.intp], count: int) -> None:
        self.shares = positions - cells.astype(np.float32)
        self.first = np.searchsorted(cells, np.arange(count))
        self.counts = np.searchsorted(cells, np.arange(count), side="right") - self.first

    def pixels(self, cells: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """The pixels of each cell, (most per cell, len(cells)); short cells repeat their last."""
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
    visible = (down.counts[cell_rows] > 0) & (across.counts[cell_columns] > 0)
    if not visible.any():
        return
    cell_rows, cell_columns = cell_rows[visible], cell_columns[visible]
    width, classes = probabilities.shape[1:]
    first_corner = cell_rows * width + cell_columns
    corners = first_corner + np.array([0, 1, width, width + 1])[:, None]
    values = probabilities.reshape(-1, classes).take(corners, axis=0)  # (4, cells, classes)
    order, counts = contenders(values, leaders.reshape(-1).take(corners))
    # cells with many contenders first, so that each further contender concerns a prefix
    by_count = np.argsort(-counts, kind="stable")
    order, counts = order.take(by_count, 1), counts[by_count]
    y = down.pixels(cell_rows[by_count])
    x = across.pixels(cell_columns[by_count])
    y_share, x_share = down.shares[y][:, None], across.shares[x][None]
    names = order.astype(np.uint8)
    by_corner = values.reshape(len(values), -1)
    at_contenders = order + by_count * classes

    def surface(turn: int, upto: int) -> npt.NDArray[np.float32]:
        """One contender's values at the corners of the first cells: (4, upto)."""
        at_corners: npt.NDArray[np.float32] = by_corner.take(at_contenders[turn, :upto], axis=1)
        return at_corners

    # for two, the sign of the difference decides; most cells have no more
    first, second = surface(0, len(counts)), surface(1, len(counts))
    is_second = _bilinear(second - first, y_share, x_share) > 0
    # a third of the time of choosing one of two names for each pixel
    refined = is_second.view(np.uint8) * (names[0] ^ names[1])
    refined ^= names[0]
    many = int(np.searchsorted(-counts, -2))
    if many:
        best = _bilinear(first[:, :many], y_share, x_share)
        np.maximum(best, _bilinear(second[:, :many], y_share, x_share), out=best)
    for turn in range(2, len(order)):
        upto = int(np.searchsorted(-counts, -turn))
        value = _bilinear(surface(turn, upto), y_share, x_share)
        np.copyto(refined[..., :upto], names[turn, :upto], where=value > best[..., :upto])
        np.maximum(best[..., :upto], value, out=best[..., :upto])
    # one flat index per pixel is twice as fast as two indices
    labels.reshape(-1)[(y * labels.shape[1])[:, None] + x] = refined


def _bilinear(
    corners: npt.NDArray[np.float32],
    y_share: npt.NDArray[np.float32],
    x_share: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Interpolate the first cells' pixels: (rows per cell, columns per cell, cells).

    Args:
        corners: (4, cells).
        y_share: each pixel's vertical position in its cell, 0..1, (rows per cell, 1, all cells).
        x_share: its horizontal position, 0..1, (1, columns per cell, all cells).
    """
    top_left, top_right, low_left, low_right = corners
    cells = corners.shape[1]
    top = top_left + (top_right - top_left) * x_share[..., :cells]
    low = low_left + (low_right - low_left) * x_share[..., :cells]
    low -= top
    values: npt.NDArray[np.float32] = low * y_share[..., :cells]
    values += top
    return values


def contenders(
    values: npt.NDArray[np.float32], leaders: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the classes that can win somewhere in a cell.

    A class that is below the mean of the corners' leading classes at all four corners is below one
    of those classes everywhere in the cell, because a mean never exceeds the largest value.

    Args:
        values: the corners' probabilities, (4, cells, classes).
        leaders: the corners' leading classes, (4, cells).

    Returns:
        class ids in ascending order, padded with 0, (most per cell, cells), and the number of
        contenders, (cells,).
    """
    _, cells, classes = values.shape
    by_corner = values.reshape(len(values), -1)
    at_leaders = np.arange(cells) * classes + leaders
    mean = by_corner.take(at_leaders[0], axis=1)
    for places in at_leaders[1:]:
        mean += by_corner.take(places, axis=1)
    mean *= 0.25
    can_win: npt.NDArray[np.bool_] = np.any(values >= mean[..., None], axis=0)
    can_win.reshape(-1)[at_leaders] = True
    which, ids = np.divmod(np.flatnonzero(can_win), classes)
    counts = np.bincount(which, minlength=cells)
    first = np.cumsum(counts) - counts
    order = np.zeros((int(counts.max(initial=0)), cells), np.intp)
    order[np.arange(len(ids)) - first[which], which] = ids
    return order, counts
