"""Upsample a rotated crop's probabilities to labels on the frame's pixels.

As in `upsample`, a class that leads at a cell's four corners leads everywhere in it. The pixels of
a rotated cell do not form a rectangle, so OpenCV's nearest-neighbour warp finds each pixel's cell,
and the pixels of cells with a border are computed one by one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.faces.leaders import leading_classes
from rtseg.frames import LabelMap, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.postprocess.upsample import contenders, has_border

OUTSIDE = 255
"""The label of pixels outside the crop; never a class, since there are at most 255."""

_FIRST_BORDER = 256  # values from here on are indices of cells with a border


def turned_labels(
    probabilities: Probabilities,
    crop: Crop,
    *,
    left: int,
    top: int,
    width: int,
    height: int,
    leaders: LabelMap | None = None,
) -> LabelMap:
    """Compute the labels of a rectangle of the frame.

    Args:
        probabilities: float32 (rows, columns, classes) of the crop, at most 255 classes.
        crop: its position.
        left, top, width, height: the rectangle in pixels.
        leaders: the probabilities' leading classes, if already known.

    Returns:
        uint8 (height, width), `OUTSIDE` beyond the crop.
    """
    import cv2

    rows, columns, classes = probabilities.shape
    if leaders is None:
        leaders = leading_classes(probabilities)
    # edges are replicated, so that cells between centres extend beyond the crop's sides
    padded = np.asarray(cv2.copyMakeBorder(leaders, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.uint8)
    cell_rows, cell_columns = np.divmod(np.flatnonzero(has_border(padded)), columns + 1)
    wide = _FIRST_BORDER + len(cell_rows) > np.iinfo(np.uint16).max
    codes = padded[:-1, :-1].astype(np.float32 if wide else np.uint16)
    codes[cell_rows, cell_columns] = np.arange(_FIRST_BORDER, _FIRST_BORDER + len(cell_rows))
    # in half cells, the crop's sides are between two cells
    halves = cv2.resize(codes, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)[1:-1, 1:-1]
    from_rectangle = np.array([[1.0, 0, left], [0, 1.0, top], [0, 0, 1.0]])
    warped = cv2.warpAffine(
        np.ascontiguousarray(halves),
        crop.grid_from_frame(2 * rows, 2 * columns) @ from_rectangle,
        (width, height),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=OUTSIDE,
    )
    labels: LabelMap = warped.astype(np.uint8)
    # one flat index per pixel: a pair of indices takes twice as long to find and to use
    flat = warped.reshape(-1)
    where = np.flatnonzero(flat >= _FIRST_BORDER)
    if len(where):
        which = flat[where].astype(np.intp) - _FIRST_BORDER
        y, x = (position.astype(np.float32) for position in np.divmod(where, width))
        to_grid = (crop.grid_from_frame(rows, columns) @ from_rectangle).astype(np.float32)
        across = to_grid[0, 0] * x + to_grid[0, 1] * y
        across += (to_grid[0, 2] + 1 - cell_columns.astype(np.float32))[which]
        down = to_grid[1, 0] * x + to_grid[1, 1] * y
        down += (to_grid[1, 2] + 1 - cell_rows.astype(np.float32))[which]
        # the probabilities are not padded, which would take a third of the time
        tops, lows = _edges(cell_rows, rows) * columns
        lefts, rights = _edges(cell_columns, columns)
        corners = np.stack((tops + lefts, tops + rights, lows + lefts, lows + rights))
        values = probabilities.reshape(-1, classes).take(corners, axis=0)  # (4, cells, classes)
        refined = _leading(values, leaders.reshape(-1).take(corners), which, across, down)
        labels.reshape(-1)[where] = refined
    return labels


def _edges(cells: npt.NDArray[np.intp], count: int) -> npt.NDArray[np.intp]:
    """The map's rows (or columns) on both sides of cells of the padded map, (2, cells)."""
    return np.stack((np.maximum(cells - 1, 0), np.minimum(cells, count - 1)))


def _leading(
    values: npt.NDArray[np.float32],
    leaders: npt.NDArray[np.uint8],
    which: npt.NDArray[np.intp],
    across: npt.NDArray[np.float32],
    down: npt.NDArray[np.float32],
) -> npt.NDArray[np.uint8]:
    """The leading class at single pixels.

    Args:
        values: the corners' probabilities, (4, cells, classes).
        leaders: the corners' leading classes, (4, cells).
        which: each pixel's cell, (pixels,).
        across, down: its position in the cell, 0..1, (pixels,).
    """
    order, counts = contenders(values, leaders)
    by_corner = values.reshape(len(values), -1)
    at_contenders = order + np.arange(len(counts)) * values.shape[2]
    names = order.astype(np.uint8)

    def surface(turn: int) -> npt.NDArray[np.float32]:
        """Each cell's contender as a + b across + c down + d across down: (4, cells)."""
        top_left, top_right, low_left, low_right = by_corner.take(at_contenders[turn], axis=1)
        right, low = top_right - top_left, low_left - top_left
        return np.stack((top_left, right, low, low_right - low_left - right))

    first = surface(0)
    leading: npt.NDArray[np.uint8] = names[0][which]
    # for two, the sign of the difference decides; most cells have no more
    ahead = _at(surface(1) - first, which, across, down) > 0
    np.copyto(leading, names[1][which], where=ahead)
    many = np.flatnonzero(counts[which] > 2)
    best = _at(first, which[many], across[many], down[many])
    if len(many):
        best = np.maximum(best, _at(surface(1), which[many], across[many], down[many]))
    for turn in range(2, len(order)):
        still = counts[which[many]] > turn
        many, best = many[still], best[still]
        value = _at(surface(turn), which[many], across[many], down[many])
        ahead = value > best
        leading[many[ahead]] = names[turn][which[many[ahead]]]
        best = np.maximum(best, value)
    return leading


def _at(
    surfaces: npt.NDArray[np.float32],
    which: npt.NDArray[np.intp],
    across: npt.NDArray[np.float32],
    down: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    constant, by_across, by_down, by_both = surfaces
    values: npt.NDArray[np.float32] = by_both.take(which)
    values *= across
    values += by_down.take(which)
    values *= down
    across = across * by_across.take(which)
    values += across
    values += constant.take(which)
    return values
