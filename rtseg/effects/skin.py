"""Smooth skin: even out patches, but preserve pores and edges.

A self-guided filter (He et al., "Guided image filtering", ECCV 2010) at reduced resolution measures
how far patches deviate from their surroundings, and that deviation is subtracted. Anything finer
than the reduced picture, such as pores, and anything with more contrast than skin, such as eyes and
the edge of the nose, is preserved.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.effects.colour_memory import ColourMemory
from rtseg.effects.parts import ids_of
from rtseg.effects.tones import smooth_step
from rtseg.frames import FaceAlpha, Image, Segmentation

_ROWS = 220
"""The filter's resolution: a larger face is reduced to between this many rows and twice as many."""

_RADIUS = 1 / 32
"""The filter's radius, relative to the height of the skin."""

_EDGE = 15.0
"""Deviations of more grey levels than this are edges, and are preserved."""


def smooth_skin_in(
    picture: Image,
    segmentation: Segmentation,
    *,
    strength: float,
    memory: ColourMemory | None = None,
) -> None:
    """Even out the skin of every face, in place.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        strength: 0 (nothing) to 1.
        memory: not used; each frame's skin is smoothed independently of the others.

    Raises:
        SettingError: there are no soft masks, or the model has no skin.
    """
    ids = ids_of(segmentation.label_set, "skin")
    for face in segmentation.soft_masks.by_face(ids):
        _smooth_face(picture, face, strength)


def _smooth_face(picture: Image, face: FaceAlpha, strength: float) -> None:
    import cv2

    part = picture[face.region]
    height, width = face.alpha.shape
    if height < 16 or width < 16:
        return
    shrink = max(1, height // _ROWS)
    size = (max(1, width // shrink), max(1, height // shrink))
    small = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.float32)
    alpha = np.asarray(cv2.resize(face.alpha, size, interpolation=cv2.INTER_AREA), np.float32)
    change = _guided(small, radius=max(1, round(_RADIUS * size[1]))) - small
    # spare lips, eyes and brows: cells that contain some of them count little
    change *= (strength * smooth_step(alpha, 0.5, 0.95))[:, :, None]
    if shrink > 1:
        change = np.asarray(cv2.resize(change, (width, height), interpolation=cv2.INTER_LINEAR))
    cv2.add(part, change, dst=part, dtype=cv2.CV_8U)


def _guided(picture: npt.NDArray[np.float32], *, radius: int) -> npt.NDArray[np.float32]:
    """Filter the picture, guided by itself, channel by channel."""
    import cv2

    window = (2 * radius + 1, 2 * radius + 1)

    def mean(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.asarray(cv2.blur(values, window, borderType=cv2.BORDER_REPLICATE), np.float32)

    middle = mean(picture)
    detail_share = mean(picture * picture)
    detail_share -= middle * middle
    detail_share /= detail_share + _EDGE**2
    rest = middle - detail_share * middle
    filtered: npt.NDArray[np.float32] = mean(detail_share) * picture + mean(rest)
    return filtered
