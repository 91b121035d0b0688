"""Fill small holes in hair, which are nearly always uncertainty rather than real gaps."""

from __future__ import annotations

import numpy as np

from rtseg.frames import Probabilities
from rtseg.labels import LabelSet

_LARGEST = 0.012  # largest hole, as a share of a map's cells
_LEAST_HAIR = 0.7  # least share of hair around a hole; the rest is face


def filled(probabilities: Probabilities, label_set: LabelSet) -> Probabilities:
    """Remove small spots of background inside hair.

    Args:
        probabilities: float32 (rows, columns, classes); not modified.
        label_set: the map's label set; without hair or background nothing is filled.

    Returns:
        The same map if there are no holes, else a copy without background in the holes.
    """
    background = label_set.background
    if background is None or not label_set.hair:
        return probabilities
    import cv2

    leaders = probabilities.argmax(2)
    empty = (leaders == background).astype(np.uint8)
    count, names, stats, _ = cv2.connectedComponentsWithStats(empty, connectivity=4)
    most = _LARGEST * empty.size
    small = [name for name in range(1, count) if stats[name, cv2.CC_STAT_AREA] <= most]
    result = probabilities
    for name in small:
        left, top, width, height = stats[name, :4]
        if left == 0 or top == 0 or left + width == empty.shape[1] or top + height == len(empty):
            continue
        around = np.s_[top - 1 : top + height + 1, left - 1 : left + width + 1]
        hole = names[around] == name
        ring = cv2.dilate(hole.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool) & ~hole
        if np.isin(leaders[around][ring], label_set.hair).mean() < _LEAST_HAIR:
            continue
        if result is probabilities:
            result = probabilities.copy()
        result[around][hole, background] = 0.0
    return result
