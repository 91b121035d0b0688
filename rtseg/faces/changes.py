"""Notice where a stream's picture has changed since a region of it was last searched.

A region that looks as it did when nobody new was found in it needs no new search: the result would
be the same but for noise. Pictures are compared as means of large cells, in which noise averages
out and a small face is still about one cell large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rtseg.faces.scoring import Mask
from rtseg.frames import Box, Image
from rtseg.geometry.crop import Crop

_CELLS = 64  # along the picture's longer side
_LINES = 4  # lines of pixels that are read of each cell
_LEVELS = 5  # a cell whose mean differs by more than this, in any channel, has changed


Cells = npt.NDArray[np.uint8]
"""The mean colours of a picture's cells: uint8 (rows, columns, 3)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Search:
    frame: int
    cells: Cells


class SearchedRegions:
    """What the regions of one stream looked like when each was last searched in vain.

    Args:
        longest: frames after which a region is worth a search whatever it looks like.
        least: frames for which it is not, whatever it looks like.
    """

    def __init__(self, *, longest: int, least: int = 0) -> None:
        self.longest = longest
        self.least = least
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next picture is unrelated to the last one."""
        self._frame = 0
        self._searches: dict[Crop, _Search] = {}
        self._picture: Image | None = None
        self._cells: Cells | None = None

    def next_frame(self, picture: Image) -> None:
        """Advance to the next picture, RGB uint8 (height, width, 3)."""
        self._frame += 1
        self._picture, self._cells = picture, None

    def add(self, regions: Sequence[Crop], *, is_settled: bool) -> None:
        """Remember that regions of this picture were searched.

        Args:
            regions: the regions.
            is_settled: whether nobody new can be there. If some place is still in doubt, the
                regions are searched again at their next turns, changed or not.
        """
        for region in regions:
            if is_settled:
                self._searches[region] = _Search(frame=self._frame, cells=self._shown()[1])
            else:
                self._searches.pop(region, None)

    def is_worth_searching(self, region: Crop, *, known: Sequence[Box] = ()) -> bool:
        """Whether a search of a region of this picture may find somebody new.

        Args:
            region: an upright part of the picture.
            known: parts that are labelled in any case, in which changes do not count.
        """
        search = self._searches.get(region)
        if search is None or self._frame - search.frame >= self.longest:
            return True
        if self._frame - search.frame < self.least:
            return False
        picture, cells = self._shown()
        if cells.shape != search.cells.shape:
            return True
        changed = _changed(cells, search.cells)
        for box in known:
            # only cells that are entirely inside
            changed[_cells_in(box, picture, cells, math.ceil, math.floor)] = False
        return bool(changed[_cells_in(region.box, picture, cells, math.floor, math.ceil)].any())

    def _shown(self) -> tuple[Image, Cells]:
        """This picture and its cells, which are computed when they are first needed."""
        if self._picture is None:
            raise ValueError("there is no picture yet; call next_frame first")
        if self._cells is None:
            self._cells = _cells_of(self._picture)
        return self._picture, self._cells


def _cells_of(picture: Image) -> Cells:
    """The mean colours of a picture's cells."""
    import cv2

    height, width = picture.shape[:2]
    side = max(1, round(max(height, width) / _CELLS))
    # a few lines of each cell are enough, and every further one costs as much again
    lines = picture[:: max(1, side // _LINES)]
    size = max(1, round(width / side)), max(1, round(height / side))
    return np.asarray(cv2.resize(lines, size, interpolation=cv2.INTER_AREA), np.uint8)


def _changed(now: Cells, then: Cells) -> Mask:
    import cv2

    changed: Mask = (cv2.absdiff(now, then) > _LEVELS).any(2)
    return changed


def _cells_in(
    box: Box,
    picture: Image,
    cells: Cells,
    first: Callable[[float], int],
    last: Callable[[float], int],
) -> tuple[slice, slice]:
    """The rows and columns of the cells in a box, its edges rounded by two functions."""
    rows, columns = cells.shape[0] / picture.shape[0], cells.shape[1] / picture.shape[1]
    top, bottom = max(0, first(box.top * rows)), max(0, last(box.bottom * rows))
    left, right = max(0, first(box.left * columns)), max(0, last(box.right * columns))
    return slice(top, bottom), slice(left, right)
