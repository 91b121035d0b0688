"""The contour view: each chosen class outlined in its colour."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, Picture, Segmentation
from rtseg.views.selection import Chosen, labelled_regions

_SHIFT = 4
"""Fractional bits of the coordinates for OpenCV's line drawing."""


def contour(image: Image, segmentation: Segmentation, chosen: Chosen) -> Picture:
    """Draw a smooth, antialiased outline around every chosen class.

    A slightly wider dark line lies beneath, so that the outline is visible on any background.
    """
    import cv2

    picture = image.copy()
    frame_thickness = min(image.shape[:2]) / 340
    for region in labelled_regions(segmentation, margin=2 * round(frame_thickness) + 4):
        # A small face gets thinner lines, so that they do not fill its eyes.
        face_rows = region[0].stop - region[0].start
        thickness = max(1, round(min(frame_thickness, face_rows / 100)))
        casing = thickness + max(2, 2 * round(thickness / 2))
        shade = 0.55 if thickness > 1 else 0.3
        labels, part = segmentation.labels[region], picture[region]
        lines = []
        for label_id, colour in zip(chosen.ids, chosen.colours, strict=True):
            where = (labels == label_id).view(np.uint8)
            area = cv2.countNonZero(where)
            if area:
                lines.append((area, _outlines(where, thickness), colour))
        # Where two classes touch, the smaller one's line is on top.
        lines.sort(key=lambda line: -line[0])
        shaded = part.copy()
        for _, outlines, _ in lines:
            cv2.polylines(shaded, outlines, True, (16, 16, 20), casing, cv2.LINE_AA, _SHIFT)  # noqa: FBT003
        cv2.addWeighted(part, 1.0 - shade, shaded, shade, 0.0, dst=part)
        for _, outlines, colour in lines:
            cv2.polylines(part, outlines, True, colour, thickness, cv2.LINE_AA, _SHIFT)  # noqa: FBT003
    return picture


def _outlines(where: npt.NDArray[np.uint8], thickness: int) -> list[npt.NDArray[np.int32]]:
    """Closed outlines of a mask, smoothed over a few pixels, in fixed-point coordinates."""
    import cv2

    borders, _ = cv2.findContours(where, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    reach = 2 + thickness
    lines = []
    for points in borders:
        if len(points) < 8:  # only a few pixels
            continue
        path = np.asarray(points, np.float32).reshape(-1, 2)
        around = np.concatenate((path[-reach:], path, path[:reach]))
        smooth = np.asarray(cv2.blur(around, (1, 2 * reach + 1)))[reach : reach + len(path)]
        lines.append(np.round(smooth[::2] * (1 << _SHIFT)).astype(np.int32).reshape(-1, 1, 2))
    return lines
