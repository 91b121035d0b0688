"""Lists of boxes drawn by eye, in `splits`: a picture's name, and a box in percent of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtseg.errors import SourceError
from training.augment.busts import Points
from training.data import base


@dataclass(frozen=True, kw_only=True)
class PercentBox:
    """Where something is in a picture; it may go on beyond the picture's edges.

    Attributes:
        left, top, right, bottom: its edges in percent of the picture's width and height.
        roll_degrees: its rotation, clockwise on the screen.
    """

    left: float
    top: float
    right: float
    bottom: float
    roll_degrees: float = 0.0

    def ellipse(self, *, width: int, height: int) -> Points:
        """The ellipse in the box: 48 points of a picture of that size, in pixels."""
        angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        x = (self.left + self.right + np.cos(angles) * (self.right - self.left)) * width / 200
        y = (self.top + self.bottom + np.sin(angles) * (self.bottom - self.top)) * height / 200
        return np.column_stack([x, y])


def read_percent_boxes(name: str, *, folder: Path | None = None) -> dict[str, list[PercentBox]]:
    """Read the boxes of a list by picture, from `splits` unless another folder is given.

    Each line is a picture's name, its left, top, right and bottom in percent, and its roll in
    degrees where it has one; a picture with several boxes has several lines.

    Raises:
        SourceError: the list cannot be read, or a line is not a name and four or five numbers.
    """
    path = (folder or base.SPLITS) / f"{name}.txt"
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from None
    boxes: dict[str, list[PercentBox]] = {}
    for number, line in enumerate(lines, 1):
        picture, *words = line.split() or [""]
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) not in (4, 5) or values[0] >= values[2] or values[1] >= values[3]:
            raise SourceError(
                f"{path}: line {number} is not a name, a box in percent and a roll: {line!r}"
            )
        left, top, right, bottom, *roll = values
        boxes.setdefault(picture, []).append(
            PercentBox(left=left, top=top, right=right, bottom=bottom, roll_degrees=sum(roll))
        )
    return boxes
