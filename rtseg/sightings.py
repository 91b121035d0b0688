"""Reading faces off a probability map: which cells make up a face, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtseg.frames import Box, Probabilities
from rtseg.labels import LabelSet

_HEAD_HEIGHTS = 2.6  # hair counts to at most so many heights of the face: braids, not a blanket

Mask = npt.NDArray[np.bool_]
CellBox = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sighting:
    """What may be a face in one probability map.

    Attributes:
        head: around face and hair, frame pixels.
        face: around the face without hair, frame pixels.
        sure: mean probability of "face" on it, 0..1.
        parts: how many of the parts that make a face a face are there, 1 for enough, 0 for none.
        cells: bool (rows, columns), the map's cells that belong to this head.
        is_cut: it touches the edge of what was looked at.
    """

    head: Box
    face: Box
    sure: float
    parts: float
    cells: Mask
    is_cut: bool

    @property
    def score(self) -> float:
        """How sure it is a face, 0..1."""
        return self.sure * self.parts

    @property
    def promise(self) -> float:
        """How much a closer look is worth, 0..1: from afar, parts are easily missed."""
        return self.sure * (0.4 + 0.6 * self.parts)


@lru_cache(maxsize=16)
def _part_groups(
    face: tuple[int, ...], alike: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], ...]:
    groups = [{part} for part in face[1:]]
    for ids in alike:
        touched = [group for group in groups if group & set(ids)]
        groups = [group for group in groups if not group & set(ids)]
        if touched:
            groups.append(set().union(*touched))
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def part_groups(label_set: LabelSet) -> tuple[tuple[int, ...], ...]:
    """The kinds of parts of a face: all its ids but the first (skin), those of a kind together.

    Of a kind are left and right, and what a merged name of at most three ids pools (the lips and
    the mouth between them).
    """
    pooled = tuple(ids for ids in label_set.merged.values() if len(ids) <= 3)
    return _part_groups(label_set.face, (*label_set.swapped, *pooled))


def sightings(
    probabilities: Probabilities, region: Box, label_set: LabelSet, *, min_cells: int, bridge: int
) -> list[Sighting]:
    """Read faces off a probability map, largest first.

    Args:
        probabilities: float32 (rows, columns, classes).
        region: what the map covers, frame pixels.
        label_set: must say which ids make up a face.
        min_cells: the fewest cells of a face.
        bridge: gaps in a face (a finger, a strand of hair) of up to twice so many cells do not
            split it.
    """
    import cv2

    leaders = probabilities.argmax(2).astype(np.uint8)
    kinds = np.zeros(probabilities.shape[2], np.uint8)
    kinds[[*label_set.hair]] = 2
    kinds[[*label_set.face]] = 1
    kind = kinds[leaders]
    faces = _face_masks(kind == 1, probabilities, label_set, min_cells=min_cells, bridge=bridge)
    if not faces:
        return []
    _, heads = cv2.connectedComponents((kind > 0).view(np.uint8), connectivity=8)
    boxes = [_cell_box(own) for own in faces]
    head_sure = probabilities[:, :, [*label_set.face, *label_set.hair]].sum(2)
    found = []
    for index, own in enumerate(faces):
        sure, parts = _evidence(probabilities, own, label_set)
        cells = own | _hair_of(index, own, kind == 2, heads, boxes)
        found.append(
            Sighting(
                head=_frame_box(cells, head_sure, region),
                face=_frame_box(own, head_sure, region),
                sure=sure,
                parts=parts,
                cells=cells,
                is_cut=_touches_edge(cells),
            )
        )
    return found


def _face_masks(
    face: Mask, probabilities: Probabilities, label_set: LabelSet, *, min_cells: int, bridge: int
) -> list[Mask]:
    """The cells of each face, largest first: what hangs together, over gaps."""
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
    """Two faces that only a bridged gap joins, as two: each has all its parts, and is wide enough.

    Pieces that are no face by themselves go to the nearest that is.
    """
    import cv2

    count, pieces = cv2.connectedComponents(joined.view(np.uint8), connectivity=8)
    if count <= 2:
        return [joined]
    masks = [pieces == piece for piece in range(1, count)]
    complete = []
    for mask in masks:
        left, top, right, bottom = _cell_box(mask)
        if np.count_nonzero(mask) >= min_cells and right - left >= 0.5 * (bottom - top):
            _, parts = _evidence(probabilities, mask, label_set)
            if parts == 1:
                complete.append(mask)
    if len(complete) < 2:
        return [joined]
    boxes = [_cell_box(mask) for mask in complete]
    faces = [mask.copy() for mask in complete]
    for piece in masks:
        rows, columns = np.nonzero(piece)
        apart = [float(_distance(box, rows, columns).min()) for box in boxes]
        faces[int(np.argmin(apart))] |= piece
    return faces


def _cell_box(mask: Mask) -> CellBox:
    """(left, top, right, bottom) in whole cells, right and bottom exclusive."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _hair_of(
    index: int,
    own: Mask,
    hair: Mask,
    heads: npt.NDArray[np.int32],
    boxes: Sequence[CellBox],
) -> Mask:
    """The hair that hangs together with a face and lies nearer to it than to any other face."""
    together = np.unique(heads[own])
    mine: Mask = hair & np.isin(heads, together)
    if not mine.any():
        return mine
    left, top, right, bottom = boxes[index]
    reach = round((_HEAD_HEIGHTS - 1) * (bottom - top)) + 2
    mine[: max(0, top - reach)] = False
    mine[bottom + reach :] = False
    mine[:, : max(0, left - reach)] = False
    mine[:, right + reach :] = False
    rivals = [box for other, box in enumerate(boxes) if other != index]
    if rivals:
        rows, columns = np.nonzero(mine)
        distance = _distance(boxes[index], rows, columns)
        for rival in rivals:
            farther = distance > _distance(rival, rows, columns)
            mine[rows[farther], columns[farther]] = False
    return mine


def _distance(
    box: CellBox, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """From a face's middle, in heights of the face."""
    left, top, right, bottom = box
    pixels = np.hypot(columns - (left + right - 1) / 2, rows - (top + bottom - 1) / 2)
    heights: npt.NDArray[np.float64] = pixels / (bottom - top)
    return heights


def _frame_box(mask: Mask, sure: npt.NDArray[np.float32], region: Box) -> Box:
    """Around the cells of a mask, to a fraction of a cell, in frame pixels."""
    left, top, right, bottom = _cell_box(mask)
    inside = sure[top:bottom, left:right]
    across, down = inside.max(0), inside.max(1)
    rows, columns = mask.shape
    beyond_left = sure[top:bottom, left - 1].max() if left else 0.0
    beyond_right = sure[top:bottom, right].max() if right < columns else 0.0
    beyond_top = sure[top - 1, left:right].max() if top else 0.0
    beyond_bottom = sure[bottom, left:right].max() if bottom < rows else 0.0
    # the half-way crossing lies between the last cell inside and the first one outside
    x0 = left + 0.5 - _crossing(across[0], beyond_left)
    x1 = right - 0.5 + _crossing(across[-1], beyond_right)
    y0 = top + 0.5 - _crossing(down[0], beyond_top)
    y1 = bottom - 0.5 + _crossing(down[-1], beyond_bottom)
    step_x, step_y = region.width / columns, region.height / rows
    return Box(
        left=region.left + x0 * step_x,
        top=region.top + y0 * step_y,
        right=region.left + x1 * step_x,
        bottom=region.top + y1 * step_y,
    )


def _crossing(inside: float, outside: float) -> float:
    """How far from the inner cell's centre towards the outer one's probability falls to a half."""
    if outside >= 0.5 or inside <= 0.5:
        return 0.5
    return float((inside - 0.5) / (inside - outside))


def _touches_edge(mask: Mask) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


def _evidence(probabilities: Probabilities, own: Mask, label_set: LabelSet) -> tuple[float, float]:
    """`Sighting.sure` and `.parts` of the cells of a face."""
    inside = probabilities[own]  # (cells, classes)
    sure = min(1.0, float(inside[:, list(label_set.face)].sum(1).mean()))
    groups = part_groups(label_set)
    if not groups:
        return sure, 1.0
    enough = max(0.3, 0.004 * len(inside))  # cells' worth of probability
    present = sum(bool(inside[:, list(ids)].sum() >= enough) for ids in groups)
    wanted = max(1, min(3, len(groups) - 1))
    parts = min(1.0, present / wanted)
    if not _in_order(inside, own, label_set, enough=enough):
        parts *= 0.6
    return sure, parts


def _in_order(
    inside: npt.NDArray[np.float32], own: Mask, label_set: LabelSet, *, enough: float
) -> bool:
    """Whether eyes, nose and mouth, where all are seen, lie as in a face.

    The nose lies about half-way from the eyes down to the mouth, and the three fill a fair part
    of the face; patterns that are taken for a face seldom get this right.
    """
    rows, columns = np.nonzero(own)
    places = []
    for ids in _eyes_nose_mouth(label_set):
        weights = inside[:, list(ids)].sum(1)
        total = float(weights.sum())
        if not ids or total < enough:
            return True
        places.append((float(columns @ weights) / total, float(rows @ weights) / total))
    (eyes_x, eyes_y), (nose_x, nose_y), (mouth_x, mouth_y) = places
    down_x, down_y = mouth_x - eyes_x, mouth_y - eyes_y
    length = math.hypot(down_x, down_y)
    size = math.sqrt(len(rows))
    if length < 0.2 * size or down_y < 0.25 * length:
        return False
    along = ((nose_x - eyes_x) * down_x + (nose_y - eyes_y) * down_y) / length**2
    aside = abs((nose_x - eyes_x) * down_y - (nose_y - eyes_y) * down_x) / length**2
    return 0.1 < along < 0.95 and aside < 0.6


def _eyes_nose_mouth(label_set: LabelSet) -> tuple[tuple[int, ...], ...]:
    """The ids of each; empty for what the label set does not have."""
    eyes = tuple(i for i in (label_set.left_eye, label_set.right_eye) if i is not None)

    def named(name: str) -> tuple[int, ...]:
        known = name in label_set.names or name in label_set.merged
        return label_set.select([name]) if known else ()

    return eyes, named("nose"), named("mouth")


def distinct(found: Sequence[Sighting]) -> list[Sighting]:
    """One sighting a face, of several looks: the whole ones before the cut, then the surest."""
    kept: list[Sighting] = []
    for sighting in sorted(found, key=lambda seen: (seen.is_cut, -seen.promise)):
        if not is_one_of(sighting.face, [other.face for other in kept]):
            kept.append(sighting)
    return kept


def is_one_of(face: Box, others: Iterable[Box]) -> bool:
    """Whether a face (without its hair) is one of the others, or a piece of one."""
    for other in others:
        if face.overlap(other) > 0.35:
            return True
        small, large = sorted((face, other), key=lambda box: box.area)
        if _shared(small, large) > 0.6 * small.area:
            return True
    return False


def _shared(first: Box, second: Box) -> float:
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    return max(0.0, width) * max(0.0, height)
