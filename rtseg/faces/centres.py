"""The outputs of a finder network: face centres, sizes and rotations.

Each cell of the map holds one softmax. The first class is "no face is centred here"; the others
are groups of bins, one group per quantity: the face's size, shape and roll, and the position of
its centre in the cell. A cell's score is one minus the first class, and a quantity is the expected
value over its group's bins, after Rothe et al. (DEX, IJCV 2018). So a finder is a network with
classes like any other to whatever runs it, and its output survives FP16.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.labels import LabelSet

STRIDE = 8
"""Input pixels per cell."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bins:
    """A group of classes that together encode one quantity.

    Attributes:
        name: the quantity's name.
        first: the group's first class.
        values: the values of its bins, ascending in equal steps, float32 (count,).
        period: the period of a periodic quantity, such as an angle; 0 for others.
    """

    name: str
    first: int
    values: npt.NDArray[np.float32]
    period: float = 0.0

    @property
    def classes(self) -> slice:
        """The classes of its bins."""
        return slice(self.first, self.first + len(self.values))

    @property
    def step(self) -> float:
        """The distance between two bins."""
        return float(self.values[1] - self.values[0])


def _values(first: float, step: float, count: int) -> npt.NDArray[np.float32]:
    return (first + step * np.arange(count)).astype(np.float32)


SIZE = Bins(name="size", first=1, values=_values(2.5, 0.5, 13))
"""log2 of the square root of width times height of the upright face, in input pixels: 6 to 360."""
SHAPE = Bins(name="shape", first=14, values=_values(-1.0, 0.4, 4))
"""log2 of width over height of the upright face."""
ROLL = Bins(name="roll", first=18, values=_values(-180, 30, 12), period=360)
"""Degrees, clockwise as displayed."""
ACROSS = Bins(name="across", first=30, values=_values(-1.5, 1, 4))
"""From the cell's centre to the face's, in cells to the right."""
DOWN = Bins(name="down", first=34, values=_values(-1.5, 1, 4))
"""From the cell's centre to the face's, in cells downwards."""

GROUPS = (SIZE, SHAPE, ROLL, ACROSS, DOWN)


def _grey(index: int, count: int) -> tuple[int, int, int]:
    level = round(255 * index / (count - 1))
    return level, level, level


def _label_set() -> LabelSet:
    names = ["background"]
    for group in GROUPS:
        names += [f"{group.name}-{index}" for index in range(len(group.values))]
    colours = tuple(_grey(index, len(names)) for index in range(len(names)))
    return LabelSet(name="face-centres", names=tuple(names), colours=colours)


FACE_CENTRES = _label_set()
"""The classes of a finder network."""


def expected(probabilities: npt.NDArray[np.float32], group: Bins) -> npt.NDArray[np.float64]:
    """Compute a quantity's expected value in some cells.

    Args:
        probabilities: float32 (cells, classes).
        group: the quantity's classes.

    Returns:
        float64 (cells,); for an angle, the direction of the mean vector, within -180..180.
    """
    shares = probabilities[:, group.classes].astype(np.float64)
    shares /= shares.sum(1, keepdims=True) + 1e-12
    if not group.period:
        mean: npt.NDArray[np.float64] = shares @ group.values.astype(np.float64)
        return mean
    turns = np.exp(2j * np.pi * group.values.astype(np.float64) / group.period)
    angles: npt.NDArray[np.float64] = np.degrees(np.angle(shares @ turns))
    return angles
