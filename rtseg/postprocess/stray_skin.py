"""Remove arms and shoulders from the skin: it is the face's skin alone.

A piece of skin that touches none of the face's parts (brows, eyes, nose, mouth) and reaches far
below them is an arm, a shoulder or a chest. On 250 validation portraits of CelebAMask-HQ, that is
said of one piece of nine cells in all, of 47 that touch no part: most are parts of a forehead or a
cheek behind hair and glasses.
"""

from __future__ import annotations

import numpy as np

from rtseg.labels import LabelSet
from rtseg.postprocess.labelled_map import LabelledMap

_FAR = 0.25  # below the parts, in heights of all parts together


def remove_stray_skin(labelled: LabelledMap, label_set: LabelSet) -> None:
    """Label stray skin as background, neck or clothes, whichever is most likely.

    Args:
        labelled: the map of an upright face, corrected in place.
        label_set: without background, skin or parts nothing is removed.
    """
    import cv2

    background = label_set.background
    parts = labelled.led_by((*label_set.brows, *label_set.eyes, *label_set.nose, *label_set.mouth))
    if background is None or not parts.any():
        return
    rows = np.flatnonzero(parts.any(1))
    lowest = rows[-1] + _FAR * (rows[-1] + 1 - rows[0])
    skin = labelled.led_by(label_set.skin)
    if not skin[int(lowest) + 1 :].any():
        return
    count, names = cv2.connectedComponents(skin.view(np.uint8), connectivity=8)
    beside_parts = cv2.dilate(parts.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    is_stray = np.zeros(count, bool)
    is_stray[names[int(lowest) + 1 :]] = True
    is_stray[names[beside_parts]] = False
    is_stray[0] = False
    if is_stray.any():
        instead = [background, *label_set.neck, *label_set.clothes]
        labelled.limit(is_stray[names], instead)
