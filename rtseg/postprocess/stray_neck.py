"""Remove patches of neck on a collar or a wall, apart from the neck itself.

In the predictions for 125 validation portraits of CelebAMask-HQ, six pieces of neck besides the
largest one were surrounded by clothes and background: of their 72 cells, one was neck.
"""

from __future__ import annotations

import numpy as np

from rtseg.frames import LabelMap, Probabilities
from rtseg.labels import LabelSet
from rtseg.postprocess.leaders import led_by, limited

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
    # the patch that each cell beside one belongs to
    grown = cv2.dilate(names.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.intp)
    beside = grown[~neck]
    around = np.bincount(beside, minlength=count)
    around_outside = np.bincount(beside, led_by(leaders, outside)[~neck], minlength=count)
    is_stray = around_outside >= _LEAST_OUTSIDE * around
    is_stray[1 + np.argmax(np.bincount(names.reshape(-1))[1:])] = False
    is_stray[0] = False
    return limited(probabilities, leaders, is_stray[names], outside)
