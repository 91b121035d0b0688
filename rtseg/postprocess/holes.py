"""Fill holes in hair, which are nearly always the network's uncertainty and not a gap."""

from __future__ import annotations

import numpy as np

from rtseg.frames import Probabilities
from rtseg.labels import LabelSet

_LARGEST = 0.012  # of a map's cells
_LEAST_HAIR = 0.7  # of what lies around a hole; the rest is face


def filled(probabilities: Probabilities, label_set: LabelSet) -> Probabilities:
    """The map without the small spots of background that lie in the midst of hair.

    Args:
        probabilities: float32 (rows, columns, classes); left as it is.
        label_set: of the map; one without hair or background has no holes.

    Returns:
        The same map where there is no hole, else a copy in which holes have no background.
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
