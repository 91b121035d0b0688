"""Another background behind everything that the model labels.

Only as good as the model's own idea of a person: one without neck and clothes leaves a head.
"""

from __future__ import annotations

import numpy as np

from rtseg.effects.tones import smooth_step
from rtseg.errors import SettingError
from rtseg.frames import Alpha, Image, Segmentation
from rtseg.labels import Colour

_LOW, _HIGH = 0.25, 0.8
"""Soft mask values at which a pixel is all background, and all foreground."""


def foreground_of(segmentation: Segmentation) -> Alpha:
    """How much of each pixel is anything but background: float32 (height, width), 0..1.

    Raises:
        SettingError: no soft masks, or the label set has no background.
    """
    label_set = segmentation.label_set
    if label_set.background is None:
        raise SettingError(f"the label set {label_set.name!r} has no background to replace")
    return segmentation.soft_masks.alpha(label_set.foreground)


def paint_background_in(picture: Image, segmentation: Segmentation, *, colour: Colour) -> None:
    """Put one colour behind, in place.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        colour: RGB 0..255.
    """
    behind = np.empty_like(picture)
    behind[:] = colour
    _compose(picture, behind, foreground_of(segmentation))


def blur_background_in(picture: Image, segmentation: Segmentation, *, radius: float) -> None:
    """Blur what lies behind, in place.

    The foreground is left out of the average: else its colours would shine around it.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        radius: the blur's standard deviation, pixels.
    """
    import cv2

    alpha = foreground_of(segmentation)
    height, width = alpha.shape
    # a wide blur needs no more pixels than these
    shrink = int(min(8, max(1, radius / 2)))
    size = (max(1, width // shrink), max(1, height // shrink))
    cover = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
    weight = 1 - smooth_step(cover, _LOW, _HIGH)
    seen = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    sigma = radius / shrink
    weight += 1e-3  # so that the middle of a large head has some background, too
    seen *= weight[:, :, None]
    total = np.asarray(cv2.GaussianBlur(seen, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
    share = np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
    total /= share[:, :, None]
    behind = np.asarray(total.clip(0, 255) + 0.5, np.uint8)
    if shrink > 1:
        behind = np.asarray(cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR))
    _compose(picture, behind, alpha)


def replace_background_in(picture: Image, segmentation: Segmentation, *, behind: Image) -> None:
    """Put a picture behind, in place.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        behind: uint8 RGB of any size; it is scaled to cover the picture, its middle in the middle.
    """
    _compose(picture, covering(behind, *picture.shape[:2]), foreground_of(segmentation))


def covering(image: Image, height: int, width: int) -> Image:
    """A picture scaled and cut to a size, its middle kept: uint8 (height, width, 3)."""
    import cv2

    scale = max(height / image.shape[0], width / image.shape[1])
    size = (max(width, round(scale * image.shape[1])), max(height, round(scale * image.shape[0])))
    shrinks = scale < 1
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def _compose(picture: Image, behind: Image, alpha: Alpha) -> None:
    """Lay the picture over what is behind, in place."""
    import cv2

    held = cv2.compare(alpha, _LOW, cv2.CMP_GT)
    left, top, width, height = cv2.boundingRect(np.asarray(held, np.uint8))
    region = (slice(top, top + height), slice(left, left + width))
    cover = smooth_step(np.ascontiguousarray(alpha[region]), _LOW, _HIGH)
    before = cv2.blendLinear(picture[region], behind[region], cover, 1 - cover) if width else None
    picture[:] = behind
    if before is not None:
        picture[region] = before
