"""Labelled people as a finder's views show them: with their picture, or cut out of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, LabelMap

Mask = npt.NDArray[np.bool_]
Points = npt.NDArray[np.float64]
"""float64 (n, 2): x and y, pixels."""

Cutout = npt.NDArray[np.uint8]
"""RGB and how much the person covers, uint8 (height, width, 4)."""

_LEVELS = 4  # full size, and halved three times
_LEAST_FACE = 200  # pixels of a face that is worth learning from


@dataclass(frozen=True, kw_only=True, eq=False)
class Bust:
    """One person in one picture.

    Attributes:
        levels: the picture and the person's mask, then halved again and again.
        outline: the convex hull of the face, pixels of the picture.
        roll_degrees: how far the face is turned in it, clockwise as one sees it.
        face_height: of the face were it upright, pixels.
        has_body: the mask reaches down to the picture's lower edge.
        can_be_cut_out: the mask is the whole head's at least.
        shows_others: somebody else's face, unlabelled, is or may be in the picture.
    """

    levels: tuple[Cutout, ...]
    outline: Points
    roll_degrees: float
    face_height: float
    has_body: bool
    can_be_cut_out: bool
    shows_others: bool

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the picture, pixels."""
        return self.levels[0].shape[:2]


def bust_of(
    image: Image,
    *,
    face: Mask,
    person: Mask | None,
    eyes: Sequence[tuple[float, float]] = (),
    shows_others: bool = False,
) -> Bust | None:
    """A bust; None where hardly any face shows.

    Args:
        image: the picture.
        face: forehead to chin, ear to ear.
        person: face, hair and all that belongs to them; None where that is not known.
        eyes: the middles (x, y) of both, the picture's left one first, where both show.
        shows_others: see `Bust`.
    """
    if np.count_nonzero(face) < _LEAST_FACE:
        return None
    # the largest piece: stray pixels would widen the box
    count, marks, stats, _ = cv2.connectedComponentsWithStats(
        cv2.morphologyEx(face.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    )
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    rows, columns = np.nonzero(face & (marks == largest))
    hull = cv2.convexHull(np.column_stack((columns, rows)).astype(np.int32))
    outline = hull.reshape(-1, 2).astype(np.float64) + 0.5
    roll = 0.0
    if len(eyes) == 2:
        (x0, y0), (x1, y1) = eyes
        roll = math.degrees(math.atan2(y1 - y0, x1 - x0))
    _, face_height = upright_size(outline, roll)
    covers = (face if person is None else person).astype(np.uint8) * 255
    levels = [np.dstack((image, covers))]
    for _ in range(_LEVELS - 1):
        height, width = levels[-1].shape[:2]
        levels.append(
            cv2.resize(levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        )
    return Bust(
        levels=tuple(levels),
        outline=outline,
        roll_degrees=roll,
        face_height=face_height,
        has_body=bool(covers[-1].mean() > 0.4 * 255),
        can_be_cut_out=person is not None,
        shows_others=shows_others,
    )


def upright_size(outline: Points, roll_degrees: float) -> tuple[float, float]:
    """Width and height of an outline, turned back upright."""
    (left, top), (right, bottom) = _upright_corners(outline, roll_degrees)
    return right - left, bottom - top


def middle_of(outline: Points, roll_degrees: float) -> tuple[float, float]:
    """The middle of an outline's upright box, where it lies in the picture."""
    (left, top), (right, bottom) = _upright_corners(outline, roll_degrees)
    x, y = (left + right) / 2, (top + bottom) / 2
    angle = math.radians(roll_degrees)
    return (
        math.cos(angle) * x - math.sin(angle) * y,
        math.sin(angle) * x + math.cos(angle) * y,
    )


def _upright_corners(outline: Points, roll_degrees: float) -> Points:
    angle = math.radians(roll_degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    upright = outline @ np.array([[cosine, -sine], [sine, cosine]])
    return np.stack((upright.min(0), upright.max(0)))


def eye_middles(labels: LabelMap, left: int, right: int) -> list[tuple[float, float]]:
    """The middles of two classes, the picture's left one first; empty where one is missing."""
    middles = []
    for eye in (left, right):
        rows, columns = np.nonzero(labels == eye)
        if len(rows) < 6:
            return []
        middles.append((float(columns.mean()) + 0.5, float(rows.mean()) + 0.5))
    return sorted(middles)


def chin_below(labels: LabelMap, *, eyes: Sequence[int], mouth: Sequence[int]) -> float | None:
    """The row of a chin that labels do not tell from the neck, by the eyes and the mouth.

    From the eyes down to the mouth is about one and a half times as far as from there to the chin.
    """
    eye_rows, mouth_rows = (np.nonzero(np.isin(labels, ids))[0] for ids in (eyes, mouth))
    if not len(eye_rows) or not len(mouth_rows):
        return None
    down = float(mouth_rows.mean() - eye_rows.mean())
    return float(mouth_rows.mean()) + 0.66 * down if down > 4 else None
