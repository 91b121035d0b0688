"""Coverage with soft edges for views, from soft masks if available, with optional feathering."""

from __future__ import annotations

import numpy as np

from rtseg.frames import Alpha, LabelMap, Region, Segmentation
from rtseg.views.selection import Chosen

_DOUBT = 0.05
"""Soft mask values below this count as 0, and those above 1 minus this as 1."""


class Cover:
    """The chosen classes with soft edges.

    Args:
        segmentation: if it has no soft masks, edges follow the labels.
        chosen: the classes to cover.
        feather: pixels over which the cover fades outwards; 0 for none.
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
        """Whether it differs from the labels' hard edges."""
        return self._alpha is not None or self._feather > 0

    @property
    def reach(self) -> int:
        """Pixels beyond the labels that may be covered; soft masks reach only a few cells."""
        return int(np.ceil(self._feather)) + (0 if self._alpha is None else 24)

    def of(self, region: Region) -> LabelMap:
        """Return the coverage, 0 (none) to 255: uint8 of the region's size.

        Args:
            region: rows and columns; everything outside counts as not chosen.
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
            # the mask itself is fully covered; fading is outwards only
            return np.asarray(np.maximum(cover, soft), np.uint8)
        return cover if self._alpha is None else _levels(self._alpha[region])


def _levels(alpha: Alpha) -> LabelMap:
    """Scale a soft mask to 0..255, rounding values near 0 and 1 off."""
    scaled = (alpha - _DOUBT) * np.float32(255 / (1 - 2 * _DOUBT))
    scaled.clip(0, 255, out=scaled)
    levels: LabelMap = np.rint(scaled).astype(np.uint8)
    return levels
