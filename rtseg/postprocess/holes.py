"""Fill small holes in hair, which are nearly always uncertainty rather than real gaps."""

from __future__ import annotations

import numpy as np

from rtseg.faces.scoring import Mask
from rtseg.frames import LabelMap, Probabilities
from rtseg.labels import LabelSet
from rtseg.postprocess.leaders import leading_classes, led_by

_LARGEST = 0.012  # largest hole, as a share of a map's cells
_LEAST_HAIR = 0.7  # least share of hair around a hole; the rest is face


def filled(
    probabilities: Probabilities, leaders: LabelMap, label_set: LabelSet
) -> tuple[Probabilities, LabelMap]:
    """Remove small spots of background inside hair.

    Args:
        probabilities: float32 (rows, columns, classes); not modified.
        leaders: its leading classes, uint8 (rows, columns); not modified.
        label_set: the map's label set; without hair or background nothing is filled.

    Returns:
        The same map and leading classes if there are no holes, else copies without background in
        the holes.
    """
    background = label_set.background
    if background is None or not label_set.hair:
        return probabilities, leaders
    holes = _holes(leaders, background, led_by(leaders, label_set.hair))
    if holes is None:
        return probabilities, leaders
    probabilities, leaders = probabilities.copy(), leaders.copy()
    cells = probabilities[holes]
    cells[:, background] = 0.0
    probabilities[holes] = cells
    leaders[holes] = leading_classes(cells[None])[0]
    return probabilities, leaders


def _holes(leaders: LabelMap, background: int, hair: Mask) -> Mask | None:
    """The cells of all holes; None if there are none.

    All spots are judged together, as there may be dozens of them.
    """
    import cv2

    rows, columns = leaders.shape
    empty = leaders == background
    count, names, stats, _ = cv2.connectedComponentsWithStats(empty.view(np.uint8), connectivity=4)
    left, top, width, height, area = stats.T
    small = area <= _LARGEST * empty.size
    small &= (left > 0) & (top > 0) & (left + width < columns) & (top + height < rows)
    small[0] = False
    if not small.any():
        return None
    names = names.reshape(-1)
    cells = np.flatnonzero(small[names])
    # the cells around each spot, corners too, each once per spot, as spot * cells + cell
    around = (cells + _neighbours(columns)[:, None]).reshape(-1)
    whose = np.tile(names[cells], 8)
    beside = names[around] != whose
    pairs = np.unique(whose[beside].astype(np.int64) * empty.size + around[beside])
    spots, ring = pairs // empty.size, pairs % empty.size
    ring_cells = np.bincount(spots, minlength=count)
    of_hair = np.bincount(spots, weights=hair.reshape(-1)[ring], minlength=count)
    in_hair = small & (of_hair >= _LEAST_HAIR * ring_cells)
    if not in_hair.any():
        return None
    holes: Mask = in_hair[names].reshape(rows, columns)
    return holes


def _neighbours(columns: int) -> np.ndarray:
    """Index offsets from a cell to the eight around it, in a map with this many columns."""
    return np.array([y * columns + x for y in (-1, 0, 1) for x in (-1, 0, 1) if x or y])
