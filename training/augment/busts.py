"""Labelled people for a finder's training views, in their own picture or cut out of it."""

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
"""RGB and the person's coverage, uint8 (height, width, 4)."""

_LEVELS = 4  # full size, then halved three times
_LEAST_FACE = 200  # fewest pixels of a face that is worth learning from


@dataclass(frozen=True, kw_only=True, eq=False)
class Bust:
    """One person in one picture.

    Attributes:
        levels: an image pyramid of the picture with the person's mask.
        outline: the convex hull of the face in picture pixels.
        roll_degrees: the face's rotation, clockwise on the screen.
        face_height: the face's height in pixels, measured upright.
        has_body: whether the mask extends to the picture's lower edge.
        can_be_cut_out: whether the mask covers at least the whole head.
        shows_others: whether the picture shows or may show other, unlabelled faces.
        is_turned: whether the face is known to be in profile or half turned away.
    """

    levels: tuple[Cutout, ...]
    outline: Points
    roll_degrees: float
    face_height: float
    has_body: bool
    can_be_cut_out: bool
    shows_others: bool
    is_turned: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the picture in pixels."""
        return self.levels[0].shape[:2]


def bust_of(
    image: Image,
    *,
    face: Mask,
    person: Mask | None,
    eyes: Sequence[tuple[float, float]] = (),
    shows_others: bool = False,
    is_turned: bool = False,
) -> Bust | None:
    """Make a bust; None if hardly any face is visible.

    Args:
        image: the picture.
        face: mask of the face, from forehead to chin and ear to ear.
        person: mask of face, hair and everything that belongs to them; None if unknown.
        eyes: the centres (x, y) of both eyes, the one on the left first, if both are visible.
        shows_others, is_turned: see `Bust`.
    """
    if np.count_nonzero(face) < _LEAST_FACE:
        return None
    # only the largest component, since stray pixels would widen the box
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
        is_turned=is_turned,
    )


def upright_size(outline: Points, roll_degrees: float) -> tuple[float, float]:
    """Width and height of an outline, rotated upright."""
    (left, top), (right, bottom) = _upright_corners(outline, roll_degrees)
    return right - left, bottom - top


def middle_of(outline: Points, roll_degrees: float) -> tuple[float, float]:
    """The centre of an outline's upright box, in picture coordinates."""
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
    """The centres of two classes, the one on the left first; empty if one is missing."""
    middles = []
    for eye in (left, right):
        rows, columns = np.nonzero(labels == eye)
        if len(rows) < 6:
            return []
        middles.append((float(columns.mean()) + 0.5, float(rows.mean()) + 0.5))
    return sorted(middles)


def chin_below(labels: LabelMap, *, eyes: Sequence[int], mouth: Sequence[int]) -> float | None:
    """Estimate the chin's row from eyes and mouth, for labels that do not separate the neck.

    The distance from eyes to mouth is about one and a half times that from mouth to chin.
    """
    eye_rows, mouth_rows = (np.nonzero(np.isin(labels, ids))[0] for ids in (eyes, mouth))
    if not len(eye_rows) or not len(mouth_rows):
        return None
    down = float(mouth_rows.mean() - eye_rows.mean())
    return float(mouth_rows.mean()) + 0.66 * down if down > 4 else None
