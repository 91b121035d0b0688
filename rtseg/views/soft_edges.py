"""How much a view covers each pixel: soft masks where there are any, and a ramp outwards."""

from __future__ import annotations

import numpy as np

from rtseg.frames import Alpha, LabelMap, Region, Segmentation
from rtseg.views.selection import Chosen

_DOUBT = 0.05
"""Soft mask values below this count as nothing, and above one less this as all."""


class Cover:
    """The chosen classes with soft edges.

    Args:
        segmentation: with soft masks or without; without, edges are the labels'.
        chosen: the classes.
        feather: how far outwards the cover fades, pixels; 0 ends it at the edge.
    """

    def __init__(self, segmentation: Segmentation, chosen: Chosen, *, feather: float) -> None:
        self._segmentation = segmentation
        self._chosen = chosen
        self._feather = feather
        self._alpha = None
        if segmentation.soft is not None:
            self._alpha = segmentation.soft.alpha(chosen.ids)

    @property
    def is_soft(self) -> bool:
        """Whether it says more than the labels do."""
        return self._alpha is not None or self._feather > 0

    @property
    def reach(self) -> int:
        """Pixels beyond the labels that may be covered; soft masks end within a few cells."""
        return int(np.ceil(self._feather)) + (0 if self._alpha is None else 24)

    def of(self, region: Region) -> LabelMap:
        """0 (not covered) to 255: uint8 of the region's size.

        Args:
            region: rows and columns; what lies outside of it counts as not chosen.
        """
        import cv2

        cover = self._chosen.where(self._segmentation.labels[region])
        if self._feather > 0:
            away = cv2.distanceTransform(cv2.bitwise_not(cover), cv2.DIST_L2, cv2.DIST_MASK_5)
            ramp = 255 * (1 - np.asarray(away, np.float32) / np.float32(self._feather + 1))
            cover = np.maximum(cover, ramp.clip(0, 255).astype(np.uint8))
            if self._alpha is None:
                return cover
            soft = _levels(self._alpha[region])
            # inside, the mask is full: the fading is all outwards
            return np.asarray(np.maximum(cover, soft), np.uint8)
        return cover if self._alpha is None else _levels(self._alpha[region])


def _levels(alpha: Alpha) -> LabelMap:
    """A soft mask from 0 to 255, without the network's faint doubts on either side."""
    scaled = (alpha - _DOUBT) * np.float32(255 / (1 - 2 * _DOUBT))
    scaled.clip(0, 255, out=scaled)
    levels: LabelMap = np.rint(scaled).astype(np.uint8)
    return levels
