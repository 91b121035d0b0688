"""The views that show class colours: overlay, mask, side by side."""

from __future__ import annotations

import numpy as np

from rtseg.frames import Image, Picture, Segmentation
from rtseg.views.selection import Chosen, labelled_regions


def overlay(image: Image, segmentation: Segmentation, chosen: Chosen, *, opacity: float) -> Picture:
    """The frame with the chosen classes tinted; every other pixel stays bit for bit.

    Edges are softened inwards, over one pixel (two from 1440 lines on).
    """
    picture = image.copy()
    _tint(picture, segmentation, chosen, opacity)
    return picture


def mask(image: Image, segmentation: Segmentation, chosen: Chosen) -> Picture:
    """The chosen classes in exactly their colours, everything else in the background's."""
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
        labels, seen = segmentation.labels[region], picture[region]
        covered = chosen.where(labels)
        # Uncovered pixels stand in as themselves, so that smoothing the paint fades it out
        # towards the edge instead of darkening it.
        paint = seen.copy()
        cv2.copyTo(chosen.paint(labels), covered, paint)
        paint = cv2.blur(paint, (size, size), borderType=cv2.BORDER_REPLICATE)
        cv2.copyTo(cv2.addWeighted(seen, 1.0 - opacity, paint, opacity, 0.0), covered, seen)
