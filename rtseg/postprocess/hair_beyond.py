"""Label hair that extends beyond the face's crop, by running the network on a wider crop.

Only hair is taken from the wider crop, only where it is connected to the face's hair at the edge of
the face's crop, and only beyond that edge, since the tighter crop is more accurate inside.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rtseg.faces import TrackedFace
from rtseg.faces.scoring import Mask
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop, box_around, crop_around
from rtseg.labels import LabelSet
from rtseg.postprocess.leaders import leading_classes, led_by

_TOUCHING = 0.03  # share of an edge's cells that must be hair for it to continue beyond
_WIDER = 2.0  # size of the wider crop, relative to the crop around the face
_MOVED = 0.5  # shift towards the edges that hair reaches, relative to the crop's size
_OVERLAP_CELLS = 1.0  # overlap of the two crops' hair, so that there is no seam
_FRAME_CELLS = 1.0  # an edge this close to the picture's edge hides nothing


def wider_crop(
    probabilities: Probabilities, crop: Crop, label_set: LabelSet, *, height: int, width: int
) -> Crop | None:
    """Choose a wider crop that shows the rest of the hair; None if the crop shows all of it.

    Args:
        probabilities: float32 (rows, columns, classes) of the crop around a face.
        crop: that crop.
        label_set: identifies the hair ids.
        height, width: the picture's size in pixels.
    """
    if not label_set.hair:
        return None
    rows, columns = probabilities.shape[:2]
    edges = {
        (0, -1): probabilities[:1],
        (0, 1): probabilities[-1:],
        (-1, 0): probabilities[:, :1],
        (1, 0): probabilities[:, -1:],
    }
    box = crop.box
    cell = max(box.width / columns, box.height / rows)
    across = down = 0.0
    reaches_edge = False
    for (x, y), edge in edges.items():
        hair = led_by(leading_classes(edge), label_set.hair)
        if np.count_nonzero(hair) < max(2, _TOUCHING * hair.size):
            continue
        centre_x, centre_y = box.centre
        middle = crop.to_frame(
            np.array(centre_x + x * box.width / 2), np.array(centre_y + y * box.height / 2)
        )
        reaches = _FRAME_CELLS * cell
        inside_x = reaches < float(middle[0]) < width - reaches
        inside_y = reaches < float(middle[1]) < height - reaches
        if inside_x and inside_y:
            across, down, reaches_edge = across + x * _MOVED, down + y * _MOVED, True
    if not reaches_edge:
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
    """Extract a face's hair from a wider crop, beyond the crop around the face.

    Args:
        wide: float32 (rows, columns, classes) of the wider crop.
        wide_crop: its position.
        face: the crop around the face.
        label_set: must have a background.
        others: boxes of other people's heads in pixels; hair there is theirs.

    Returns:
        float32 of `wide`'s shape with hair and background only; None if no hair continues.
    """
    import cv2

    background = label_set.background
    if background is None:
        return None
    rows, columns = wide.shape[:2]
    hair = led_by(leading_classes(wide), label_set.hair)
    face_hair = _hair_of_face(face, label_set, wide_crop, rows, columns)
    inside = _covered(wide_crop, rows, columns, by=face.crop, less=0.0)
    deep = _covered(wide_crop, rows, columns, by=face.crop, less=_OVERLAP_CELLS)
    for head in others:
        hair &= ~_covered(wide_crop, rows, columns, by=Crop(box=head), less=0.0)
    # inside the crop around the face, hair counts only where that crop agrees
    hair &= ~inside | cv2.dilate(face_hair.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    _, names = cv2.connectedComponents(hair.view(np.uint8), connectivity=8)
    together = np.unique(names[face_hair & hair])
    goes_on: Mask = np.isin(names, together[together > 0]) & ~deep
    if not (goes_on & ~inside).any():
        return None
    beyond = np.zeros_like(wide)
    ids = list(label_set.hair)
    beyond[..., ids] = wide[..., ids] * goes_on[..., None]
    beyond[..., background] = 1 - beyond[..., ids].sum(2)
    return beyond


def _hair_of_face(
    face: TrackedFace, label_set: LabelSet, wide_crop: Crop, rows: int, columns: int
) -> Mask:
    """Hair according to the crop around the face, sampled at the cells of a wider crop."""
    x, y = _middles(wide_crop, rows, columns)
    box = face.crop.box
    x, y = face.crop.from_frame(x, y)
    face_rows, face_columns = face.probabilities.shape[:2]
    column = np.floor((x - box.left) / box.width * face_columns).astype(np.intp)
    row = np.floor((y - box.top) / box.height * face_rows).astype(np.intp)
    known = (column >= 0) & (column < face_columns) & (row >= 0) & (row < face_rows)
    hair = led_by(leading_classes(face.probabilities), label_set.hair)
    if face.foreign is not None:
        hair &= ~face.foreign
    of_face: Mask = np.zeros((rows, columns), bool)
    of_face[known] = hair[row[known], column[known]]
    return of_face


def _covered(crop: Crop, rows: int, columns: int, *, by: Crop, less: float) -> Mask:
    """The cells of a crop that are inside another crop by at least a number of cells."""
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
    """Picture coordinates (x, y) of a crop's cell centres, float64 (rows, columns) each."""
    box = crop.box
    x, y = np.meshgrid(
        box.left + (np.arange(columns) + 0.5) * (box.width / columns),
        box.top + (np.arange(rows) + 0.5) * (box.height / rows),
    )
    return crop.to_frame(x, y)
