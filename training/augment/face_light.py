"""Light that takes a finder's views their contrast: pictures that fade, fog, and glare."""

from __future__ import annotations

import math

import cv2
import numpy as np

from rtseg.frames import Image

_LEAST, _MOST = 0.14, 0.85
"""The contrast that a faded view has left, as a share."""

_SHOWN = 6.0
"""Least standard deviation of a faded view, in levels: with less, nothing is left of a face."""


def faded(image: Image, rng: np.random.Generator) -> Image:
    """Take contrast off a view, towards black, white, a grey or a colour, or by fog that varies."""
    height, width = image.shape[:2]
    share = math.exp(rng.uniform(math.log(_LEAST), math.log(_MOST)))
    share = min(1.0, max(share, _SHOWN / max(1.0, float(image.std()))))
    chance = rng.random()
    if chance < 0.3:
        towards = np.zeros(3)
    elif chance < 0.6:
        towards = np.full(3, 255.0)
    elif chance < 0.9:
        towards = np.full(3, rng.uniform(40, 230))
    else:
        towards = rng.uniform(20, 240, 3)
    shares = np.full((height, width, 1), share, np.float32)
    if rng.random() < 0.3:  # thicker at one side, as fog is
        corners = rng.uniform(share, 1, (2, 2)).astype(np.float32)
        shares = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
    shown = towards.astype(np.float32) * (1 - shares) + image * shares
    if rng.random() < 0.25:  # two pictures while one becomes the other: the first one's ghost
        shown = 0.8 * shown + 0.2 * shown[:, ::-1]
    result: Image = (shown + 0.5).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(35, 92))
        packed = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return result


def overexposed(image: Image, rng: np.random.Generator) -> Image:
    """A background as a camera sees it that is exposed for someone in the shade."""
    height, width = image.shape[:2]
    gain = rng.uniform(1.6, 5)
    bright = image * np.float32(gain) + np.float32(rng.uniform(0, 60))
    if rng.random() < 0.6:  # the sky or a window: one part of the frame
        x, y = rng.uniform(0, width), rng.uniform(-0.2, 0.7) * height
        reach = rng.uniform(0.4, 1.2) * width
        across = np.arange(width, dtype=np.float32) - np.float32(x)
        down = np.arange(height, dtype=np.float32)[:, None] - np.float32(y)
        glow = np.exp(-(across**2 + down**2) / np.float32(reach**2))[..., None]
        bright = bright * glow + image * (1 - glow)
    result: Image = bright.clip(0, 255).astype(np.uint8)
    return result
