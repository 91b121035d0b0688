"""Remove patches of neck on a collar or a wall, apart from the neck itself.

In the predictions for 125 validation portraits of CelebAMask-HQ, six pieces of neck besides the
largest one were surrounded by clothes and background: of their 72 cells, one was neck.
"""

from __future__ import annotations

import numpy as np

from rtseg.faces.components import cell_box
from rtseg.faces.leaders import led_by
from rtseg.labels import LabelSet
from rtseg.postprocess.labelled_map import LabelledMap

_LEAST_OUTSIDE = 0.9  # share of clothes and background around a patch


def remove_stray_neck(labelled: LabelledMap, label_set: LabelSet) -> None:
    """Label stray patches of neck as background or clothes, whichever is likelier.

    Args:
        labelled: the map, corrected in place.
        label_set: without background or neck nothing is removed.
    """
    import cv2

    leaders = labelled.leaders
    neck = led_by(leaders, label_set.neck)
    if label_set.background is None or not neck.any():
        return
    count, names = cv2.connectedComponents(neck.view(np.uint8), connectivity=8)
    if count <= 2:
        return
    outside = [label_set.background, *label_set.clothes]
    left, top, right, bottom = cell_box(neck)
    near = slice(max(0, top - 1), bottom + 1), slice(max(0, left - 1), right + 1)
    others = ~neck[near]
    # the patch that each cell beside one belongs to
    grown = cv2.dilate(names[near].astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.intp)
    beside = grown[others]
    around = np.bincount(beside, minlength=count)
    is_outside = led_by(leaders[near], outside)[others]
    around_outside = np.bincount(beside, is_outside, minlength=count)
    is_stray = around_outside >= _LEAST_OUTSIDE * around
    is_stray[1 + np.argmax(np.bincount(names[near].reshape(-1))[1:])] = False
    is_stray[0] = False
    if is_stray.any():
        labelled.limit(is_stray[names], outside)
