"""Connected components of a probability map: the cells of each face, and of its hair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtseg.faces.scoring import Mask, score_face
from rtseg.frames import Probabilities
from rtseg.labels import LabelSet

_HEAD_HEIGHTS = 1.9  # hair counts up to this many face heights; longer hair, see
# `rtseg.postprocess.beyond_crop`, must not make the crop so large that the face in it is small

CellBox = tuple[float, float, float, float]
"""(left, top, right, bottom) in cells, right and bottom exclusive."""


def face_masks(
    face: Mask, probabilities: Probabilities, label_set: LabelSet, *, min_cells: int, bridge: int
) -> list[Mask]:
    """The cells of each face, largest first: connected cells, with small gaps bridged."""
    import cv2

    if np.count_nonzero(face) < min_cells:
        return []
    closed = face.view(np.uint8)
    if bridge:
        closed = cv2.dilate(closed, np.ones((2 * bridge + 1,) * 2, np.uint8))
    count, names = cv2.connectedComponents(closed, connectivity=8)
    names = np.where(face, names, 0)
    areas = np.bincount(names.reshape(-1), minlength=count)
    whole = [names == name for name in range(1, count) if areas[name] >= min_cells]
    if bridge:
        whole = [
            mask
            for joined in whole
            for mask in _apart(joined, probabilities, label_set, min_cells=min_cells)
        ]
    return sorted(whole, key=np.count_nonzero, reverse=True)


def _apart(
    joined: Mask, probabilities: Probabilities, label_set: LabelSet, *, min_cells: int
) -> list[Mask]:
    """Separate two faces joined only by a bridged gap, if each is complete and wide enough.

    Pieces that are not a face by themselves are added to the nearest one that is.
    """
    import cv2

    count, pieces = cv2.connectedComponents(joined.view(np.uint8), connectivity=8)
    if count <= 2:
        return [joined]
    masks = [pieces == piece for piece in range(1, count)]
    # mostly only one is large enough, and need not be scored
    complete = [mask for mask in masks if may_be_complete(mask, min_cells=min_cells)]
    if len(complete) > 1:
        complete = [
            mask for mask in complete if score_face(probabilities, mask, label_set).parts == 1
        ]
    if len(complete) < 2:
        return [joined]
    boxes = [cell_box(mask) for mask in complete]
    faces = [mask.copy() for mask in complete]
    for piece in masks:
        rows, columns = np.nonzero(piece)
        apart = [float(_distance(box, rows, columns).min()) for box in boxes]
        faces[int(np.argmin(apart))] |= piece
    return faces


def may_be_complete(piece: Mask, *, min_cells: int) -> bool:
    """Whether a piece is large and wide enough to be a face by itself."""
    if np.count_nonzero(piece) < min_cells:
        return False
    left, top, right, bottom = cell_box(piece)
    return right - left >= 0.5 * (bottom - top)


def cell_box(mask: Mask) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) in whole cells, right and bottom exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def connected_to(seeds: Mask, cells: Mask, *, connectivity: int) -> Mask:
    """Those cells that are connected to a seed among them.

    Args:
        seeds, cells: bool (rows, columns).
        connectivity: 4, or 8 if cells are connected by their corners too.
    """
    import cv2

    count, names = cv2.connectedComponents(cells.view(np.uint8), connectivity=connectivity)
    is_connected = np.zeros(count, np.bool_)
    is_connected[names[seeds & cells]] = True
    connected: Mask = is_connected.take(names)
    return connected


def contains_centre(box: CellBox, other: CellBox) -> bool:
    """Whether the centre of another box is inside a box."""
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def hair_of(
    face: Mask, hair: Mask, heads: npt.NDArray[np.int32], rivals: Sequence[CellBox]
) -> Mask:
    """The hair connected to a face and nearer to it than to any rival, another face."""
    together = np.zeros(int(heads.max()) + 1, np.bool_)
    together[heads[face]] = True
    hair_of_face: Mask = hair & together.take(heads)
    if not hair_of_face.any():
        return hair_of_face
    box = left, top, right, bottom = cell_box(face)
    reach = round((_HEAD_HEIGHTS - 1) * (bottom - top)) + 2
    hair_of_face[: max(0, top - reach)] = False
    hair_of_face[bottom + reach :] = False
    hair_of_face[:, : max(0, left - reach)] = False
    hair_of_face[:, right + reach :] = False
    if rivals:
        rows, columns = np.divmod(np.flatnonzero(hair_of_face), face.shape[1])
        distance = _distance(box, rows, columns)
        for rival in rivals:
            farther = distance > _distance(rival, rows, columns)
            hair_of_face[rows[farther], columns[farther]] = False
    return hair_of_face


def _distance(
    box: CellBox, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """The distance of cells from a face's centre, in heights of the face."""
    left, top, right, bottom = box
    pixels = np.hypot(columns - (left + right - 1) / 2, rows - (top + bottom - 1) / 2)
    heights: npt.NDArray[np.float64] = pixels / (bottom - top)
    return heights
