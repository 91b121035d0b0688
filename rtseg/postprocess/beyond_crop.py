"""Label hair and neck that extend beyond the face's crop, by running the network on a wider crop.

Only hair and neck are taken from the wider crop, only where they are connected to the face's own at
the edge of the face's crop, and only beyond that edge, since the tighter crop is more accurate
inside. (`crop_edges` is the exception.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rtseg.faces import TrackedFace
from rtseg.faces.components import connected_to
from rtseg.faces.leaders import leading_classes, led_by
from rtseg.faces.scoring import Mask
from rtseg.frames import Box, LabelMap, Probabilities
from rtseg.geometry.crop import Crop, box_around, crop_around
from rtseg.labels import IGNORED, LabelSet

_TOUCHING = 0.03  # share of an edge's cells that hair or neck must cover to continue beyond
_WIDER = 2.0  # size of the wider crop, relative to the crop around the face
_MOVED = 0.5  # shift towards the edges that they reach, relative to the crop's size
_OVERLAP_CELLS = 1.0  # overlap of the two crops' labels, so that there is no seam
# Least probability of hair or neck beyond the crop where they go on from within it: what has begun
# there likely goes on, although the wider crop shows it smaller. On 115 validation portraits, hair
# begins or ends wrongly at 7.0% of the pixels along a close crop's edges, instead of 10.0% with
# only what is likelier than all else, and its IoU is .895 instead of .892. With less, soft borders
# grow thicker beyond the crop.
_GOES_ON = 0.35
_AGREED = 0.1  # least share of a patch's cells at the edge that the face's crop must see likewise
_FRAME_CELLS = 1.0  # an edge this close to the picture's edge hides nothing


def wider_crop(
    probabilities: Probabilities, crop: Crop, label_set: LabelSet, *, height: int, width: int
) -> Crop | None:
    """Choose a wider crop that shows the rest of hair and neck; None if the crop shows all of it.

    Args:
        probabilities: float32 (rows, columns, classes) of the crop around a face.
        crop: that crop.
        label_set: identifies the ids of hair and neck.
        height, width: the picture's size in pixels.
    """
    ids = _continued(label_set)
    if not ids:
        return None
    rows, columns = probabilities.shape[:2]
    box = crop.box
    cell = max(box.width / columns, box.height / rows)
    across = down = 0.0
    reaches_edge = False
    for (x, y), edge in _edges(probabilities).items():
        touching = led_by(leading_classes(edge), ids)
        if np.count_nonzero(touching) < max(2, _TOUCHING * touching.size):
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


def at_the_edges(probabilities: Probabilities, label_set: LabelSet) -> Mask:
    """Where hair or neck touches a crop's edges, bool (cells,) around the crop."""
    ids = _continued(label_set)
    edges = _edges(probabilities).values()
    return np.concatenate([led_by(leading_classes(edge), ids).reshape(-1) for edge in edges])


def beyond_crop(
    wide: Probabilities,
    wide_crop: Crop,
    face: TrackedFace,
    label_set: LabelSet,
    *,
    others: Iterable[Box],
) -> Probabilities | None:
    """Extract a face's hair and neck from a wider crop, beyond the crop around the face.

    Args:
        wide: float32 (rows, columns, classes) of the wider crop.
        wide_crop: its position.
        face: the crop around the face.
        label_set: must have a background.
        others: boxes of other people's heads in pixels; hair and neck there are theirs.

    Returns:
        float32 of `wide`'s shape with hair, neck and background only; None if nothing continues.
    """
    background = label_set.background
    if background is None:
        return None
    rows, columns = wide.shape[:2]
    inside = _covered(wide_crop, rows, columns, by=face.crop, less=0.0)
    deep = _covered(wide_crop, rows, columns, by=face.crop, less=_OVERLAP_CELLS)
    theirs = np.zeros((rows, columns), bool)
    for head in others:
        theirs |= _covered(wide_crop, rows, columns, by=Crop(box=head), less=0.0)
    leaders, seen = leading_classes(wide), _seen_by(face, wide_crop, rows, columns)
    beyond: Probabilities | None = None
    for ids in (label_set.hair, label_set.neck):
        of_face = led_by(seen, ids)
        share = wide[..., list(ids)].sum(2)
        cells = (led_by(leaders, ids) | (share >= _GOES_ON)) & ~theirs
        goes_on = _connected(cells, of_face, inside) & ~deep
        goes_on &= inside | _agreed(goes_on & ~inside, of_face, inside)
        if not (goes_on & ~inside).any():
            continue
        if beyond is None:
            beyond = np.zeros_like(wide)
        # so that it leads from that probability on
        raised = np.minimum(0.5 / _GOES_ON, 1 / np.maximum(share, _GOES_ON))
        beyond[..., list(ids)] += wide[..., list(ids)] * (raised * goes_on)[..., None]
    if beyond is not None:
        total = beyond.sum(2, keepdims=True)
        beyond /= np.maximum(total, 1)  # where both may go on
        beyond[..., background] = np.maximum(1 - total[..., 0], 0)
    return beyond


def _continued(label_set: LabelSet) -> tuple[int, ...]:
    """The ids of what a wider crop is taken for."""
    return (*label_set.hair, *label_set.neck)


def _edges(probabilities: Probabilities) -> dict[tuple[int, int], Probabilities]:
    """The outermost cells of a map, by the direction (x, y) in which the crop ends there."""
    return {
        (0, -1): probabilities[:1],
        (0, 1): probabilities[-1:],
        (-1, 0): probabilities[:, :1],
        (1, 0): probabilities[:, -1:],
    }


def _connected(cells: Mask, of_face: Mask, inside: Mask) -> Mask:
    """Those cells of a wider map that are connected to the face's own, bool (rows, columns)."""
    import cv2

    # inside the crop around the face, they count only where that crop agrees
    grown = cv2.dilate(of_face.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    return connected_to(of_face, cells & (~inside | grown), connectivity=8)


def _agreed(beyond: Mask, of_face: Mask, inside: Mask) -> Mask:
    """Those patches beyond the face's crop that it agrees with where they meet its edge.

    A patch of hair or neck that it denies along the edge is likely a shirt's, and would
    begin there in a straight line.
    """
    import cv2

    count, names = cv2.connectedComponents(beyond.view(np.uint8), connectivity=8)
    # the patch that each cell just inside the edge is beside
    beside = cv2.dilate(names.astype(np.float32), np.ones((3, 3), np.uint8)).astype(np.intp)[inside]
    meeting = np.bincount(beside, minlength=count)
    agreeing = np.bincount(beside, weights=of_face[inside], minlength=count)
    agreed = (meeting > 0) & (agreeing >= _AGREED * meeting)
    agreed[0] = False
    patches: Mask = agreed[names]
    return patches


def _seen_by(face: TrackedFace, wide_crop: Crop, rows: int, columns: int) -> LabelMap:
    """The classes that lead in the crop around a face, at the cells of a wider crop.

    Returns:
        uint8 (rows, columns); `IGNORED` beyond that crop, and for what is not of this face.
    """
    x, y = _middles(wide_crop, rows, columns)
    box = face.crop.box
    x, y = face.crop.from_frame(x, y)
    face_rows, face_columns = face.probabilities.shape[:2]
    column = np.floor((x - box.left) / box.width * face_columns).astype(np.intp)
    row = np.floor((y - box.top) / box.height * face_rows).astype(np.intp)
    known = (column >= 0) & (column < face_columns) & (row >= 0) & (row < face_rows)
    leaders = leading_classes(face.probabilities)
    if face.foreign is not None:
        leaders = np.where(face.foreign, np.uint8(IGNORED), leaders)
    seen: LabelMap = np.full((rows, columns), IGNORED, np.uint8)
    seen[known] = leaders[row[known], column[known]]
    return seen


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
