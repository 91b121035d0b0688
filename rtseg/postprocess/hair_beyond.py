"""Label hair that extends beyond the face's crop, by running the network on a wider crop.

Only hair is taken from it, only what hangs together with the face's own at the crop's edge, and
only beyond that edge: there the crop around the face knows better.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rtseg.faces import TrackedFace
from rtseg.faces.scoring import Mask
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop, box_around, crop_around
from rtseg.labels import LabelSet

_TOUCHING = 0.03  # of an edge's cells that are hair, from which the hair goes on beyond it
_WIDER = 2.0  # times the crop around the face
_MOVED = 0.5  # of the crop's size, towards the edges that hair reaches
_OVERLAP_CELLS = 1.0  # by which both crops' hair overlap, so that no seam is left between them
_FRAME_CELLS = 1.0  # an edge so near the picture's own hides nothing


def wider_crop(
    probabilities: Probabilities, crop: Crop, label_set: LabelSet, *, height: int, width: int
) -> Crop | None:
    """Where to look for the rest of the hair; None where the crop shows all of it.

    Args:
        probabilities: of the crop around a face, float32 (rows, columns, classes).
        crop: that crop.
        label_set: says which ids are hair.
        height, width: of the picture, pixels.
    """
    if not label_set.hair:
        return None
    hair = np.isin(probabilities.argmax(2), label_set.hair)
    rows, columns = hair.shape
    edges = {
        (0, -1): hair[0],
        (0, 1): hair[-1],
        (-1, 0): hair[:, 0],
        (1, 0): hair[:, -1],
    }
    box = crop.box
    cell = max(box.width / columns, box.height / rows)
    across = down = 0.0
    found = False
    for (x, y), cells in edges.items():
        if np.count_nonzero(cells) < max(2, _TOUCHING * len(cells)):
            continue
        centre_x, centre_y = box.centre
        middle = crop.to_frame(
            np.array(centre_x + x * box.width / 2), np.array(centre_y + y * box.height / 2)
        )
        reaches = _FRAME_CELLS * cell
        inside_x = reaches < float(middle[0]) < width - reaches
        inside_y = reaches < float(middle[1]) < height - reaches
        if inside_x and inside_y:
            across, down, found = across + x * _MOVED, down + y * _MOVED, True
    if not found:
        return None
    moved = crop.moved(across, down)
    aspect = box.width / box.height
    return crop_around(*moved.box.centre, _WIDER * box.height, aspect, crop.roll_degrees)


def hair_beyond(
    wide: Probabilities,
    wide_crop: Crop,
    face: TrackedFace,
    label_set: LabelSet,
    *,
    others: Iterable[Box],
) -> Probabilities | None:
    """The hair of a face in a wider crop, beyond the crop around the face.

    Args:
        wide: of the wider crop, float32 (rows, columns, classes).
        wide_crop: where it lies.
        face: whose hair it is.
        label_set: must know a background.
        others: the heads of other people, pixels: what lies on them is theirs.

    Returns:
        float32, the shape of `wide`: hair and background only; None where nothing goes on.
    """
    import cv2

    background = label_set.background
    if background is None:
        return None
    rows, columns = wide.shape[:2]
    hair = np.isin(wide.argmax(2), label_set.hair)
    own = _own_hair(face, label_set, wide_crop, rows, columns)
    inside = _covered(wide_crop, rows, columns, by=face.crop, less=0.0)
    deep = _covered(wide_crop, rows, columns, by=face.crop, less=_OVERLAP_CELLS)
    for head in others:
        hair &= ~_covered(wide_crop, rows, columns, by=Crop(box=head), less=0.0)
    # what of the wider crop's hair lies in the crop around the face, that crop has to bear out
    hair &= ~inside | cv2.dilate(own.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    _, names = cv2.connectedComponents(hair.view(np.uint8), connectivity=8)
    together = np.unique(names[own & hair])
    goes_on: Mask = np.isin(names, together[together > 0]) & ~deep
    if not (goes_on & ~inside).any():
        return None
    found = np.zeros_like(wide)
    ids = list(label_set.hair)
    found[..., ids] = wide[..., ids] * goes_on[..., None]
    found[..., background] = 1 - found[..., ids].sum(2)
    return found


def _own_hair(
    face: TrackedFace, label_set: LabelSet, wide_crop: Crop, rows: int, columns: int
) -> Mask:
    """The face's hair by the crop around it, in the cells of a wider crop."""
    x, y = _middles(wide_crop, rows, columns)
    box = face.crop.box
    x, y = face.crop.from_frame(x, y)
    own_rows, own_columns = face.probabilities.shape[:2]
    column = np.floor((x - box.left) / box.width * own_columns).astype(np.intp)
    row = np.floor((y - box.top) / box.height * own_rows).astype(np.intp)
    known = (column >= 0) & (column < own_columns) & (row >= 0) & (row < own_rows)
    hair = np.isin(face.probabilities.argmax(2), label_set.hair)
    if face.foreign is not None:
        hair &= ~face.foreign
    own: Mask = np.zeros((rows, columns), bool)
    own[known] = hair[row[known], column[known]]
    return own


def _covered(crop: Crop, rows: int, columns: int, *, by: Crop, less: float) -> Mask:
    """The cells of a crop that lie inside another, by so many cells at least."""
    x, y = _middles(crop, rows, columns)
    x, y = by.from_frame(x, y)
    margin = less * max(crop.box.width / columns, crop.box.height / rows)
    box = box_around(
        *by.box.centre,
        max(1e-6, by.box.width - 2 * margin),
        max(1e-6, by.box.height - 2 * margin),
    )
    inside: Mask = (x >= box.left) & (x < box.right) & (y >= box.top) & (y < box.bottom)
    return inside


def _middles(crop: Crop, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the middles of a crop's cells lie in the picture, float64 (rows, columns) each."""
    box = crop.box
    x, y = np.meshgrid(
        box.left + (np.arange(columns) + 0.5) * (box.width / columns),
        box.top + (np.arange(rows) + 0.5) * (box.height / rows),
    )
    return crop.to_frame(x, y)
