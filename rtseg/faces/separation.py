"""Separate the labels of faces that touch, by the boxes in which a finder saw them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rtseg.faces.components import CellBox, may_be_complete
from rtseg.faces.scoring import Mask, score_face
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet

# How far the labels of a face may reach from the centre of its finder's box, in half widths and
# half heights: the square root of two. A box of the same shape that is half as large agrees by
# half, which is a hit, so labels that a box belongs to are not cut.
REACH = 1.4
_LIMIT = 1.1  # the same for labels that do not end within that
_FILLED = 0.3  # least share of a box's cells that are labelled face if it belongs to the labels


def separated(
    faces: Sequence[Mask],
    probabilities: Probabilities,
    region: Crop,
    label_set: LabelSet,
    *,
    boxes: Sequence[Box],
    doubtful: Box | None = None,
    min_cells: int,
) -> list[Mask]:
    """Give every box its own face, and leave out what belongs to none.

    Args:
        faces: bool (rows, columns), the cells of each face according to the labels.
        probabilities: float32 (rows, columns, classes).
        region: the part of the picture that the map covers.
        label_set: must say which ids make up a face.
        boxes: the upright rectangles, in pixels of the picture, in which a finder saw faces.
        doubtful: another one that may not fit its face, whose labels are only kept apart from
            those of the others.
        min_cells: the fewest cells of a face.

    Returns:
        The cells of each face, largest first. Cells beyond the reach of every box are a face by
        themselves if they show the parts of one. Faces on which there is no box stay as they are.
    """
    if not boxes or not faces:
        return list(faces)
    # a box outside the region contains none of its cells
    here = [box for box in boxes if region.bounds.overlap(box) > 0]
    places = [_Place(region, box, faces[0].shape) for box in here]
    if doubtful is not None:
        places.append(_Place(region, doubtful, faces[0].shape, is_doubtful=True))
    apart: list[Mask] = []
    for face in faces:
        own = [place for place in places if place.is_filled(face)]
        if all(place.is_doubtful for place in own):
            apart.append(face)
            continue
        nearest = np.argmin([place.from_centre for place in own], axis=0) if own[1:] else 0
        pieces, beyond = [], face.copy()
        for index, place in enumerate(own):
            piece = face & (nearest == index)
            if not place.is_doubtful:
                piece = place.within_reach(piece, min_cells=min_cells)
            pieces.append(piece)
            beyond &= ~piece
        apart += [piece for piece in pieces if np.count_nonzero(piece) >= min_cells]
        apart += _remaining(beyond, probabilities, label_set, min_cells=min_cells)
    return sorted(apart, key=np.count_nonzero, reverse=True)


class _Place:
    """The cells of a map as seen from a finder's box: 1 is half its width, or half its height."""

    def __init__(
        self, region: Crop, box: Box, size: tuple[int, ...], *, is_doubtful: bool = False
    ) -> None:
        self.is_doubtful = is_doubtful
        rows, columns = size
        frame = region.box
        # a row and a column are enough where the map is not rotated
        x, y = np.meshgrid(
            frame.left + (np.arange(columns) + 0.5) * (frame.width / columns),
            frame.top + (np.arange(rows) + 0.5) * (frame.height / rows),
            sparse=region.is_upright,
        )
        x, y = region.to_frame(x, y)
        centre_x, centre_y = box.centre
        self._x = (x - centre_x) / (box.width / 2)
        self._y = (y - centre_y) / (box.height / 2)

    @cached_property
    def from_centre(self) -> npt.NDArray[np.float64]:
        """How far cells are from the centre; 1 at the box's edges."""
        return self._distances(0.0, 0.0)

    def _distances(self, x: float, y: float) -> npt.NDArray[np.float64]:
        """How far cells are from a point."""
        distances: npt.NDArray[np.float64] = np.maximum(np.abs(self._x - x), np.abs(self._y - y))
        return distances

    def is_filled(self, face: Mask) -> bool:
        """Whether labels cover enough of the box to belong to it."""
        box = self.from_centre <= 1
        count = np.count_nonzero(box)
        return bool(count and np.count_nonzero(box & face) >= _FILLED * count)

    def within_reach(self, face: Mask, *, min_cells: int) -> Mask:
        """The labels of the box's face, cut off near the box if they do not end in its reach."""
        distances = self.from_centre
        near = face & (distances <= _LIMIT)
        if np.count_nonzero(face & (distances > REACH)) < min_cells or not near.any():
            reached: Mask = face & (distances <= REACH)
            return reached
        # a face may have moved since its box was seen, and is where most of its labels are
        x, y = (
            float(np.broadcast_to(places, near.shape)[near].mean()) for places in (self._x, self._y)
        )
        distances = self._distances(x, y)
        is_endless = np.count_nonzero(face & (distances > REACH)) >= min_cells
        within: Mask = face & (distances <= (_LIMIT if is_endless else REACH))
        return within


def _remaining(
    cells: Mask, probabilities: Probabilities, label_set: LabelSet, *, min_cells: int
) -> list[Mask]:
    """The pieces of what no box reaches that may be faces."""
    import cv2

    if np.count_nonzero(cells) < min_cells:
        return []
    count, names = cv2.connectedComponents(cells.view(np.uint8), connectivity=8)
    pieces = (names == name for name in range(1, count))
    return [
        piece
        for piece in pieces
        if may_be_complete(piece, min_cells=min_cells)
        and score_face(probabilities, piece, label_set).parts == 1
    ]


def cells_of(region: Crop, box: Box, rows: int, columns: int) -> CellBox:
    """A box of the picture in cells of a map, rotated with it about its own centre."""
    x, y = region.from_frame(*(np.array(value) for value in box.centre))
    step_x, step_y = region.box.width / columns, region.box.height / rows
    column, row = (float(x) - region.box.left) / step_x, (float(y) - region.box.top) / step_y
    half_x, half_y = box.width / 2 / step_x, box.height / 2 / step_y
    return column - half_x, row - half_y, column + half_x, row + half_y
