"""Views that show class colours: overlay, mask and side by side."""

from __future__ import annotations

import numpy as np

from rtseg.frames import Image, Picture, Segmentation
from rtseg.views.selection import Chosen, labelled_regions


def overlay(image: Image, segmentation: Segmentation, chosen: Chosen, *, opacity: float) -> Picture:
    """Tint the chosen classes; every other pixel is unchanged.

    Edges are softened inwards over one pixel (two for frames of 1440 lines or more).
    """
    picture = image.copy()
    _tint(picture, segmentation, chosen, opacity)
    return picture


def mask(image: Image, segmentation: Segmentation, chosen: Chosen) -> Picture:
    """Draw the chosen classes in their exact colours, everything else in the background colour."""
    picture = np.zeros_like(image)
    if chosen.background != (0, 0, 0):
        picture[:] = chosen.background
    for region in labelled_regions(segmentation):
        picture[region] = chosen.paint(segmentation.labels[region])
    return picture


def side_by_side(
    image: Image, segmentation: Segmentation, chosen: Chosen, *, opacity: float
) -> Picture:
    """The frame on the left, its overlay on the right: (height, 2 * width, 3)."""
    height, width = image.shape[:2]
    picture = np.empty((height, 2 * width, 3), np.uint8)
    picture[:, :width] = image
    picture[:, width:] = image
    _tint(picture[:, width:], segmentation, chosen, opacity)
    return picture


def _tint(picture: Picture, segmentation: Segmentation, chosen: Chosen, opacity: float) -> None:
    import cv2

    size = 3 if picture.shape[0] < 1440 else 5
    for region in labelled_regions(segmentation, margin=size // 2):
        labels, part = segmentation.labels[region], picture[region]
        covered = chosen.where(labels)
        # Uncovered pixels keep the picture's colour, so that smoothing the paint fades it out
        # towards the edge instead of darkening it.
        paint = part.copy()
        cv2.copyTo(chosen.paint(labels), covered, paint)
        paint = cv2.blur(paint, (size, size), borderType=cv2.BORDER_REPLICATE)
        cv2.copyTo(cv2.addWeighted(part, 1.0 - opacity, paint, opacity, 0.0), covered, part)
