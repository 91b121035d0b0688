"""Score a face candidate by its confidence, the parts it has, and their arrangement."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.frames import Probabilities
from rtseg.labels import LabelSet

Mask = npt.NDArray[np.bool_]

_CLEAR = 0.2  # least probability of a cell that counts towards a part's position
_LEAST_REACH = 0.2  # least distance of eyes and mouth, in face sizes, to judge their arrangement
# least distances for estimating the roll, in face sizes, and in cells
_LEAST_DOWN, _LEAST_EYE_GAP, _LEAST_CELLS = 0.12, 0.15, 2.0


@dataclass(frozen=True, kw_only=True)
class FaceScore:
    """The evidence that some cells are a face.

    Attributes:
        sure: mean probability of "face" on them, 0..1.
        parts: the share of the required face parts that are present, 1 for enough, 0 for none;
            less if eyes, nose and mouth are arranged unlike a face.
        certain: the certainty of its upper parts (brows, eyes) and lower ones (nose, mouth), 0..1:
            the lesser of both, each at its most certain cells. In what only resembles a
            face, such as a cat, one is vague. 1 if the label set has no such parts.
        roll_degrees: the face's rotation in the map, clockwise as displayed; None if too little of
            it is visible.
    """

    sure: float
    parts: float
    certain: float
    roll_degrees: float | None


def score_face(probabilities: Probabilities, face: Mask, label_set: LabelSet) -> FaceScore:
    """Score the cells of what may be a face.

    Args:
        probabilities: float32 (rows, columns, classes), of square cells.
        face: bool (rows, columns), the cells of the face.
        label_set: must say which ids make up a face.
    """
    inside = _Inside(probabilities, face, label_set)
    sure = min(1.0, float(inside.of(label_set.face).mean()))
    groups = label_set.face_parts
    if not groups:
        return FaceScore(sure=sure, parts=1.0, certain=1.0, roll_degrees=None)
    enough = max(0.3, 0.004 * inside.count)  # cells' worth of probability
    present = sum(bool(inside.of(ids).sum() >= enough) for ids in groups)
    expected = max(1, min(3, len(groups) - 1))
    parts = min(1.0, present / expected)
    places = _Places(inside, enough=enough, least=0.0)
    eyes, nose, mouth = (
        places.of(ids) for ids in (label_set.eyes, label_set.nose, label_set.mouth)
    )
    size = math.sqrt(inside.count)
    if eyes and nose and mouth and not _in_order(eyes, nose, mouth, size=size):
        parts *= 0.6
    # small probabilities all over a face would draw every part's centre to the face's
    clear = _Places(inside, enough=enough, least=_CLEAR)
    return FaceScore(
        sure=sure,
        parts=parts,
        certain=_certain(inside, label_set),
        roll_degrees=_roll(clear, label_set, size=size),
    )


class _Inside:
    """The cells of a face, with the probabilities of groups of classes.

    All groups are summed in one matrix product, in a fraction of the time of one by one.
    """

    def __init__(self, probabilities: Probabilities, face: Mask, label_set: LabelSet) -> None:
        cells = np.flatnonzero(face)
        self.rows, self.columns = np.divmod(cells, face.shape[1])
        self.count = len(cells)
        groups = dict.fromkeys(
            (
                label_set.face,
                *label_set.face_parts,
                label_set.brows,
                label_set.eyes,
                label_set.nose,
                label_set.mouth,
                *((eye,) for eye in label_set.eyes),
            )
        )
        member = np.zeros((probabilities.shape[2], len(groups)), np.float32)
        for column, ids in enumerate(groups):
            member[list(ids), column] = 1.0
        inside = probabilities.reshape(-1, len(member)).take(cells, axis=0)
        sums = member.T @ inside.T
        self._sums: dict[tuple[int, ...], npt.NDArray[np.float32]] = dict(
            zip(groups, sums, strict=True)
        )

    def of(self, ids: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """The probability of a group of classes in each cell, (cells,)."""
        return self._sums[ids]


def _certain(inside: _Inside, label_set: LabelSet) -> float:
    eyes, nose, mouth = label_set.eyes, label_set.nose, label_set.mouth
    surest = max(1, inside.count // 100)  # cells
    both = [1.0]
    for kinds in ((label_set.brows, eyes), (nose, mouth)):
        sums = [inside.of(ids) for ids in kinds if ids]
        if sums:
            both.append(max(float(np.partition(s, -surest)[-surest:].mean()) for s in sums))
    return min(both)


class _Places:
    """The positions of a face's parts."""

    def __init__(self, inside: _Inside, *, enough: float, least: float) -> None:
        self._inside = inside
        self._enough = enough
        self._least = least

    def of(self, ids: tuple[int, ...]) -> tuple[float, float] | None:
        """The centre (x, y) of the ids' probability in cells; None if there is too little."""
        if not ids:
            return None
        weights = self._inside.of(ids)
        where: slice | npt.NDArray[np.intp] = slice(None)
        if self._least:
            where = np.flatnonzero(weights >= self._least)
            weights = weights[where]
        total = float(weights.sum())
        if total < self._enough:
            return None
        x, y = self._inside.columns[where], self._inside.rows[where]
        return float(x @ weights) / total, float(y @ weights) / total


def _in_order(
    eyes: tuple[float, float],
    nose: tuple[float, float],
    mouth: tuple[float, float],
    *,
    size: float,
) -> bool:
    """Whether eyes, nose and mouth are arranged as in a face that is not rotated much.

    The nose is about half-way from the eyes down to the mouth, and the three span a fair part of
    the face; patterns that resemble a face seldom get this right.
    """
    down_x, down_y = mouth[0] - eyes[0], mouth[1] - eyes[1]
    length = math.hypot(down_x, down_y)
    if length < _LEAST_REACH * size or down_y < 0.25 * length:
        return False
    nose_x, nose_y = nose[0] - eyes[0], nose[1] - eyes[1]
    along = (nose_x * down_x + nose_y * down_y) / length**2
    aside = abs(nose_x * down_y - nose_y * down_x) / length**2
    return 0.1 < along < 0.95 and aside < 0.6


def _roll(places: _Places, label_set: LabelSet, *, size: float) -> float | None:
    """The rotation of a face: from the centre of the eyes (else the brows) down to the mouth (else
    the nose) and, if both eyes are visible, along the line between them as well.
    """
    eyes, nose, mouth = label_set.eyes, label_set.nose, label_set.mouth
    both = [place for place in (places.of((eye,)) for eye in eyes) if place is not None]
    brows = places.of(label_set.brows)
    # a single eye, with the other behind a hand or a strand of hair, is off-centre
    upper = (brows or places.of(eyes)) if len(both) == 1 else (places.of(eyes) or brows)
    lower = places.of(mouth) or places.of(nose)
    if upper is None or lower is None:
        return None
    down = np.subtract(lower, upper)
    length = float(np.hypot(*down))
    if length < max(_LEAST_DOWN * size, _LEAST_CELLS):
        return None
    down = down / length
    if len(both) == 2:
        across = np.subtract(both[1], both[0])
        gap = float(np.hypot(*across))
        if gap >= max(_LEAST_EYE_GAP * size, _LEAST_CELLS):
            below = np.array([-across[1], across[0]]) / gap
            # in a face on its side, left and right are easily confused
            down = down + (below if below @ down >= 0 else -below)
    return math.degrees(math.atan2(-down[0], down[1]))
