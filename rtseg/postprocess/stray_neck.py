"""Remove patches of neck on a collar or a wall, apart from the neck itself.

In the predictions for 125 validation portraits of CelebAMask-HQ, six pieces of neck besides the
largest one were surrounded by clothes and background: of their 72 cells, one was neck.
"""

from __future__ import annotations

import numpy as np

from rtseg.faces.components import cell_box
from rtseg.faces.leaders import led_by, limited
from rtseg.frames import LabelMap, Probabilities
from rtseg.labels import LabelSet

_LEAST_OUTSIDE = 0.9  # share of clothes and background around a patch


def without_stray_neck(
    probabilities: Probabilities, leaders: LabelMap, label_set: LabelSet
) -> tuple[Probabilities, LabelMap]:
    """Label stray patches of neck as background or clothes, whichever is likelier.

    Args:
        probabilities: float32 (rows, columns, classes); not modified.
        leaders: its leading classes, uint8 (rows, columns); not modified.
        label_set: without background or neck nothing is removed.

    Returns:
        The same map and leading classes if there are no such patches, else copies.
    """
    import cv2

    neck = led_by(leaders, label_set.neck)
    if label_set.background is None or not neck.any():
        return probabilities, leaders
    count, names = cv2.connectedComponents(neck.view(np.uint8), connectivity=8)
    if count <= 2:
        return probabilities, leaders
    outside = [label_set.background, *label_set.clothes]
    left, top, right, bottom = cell_box(neck)
    near = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    # the patch that each cell beside one belongs to
    grown = cv2.dilate(names[near].astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.intp)
    beside = grown[~neck[near]]
    around = np.bincount(beside, minlength=count)
    is_outside = led_by(leaders[near], outside)[~neck[near]]
    around_outside = np.bincount(beside, is_outside, minlength=count)
    is_stray = around_outside >= _LEAST_OUTSIDE * around
    is_stray[1 + np.argmax(np.bincount(names.reshape(-1))[1:])] = False
    is_stray[0] = False
    if not is_stray.any():
        return probabilities, leaders
    return limited(probabilities, leaders, is_stray[names], outside)
