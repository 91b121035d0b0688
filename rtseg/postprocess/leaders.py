"""The class that leads in each cell of a probability map.

Every step from probabilities to labels asks for it. With 19 classes it takes longer than most of
them, so that it is computed once a map and handed on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtseg.faces.scoring import Mask
from rtseg.frames import LabelMap, Probabilities


def leading_classes(probabilities: Probabilities) -> LabelMap:
    """The class with the largest probability in each cell, the first of equals.

    Args:
        probabilities: float32 (rows, columns, classes), at most 255 classes.

    Returns:
        uint8 (rows, columns).
    """
    leaders: LabelMap = probabilities.argmax(2).astype(np.uint8)
    return leaders


def led_by(leaders: LabelMap, ids: Sequence[int]) -> Mask:
    """Which cells one of some classes leads: bool, the shape of `leaders`."""
    chosen = np.zeros(256, bool)
    chosen[list(ids)] = True
    cells: Mask = chosen[leaders]
    return cells
