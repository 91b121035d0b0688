"""Detect faces in a face-parsing model's probability map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.faces.base import FaceDetection
from rtseg.faces.components import CellBox, cell_box, contains_centre, face_masks, hair_of
from rtseg.faces.leaders import leading_classes
from rtseg.faces.overlap import is_one_of
from rtseg.faces.scoring import Mask, score_face
from rtseg.faces.separation import cells_of, separated
from rtseg.faces.track import gap
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop, box_around, wrapped
from rtseg.geometry.resample import block_means
from rtseg.labels import LabelSet

MIN_COARSE_CELLS = 5
"""The fewest cells of a face in a large picture."""

_MIN_CROP_SHARE = 0.015  # the fewest cells of the face in its own crop, as a share of all cells
_READ_CELLS = 64  # side of the map that faces are parsed from


@dataclass(frozen=True, kw_only=True, eq=False)
class ParsedFace:
    """What may be a face in one probability map.

    Attributes:
        head: around face and hair, in frame pixels, with the height and width that it would have
            upright: for a rotated crop, it is rotated back about its centre.
        bounds: the upright rectangle around face and hair, frame pixels.
        face: the same around the face without hair.
        sure, parts, certain: as in `FaceScore`.
        roll_degrees: the face's rotation in the frame; None if too little of it is visible.
        cells: bool (rows, columns), the map's cells that belong to this head.
        is_cut: whether it touches the edge of the crop.
    """

    head: Box
    bounds: Box
    face: Box
    sure: float
    parts: float
    certain: float
    roll_degrees: float | None
    cells: Mask
    is_cut: bool

    @property
    def score(self) -> float:
        """The confidence that it is a face, 0..1."""
        return self.sure * self.parts

    @property
    def promise(self) -> float:
        """How promising a closer crop is, 0..1: in a large picture, parts are easily missed."""
        return self.sure * (0.4 + 0.6 * self.parts)

    def detection(self, *, track_id: int | None = None) -> FaceDetection:
        """Make a tracker's detection; `track_id` is the track whose crop it was found in."""
        return FaceDetection(
            box=self.face,
            score=self.score,
            roll_degrees=self.roll_degrees,
            head=self.head,
            bounds=self.bounds,
            track_id=track_id,
        )


def faces_in_crop(
    probabilities: Probabilities,
    crop: Crop,
    label_set: LabelSet,
    *,
    boxes: Sequence[Box] = (),
    doubtful: Box | None = None,
) -> list[ParsedFace]:
    """Parse the faces in the crop around one face, largest first.

    Args:
        probabilities: of the crop, float32 (rows, columns, classes).
        crop: the crop's position.
        label_set: must say which ids make up a face.
        boxes, doubtful: as for `parse_faces`.
    """
    read = readable(probabilities)
    rows, columns = read.shape[:2]
    return parse_faces(
        read,
        crop,
        label_set,
        min_cells=max(MIN_COARSE_CELLS, round(_MIN_CROP_SHARE * rows * columns)),
        bridge=max(1, rows // 32),
        boxes=boxes,
        doubtful=doubtful,
    )


def readable(probabilities: Probabilities) -> Probabilities:
    """The map from which faces are parsed: a fine one is reduced to the means of blocks of cells.

    The least sizes of a face and its parts are numbers of cells; a head's position is computed to a
    fraction of a cell.
    """
    return block_means(probabilities, cells=_READ_CELLS)


def parse_faces(
    probabilities: Probabilities,
    region: Crop,
    label_set: LabelSet,
    *,
    min_cells: int,
    bridge: int,
    boxes: Sequence[Box] = (),
    doubtful: Box | None = None,
) -> list[ParsedFace]:
    """Parse the faces in a probability map, largest first.

    Args:
        probabilities: float32 (rows, columns, classes).
        region: the rectangle that the map covers.
        label_set: must say which ids make up a face.
        min_cells: the fewest cells of a face.
        bridge: gaps in a face (a finger, a strand of hair) of up to twice this many cells do not
            split it.
        boxes, doubtful: where a finder saw faces; see `separated`.
    """
    import cv2

    leaders = leading_classes(probabilities)
    kinds = np.zeros(probabilities.shape[2], np.uint8)
    kinds[[*label_set.head]] = 2
    kinds[[*label_set.face]] = 1
    kind = kinds[leaders]
    faces = face_masks(kind == 1, probabilities, label_set, min_cells=min_cells, bridge=bridge)
    faces = separated(
        faces,
        probabilities,
        region,
        label_set,
        boxes=boxes,
        doubtful=doubtful,
        min_cells=min_cells,
    )
    if not faces:
        return []
    _, heads = cv2.connectedComponents((kind > 0).view(np.uint8), connectivity=8)
    cell_boxes = [cell_box(face_cells) for face_cells in faces]
    seen = [cells_of(region, box, *kind.shape) for box in boxes]
    head_sure = _summed(probabilities, label_set.head)
    parsed = []
    for index, face_cells in enumerate(faces):
        judged = score_face(probabilities, face_cells, label_set)
        others: list[CellBox] = [*cell_boxes[:index], *cell_boxes[index + 1 :]]
        # so does a face that a finder saw, but that is labelled as the hair of this one
        others += [box for box in seen if not contains_centre(cell_boxes[index], box)]
        cells = face_cells | hair_of(face_cells, kind == 2, heads, others)
        head = _frame_box(cells, head_sure, region)
        turned = judged.roll_degrees
        parsed.append(
            ParsedFace(
                head=head,
                bounds=head if region.is_upright else _bounds(cells, region),
                face=_frame_box(face_cells, head_sure, region)
                if region.is_upright
                else _bounds(face_cells, region),
                sure=judged.sure,
                parts=judged.parts,
                certain=judged.certain,
                roll_degrees=None if turned is None else wrapped(turned + region.roll_degrees),
                cells=cells,
                is_cut=_touches_edge(cells),
            )
        )
    return parsed


def parsed_head(
    probabilities: Probabilities,
    cells: Mask,
    region: Crop,
    label_set: LabelSet,
    *,
    face: Box,
    sure: float,
) -> ParsedFace:
    """Make a head from its cells alone, without a visible face.

    Args:
        probabilities: as for `parse_faces`.
        cells: bool (rows, columns), the head's cells; not empty.
        region: the rectangle that the map covers.
        label_set: determines the ids of face and hair.
        face: where its face would be.
        sure: as in `FaceScore`.
    """
    head_sure = _summed(probabilities, [*label_set.face, *label_set.hair])
    head = _frame_box(cells, head_sure, region)
    return ParsedFace(
        head=head,
        bounds=head if region.is_upright else _bounds(cells, region),
        face=face,
        sure=sure,
        parts=0.0,
        certain=0.0,
        roll_degrees=None,
        cells=cells,
        is_cut=_touches_edge(cells),
    )


def _summed(probabilities: Probabilities, ids: Sequence[int]) -> npt.NDArray[np.float32]:
    """The probability of a group of classes in each cell, float32 (rows, columns)."""
    member = np.zeros(probabilities.shape[2], np.float32)
    member[list(ids)] = 1.0
    # a product takes a tenth of the time of choosing and adding
    sums: npt.NDArray[np.float32] = probabilities @ member
    return sums


def _frame_box(mask: Mask, sure: npt.NDArray[np.float32], region: Crop) -> Box:
    """The box around a mask's cells, to a fraction of a cell, in frame pixels, rotated back."""
    left, top, right, bottom = cell_box(mask)
    inside = sure[top:bottom, left:right]
    across, down = inside.max(0), inside.max(1)
    rows, columns = mask.shape
    beyond_left = sure[top:bottom, left - 1].max() if left else 0.0
    beyond_right = sure[top:bottom, right].max() if right < columns else 0.0
    beyond_top = sure[top - 1, left:right].max() if top else 0.0
    beyond_bottom = sure[bottom, left:right].max() if bottom < rows else 0.0
    # the half-way crossing is between the last cell inside and the first one outside
    x0 = left + 0.5 - _crossing(across[0], beyond_left)
    x1 = right - 0.5 + _crossing(across[-1], beyond_right)
    y0 = top + 0.5 - _crossing(down[0], beyond_top)
    y1 = bottom - 0.5 + _crossing(down[-1], beyond_bottom)
    box = region.box
    step_x, step_y = box.width / columns, box.height / rows
    width, height = (x1 - x0) * step_x, (y1 - y0) * step_y
    x, y = region.to_frame(
        np.array(box.left + (x0 + x1) / 2 * step_x), np.array(box.top + (y0 + y1) / 2 * step_y)
    )
    return box_around(float(x), float(y), width, height)


def _bounds(mask: Mask, region: Crop) -> Box:
    """The upright rectangle around the cells of a rotated map, in frame pixels."""
    box = region.box
    step_x, step_y = box.width / mask.shape[1], box.height / mask.shape[0]
    rows, columns = np.nonzero(mask)
    x, y = region.to_frame(box.left + (columns + 0.5) * step_x, box.top + (rows + 0.5) * step_y)
    half_x, half_y = step_x / 2, step_y / 2
    return Box(
        left=float(x.min()) - half_x,
        top=float(y.min()) - half_y,
        right=float(x.max()) + half_x,
        bottom=float(y.max()) + half_y,
    )


def _crossing(inside: float, outside: float) -> float:
    """The distance from the inner cell's centre at which the probability falls to one half."""
    if outside >= 0.5 or inside <= 0.5:
        return 0.5
    return float((inside - 0.5) / (inside - outside))


def _touches_edge(mask: Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def distinct_parsed(parsed: Sequence[ParsedFace]) -> list[ParsedFace]:
    """Keep one detection per face: whole ones before cut ones, then by falling promise."""
    distinct_faces: list[ParsedFace] = []
    for face in sorted(parsed, key=lambda face: (face.is_cut, -face.promise)):
        if not is_one_of(face.face, [other.face for other in distinct_faces]):
            distinct_faces.append(face)
    return distinct_faces


def nearest(parsed: Sequence[ParsedFace], head: Box) -> ParsedFace | None:
    """The face that continues a head: the nearest one that is not too far away."""
    near = [face for face in parsed if gap(face.head, head) < 0.7 and face.score > 0]
    return min(near, key=lambda face: gap(face.head, head) - 0.3 * face.score, default=None)
