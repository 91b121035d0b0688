"""Split the area that an effect changes into tiles, since a mask such as hair fills little of its
bounding box."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rtseg.frames import Alpha, Region

_TILE = 128
"""Side in pixels: smaller tiles fit better but need more calls."""


def touched_tiles(weight: Alpha) -> Iterator[Region]:
    """Non-overlapping rectangles that contain every pixel above zero.

    Args:
        weight: float32 (height, width), 0..1.
    """
    import cv2

    height, width = weight.shape
    above = np.asarray(cv2.compare(weight, 0.0, cv2.CMP_GT), np.uint8)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            tile = above[top : top + _TILE, left : left + _TILE]
            x, y, columns, rows = cv2.boundingRect(tile)
            if columns:
                yield (
                    slice(top + y, top + y + rows),
                    slice(left + x, left + x + columns),
                )
