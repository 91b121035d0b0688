"""Settle what is neck and hair where the crop around a face ends.

A crop often ends a little below the chin, where it shows too little of a collar or a shoulder to
tell it from a neck, or of dark clothes to tell them from hair. The wider crop shows the rest, and
disagrees. If each had its side of the edge, the mask would end there in a straight line. So where
the face's crop sees a neck at its edge and the wider crop does not, the wider one counts, as far
into the crop as the two disagree. For hair the closer crop is usually right, so the wider one
counts only where it is certain that there is none.

On 115 validation portraits of CelebAMask-HQ, a neck began or ended wrongly at 13.0% of the pixels
along the edges of a close crop where it was labelled, and at 7.9% with this rule (hair 7.0% and
6.8%); its IoU was .804 and .808. If the wider crop counted for hair wherever it saw none, the IoU
of long hair in composites would be .005 lower.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtseg.faces.components import cell_box, connected_to
from rtseg.faces.leaders import leading_classes, led_by
from rtseg.faces.scoring import Mask
from rtseg.frames import Probabilities
from rtseg.geometry.crop import Crop
from rtseg.geometry.resample import carried_over
from rtseg.labels import LabelSet
from rtseg.postprocess.labelled_map import LabelledMap

_CERTAIN = 0.1  # probability of hair below which the wider crop is certain that there is none
_STRIP = 0.03  # of a crop's side; narrower disagreements are about where a border is


def settle(
    labelled: LabelledMap,
    crop: Crop,
    label_set: LabelSet,
    *,
    wide: Probabilities,
    wide_crop: Crop,
    height: int,
    width: int,
) -> None:
    """Replace neck and hair that end at a crop's edges according to a wider crop.

    Args:
        labelled: the map of the crop around a face, corrected in place.
        crop: its position.
        label_set: without neck or background nothing is replaced.
        wide: float32 (rows, columns, classes) of the wider crop.
        wide_crop: its position.
        height, width: the picture's size in pixels; its own edges are none of a crop's.
    """
    background = label_set.background
    if background is None or not label_set.neck:
        return
    before = labelled.leaders.copy()
    at_edge = _edges_inside(crop, *before.shape, height=height, width=width)
    for ids in (label_set.neck, label_set.hair):
        cells = led_by(before, ids)
        if not (cells & at_edge).any():
            continue
        # only these cells and their surroundings are examined
        left, top, right, bottom = cell_box(cells)
        margin = _strip_radius(cells.shape)
        there = (
            slice(max(0, top - margin), bottom + margin),
            slice(max(0, left - margin), right + margin),
        )
        cells, edge = cells[there], at_edge[there]
        if ids is label_set.hair:
            share = wide[..., list(ids)].sum(2, keepdims=True)
            carried, known = carried_over(share, wide_crop, crop, window=there)
            cells &= (known > 0) & (carried.reshape(known.shape) < _CERTAIN)
            if not _from_edge(cells, edge, margin).any():
                continue  # as nearly always: all classes take ten times as long
        carried, known = carried_over(wide, wide_crop, crop, window=there)
        cells &= known > 0
        others = {background, *label_set.neck, *label_set.hair, *label_set.clothes} - {*ids}
        doubted = np.zeros_like(cells)
        doubted[cells] = led_by(leading_classes(carried[cells][None]), tuple(others))[0]
        from_edge = _from_edge(doubted, edge, margin)
        if from_edge.any():
            where = np.zeros(before.shape, bool)
            where[there] = from_edge
            labelled.replace(where, carried[from_edge])


def _strip_radius(size: tuple[int, ...]) -> int:
    """Half the width of a strip, in cells of a map of this size."""
    return max(1, round(_STRIP / 2 * min(size)))


def _from_edge(cells: Mask, edge: Mask, radius: int) -> Mask:
    """The cells that are connected to the edge's.

    Strips, where the two crops disagree about a border's place by a few cells, are left out.
    """
    import cv2

    if not (cells & edge).any():
        return np.zeros_like(cells)
    kernel = np.ones((1 + 2 * radius, 1 + 2 * radius), np.uint8)
    opened = cv2.morphologyEx(cells.view(np.uint8), cv2.MORPH_OPEN, kernel)
    return connected_to(edge, np.asarray(opened, np.uint8).view(bool), connectivity=4)


def _edges_inside(crop: Crop, rows: int, columns: int, *, height: int, width: int) -> Mask:
    """The outermost cells of a crop that are inside the picture by more than a cell."""
    box = crop.box
    cell_x, cell_y = box.width / columns, box.height / rows
    margin = max(cell_x, cell_y)
    x_middles = box.left + (np.arange(columns, dtype=np.float64) + 0.5) * cell_x
    y_middles = box.top + (np.arange(rows, dtype=np.float64) + 0.5) * cell_y
    inside: Mask = np.zeros((rows, columns), bool)
    edges: Sequence[tuple[slice | int, slice | int]] = (
        (0, slice(None)),
        (-1, slice(None)),
        (slice(None), 0),
        (slice(None), -1),
    )
    for row, column in edges:
        x, y = crop.to_frame(x_middles[column], y_middles[row])
        inside[row, column] = (
            (x > margin) & (x < width - margin) & (y > margin) & (y < height - margin)
        )
    return inside
