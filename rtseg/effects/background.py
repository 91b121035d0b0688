"""Replace the background behind everything that the model labels.

The result depends on the model's classes: without neck and clothes, only the head remains.
"""

from __future__ import annotations

import numpy as np

from rtseg.effects.tones import smooth_step
from rtseg.errors import SettingError
from rtseg.frames import Alpha, Image, Segmentation
from rtseg.labels import Colour

_LOW, _HIGH = 0.25, 0.8
"""Soft mask values at which a pixel is entirely background and entirely foreground."""


def foreground_of(segmentation: Segmentation) -> Alpha:
    """The foreground share of each pixel: float32 (height, width), 0..1.

    Raises:
        SettingError: there are no soft masks, or the label set has no background.
    """
    label_set = segmentation.label_set
    if label_set.background is None:
        raise SettingError(f"the label set {label_set.name!r} has no background to replace")
    return segmentation.soft_masks.alpha(label_set.foreground)


def paint_background_in(picture: Image, segmentation: Segmentation, *, colour: Colour) -> None:
    """Replace the background with one colour, in place.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        colour: RGB 0..255.
    """
    behind = np.empty_like(picture)
    behind[:] = colour
    _compose(picture, behind, foreground_of(segmentation))


def blur_background_in(picture: Image, segmentation: Segmentation, *, radius: float) -> None:
    """Blur the background, in place.

    The foreground is excluded from the average, so that its colours do not bleed into the
    background.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        radius: the blur's standard deviation, pixels.
    """
    import cv2

    alpha = foreground_of(segmentation)
    height, width = alpha.shape
    # a wide blur needs no more resolution than this
    shrink = int(min(8, max(1, radius / 2)))
    size = (max(1, width // shrink), max(1, height // shrink))
    cover = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.float32)
    weight = 1 - smooth_step(cover, _LOW, _HIGH)
    reduced = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    sigma = radius / shrink
    weight += 1e-3  # so that the middle of a large head gets some background too
    reduced *= weight[:, :, None]
    total = np.asarray(cv2.GaussianBlur(reduced, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
    share = np.asarray(cv2.GaussianBlur(weight, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
    total /= share[:, :, None]
    behind = np.asarray(total.clip(0, 255) + 0.5, np.uint8)
    if shrink > 1:
        behind = np.asarray(cv2.resize(behind, (width, height), interpolation=cv2.INTER_LINEAR))
    _compose(picture, behind, alpha)


def replace_background_in(picture: Image, segmentation: Segmentation, *, behind: Image) -> None:
    """Replace the background with a picture, in place.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        behind: uint8 RGB of any size; scaled to cover the picture, and centred.
    """
    _compose(picture, covering(behind, *picture.shape[:2]), foreground_of(segmentation))


def covering(image: Image, height: int, width: int) -> Image:
    """Scale a picture to cover a size, and crop it centrally: uint8 (height, width, 3)."""
    import cv2

    scale = max(height / image.shape[0], width / image.shape[1])
    size = (max(width, round(scale * image.shape[1])), max(height, round(scale * image.shape[0])))
    shrinks = scale < 1
    scaled = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.ascontiguousarray(scaled[top : top + height, left : left + width])


def _compose(picture: Image, behind: Image, alpha: Alpha) -> None:
    """Blend the picture over the background, in place."""
    import cv2

    is_foreground = cv2.compare(alpha, _LOW, cv2.CMP_GT)
    left, top, width, height = cv2.boundingRect(np.asarray(is_foreground, np.uint8))
    region = (slice(top, top + height), slice(left, left + width))
    cover = smooth_step(np.ascontiguousarray(alpha[region]), _LOW, _HIGH)
    before = cv2.blendLinear(picture[region], behind[region], cover, 1 - cover) if width else None
    picture[:] = behind
    if before is not None:
        picture[region] = before
