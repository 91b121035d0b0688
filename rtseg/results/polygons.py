"""Convert masks to polygons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Polygon = npt.NDArray[np.float32]
"""(x, y) of each corner in frame pixels, float32 (corners, 2); pixel centres are at +0.5."""

_FEWEST_CORNERS = 3


def polygons_of(mask: npt.NDArray[np.bool_]) -> list[Polygon]:
    """The outlines of a mask, largest first.

    They pass through the centres of the outermost pixels. Holes are omitted, and so are areas of
    only one or two pixels.

    Args:
        mask: bool (height, width).
    """
    import cv2

    outlines, _ = cv2.findContours(
        np.ascontiguousarray(mask).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    polygons = [np.asarray(line, np.float32).reshape(-1, 2) + np.float32(0.5) for line in outlines]
    polygons = [line for line in polygons if len(line) >= _FEWEST_CORNERS]
    return sorted(polygons, key=lambda line: -abs(cv2.contourArea(line)))
