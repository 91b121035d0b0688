"""A probability map with its leading classes, which several steps correct in turn.

The leading classes are computed once and kept up to date. A map is copied before its first change
and never again: a copy takes as long as most steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rtseg.faces.leaders import leading_classes, led_by
from rtseg.faces.scoring import Mask
from rtseg.frames import LabelMap, Probabilities


class LabelledMap:
    """A probability map with its leading classes.

    Args:
        probabilities: float32 (rows, columns, classes), at most 255 classes.
        leaders: their leading classes, uint8 (rows, columns), if already known; not modified.
        in_place: whether the probabilities may be modified; by default a copy is.

    Attributes:
        probabilities: as corrected so far; must not be modified by others.
        leaders: their leading classes.
    """

    def __init__(
        self,
        probabilities: Probabilities,
        *,
        leaders: LabelMap | None = None,
        in_place: bool = False,
    ) -> None:
        self.probabilities = probabilities
        self.leaders = leading_classes(probabilities) if leaders is None else leaders
        self._are_own_leaders = leaders is None
        self._are_own_probabilities = in_place

    def led_by(self, ids: Sequence[int]) -> Mask:
        """Whether one of some classes leads in each cell: bool (rows, columns)."""
        return led_by(self.leaders, ids)

    def replace(self, where: Mask, cells: Probabilities) -> None:
        """Replace the probabilities of some cells.

        Args:
            where: the cells, bool (rows, columns).
            cells: float32 (cells, classes), in the order of rows and columns.
        """
        if not self._are_own_probabilities:
            self.probabilities, self._are_own_probabilities = self.probabilities.copy(), True
        if not self._are_own_leaders:
            self.leaders, self._are_own_leaders = self.leaders.copy(), True
        self.probabilities[where] = cells
        self.leaders[where] = leading_classes(cells[None])[0]

    def assign(self, where: Mask, label_id: int) -> None:
        """Label some cells, bool (rows, columns), as one class, with certainty."""
        shape = np.count_nonzero(where), self.probabilities.shape[2]
        cells = np.zeros(shape, np.float32)
        cells[:, label_id] = 1.0
        self.replace(where, cells)

    def limit(self, where: Mask, ids: Sequence[int]) -> None:
        """Label some cells as the likeliest of some classes.

        Args:
            where: the cells, bool (rows, columns).
            ids: the classes that those cells may be.
        """
        cells = self.probabilities[where]
        limited = np.zeros_like(cells)
        limited[:, ids] = cells[:, ids]
        self.replace(where, limited)
