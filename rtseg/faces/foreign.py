"""The cells of a crop that belong to another person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from rtseg.faces.parsed_faces import ParsedFace
from rtseg.faces.scoring import Mask
from rtseg.faces.track import gap
from rtseg.frames import Probabilities
from rtseg.geometry.crop import Crop

_BESIDE = 0.45  # heads this many head heights apart are different people's, not parts of one


def foreign_cells(
    crop: Crop,
    parsed: ParsedFace,
    *,
    heads: Iterable[Crop],
    beside: Sequence[ParsedFace],
    probabilities: Probabilities,
) -> Mask | None:
    """The cells of a crop that belong to another person's head; None if none do.

    Args:
        crop: the crop.
        parsed: the face that the crop was made for.
        heads: crops around the other followed heads, each with its rotation.
        beside: every face that the labels of the crop show.
        probabilities: the crop's map; the parsed cells may be coarser.
    """
    cells = np.zeros_like(parsed.cells)
    for head in heads:
        cells |= _cells_on(crop, head, *cells.shape)
    for other in beside:
        if gap(other.head, parsed.head) > _BESIDE and other.parts > 0.5:
            cells |= other.cells
    cells &= ~parsed.cells
    if not cells.any():
        return None
    block = probabilities.shape[0] // cells.shape[0]
    return cells.repeat(block, axis=0).repeat(block, axis=1)


def _cells_on(crop: Crop, head: Crop, rows: int, columns: int) -> Mask:
    """The cells of a crop that are on a head, plus one cell, as borders are blurred."""
    box = crop.box
    step_x, step_y = box.width / columns, box.height / rows
    x, y = np.meshgrid(
        box.left + (np.arange(columns) + 0.5) * step_x, box.top + (np.arange(rows) + 0.5) * step_y
    )
    x, y = head.from_frame(*crop.to_frame(x, y))
    margin_x, margin_y = 1.5 * step_x, 1.5 * step_y
    on: Mask = (x > head.box.left - margin_x) & (x < head.box.right + margin_x)
    on &= (y > head.box.top - margin_y) & (y < head.box.bottom + margin_y)
    return on
