"""Faces that a finder sees and the labels take for a neck.

Of a bowed head, from the side above all, a network that labels parts often sees hair, and bare skin
below it: a neck, as behind a head that has turned away. A finder does not see a face there then, so
where it is certain of one, the two together are evidence of a face: less than a face that is
labelled, more than labels of something else.
"""

from __future__ import annotations

import numpy as np

from rtseg.faces.base import FaceDetection
from rtseg.faces.confirmation import SMALL
from rtseg.faces.parsed_faces import ParsedFace, readable
from rtseg.faces.separation import cells_of
from rtseg.frames import Probabilities
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet

# How certain of a face such labels count as: a finder's .93 is then as likely a face as not, at one
# look. Of 116 `val` pictures without a face, the finder scores no place of 40 pixels over .58.
_SURE = 0.82
# The least share of bare skin in what a finder takes for a face. A bowed head shows about one half
# there, the other half hair and ground.
_BARE = 0.4
_INNER = 0.8  # of the finder's box: its corners are seldom face


def taken_for_neck(
    probabilities: Probabilities, crop: Crop, detection: FaceDetection, label_set: LabelSet
) -> ParsedFace | None:
    """A detection as a face without labelled parts, if its labels show a neck instead.

    Args:
        probabilities: of the crop around it, float32 (rows, columns, classes), showing no face.
        crop: the crop's position.
        detection: a finder's.
        label_set: without a class for necks, there are no such faces.
    """
    if not label_set.neck or detection.box.height < SMALL:
        return None
    cells = readable(probabilities)
    rows, columns = cells.shape[:2]
    left, top, right, bottom = cells_of(crop, detection.box, rows, columns)
    x = (np.arange(columns) + 0.5 - (left + right) / 2) / max(1e-6, _INNER * (right - left) / 2)
    y = (np.arange(rows) + 0.5 - (top + bottom) / 2) / max(1e-6, _INNER * (bottom - top) / 2)
    inside = x[None, :] ** 2 + y[:, None] ** 2 <= 1
    if not inside.any():
        return None
    bare = cells[inside][:, [*label_set.neck, *label_set.face]].sum(1).mean()
    if bare < _BARE:
        return None
    head = detection.head or detection.box
    return ParsedFace(
        head=head,
        bounds=detection.bounds or head,
        face=detection.box,
        sure=_SURE,
        parts=0.0,
        certain=0.0,
        roll_degrees=None,
        cells=np.zeros((rows, columns), np.bool_),
        is_cut=False,
    )
