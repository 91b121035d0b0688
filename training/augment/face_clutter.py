"""What hides a face in a finder's training views, or is easily taken for one."""

from __future__ import annotations

import math

import numpy as np

from training.augment import drawing
from training.augment.face_pasting import Canvas


def occlude(canvas: Canvas, rng: np.random.Generator, *, x: float, y: float, tall: float) -> None:
    """Paint a hand or an object in front of a face or beside it."""
    height, width = canvas.owners.shape
    side = max(height, width)
    angle, away = rng.uniform(0, 2 * math.pi), tall * rng.uniform(0.15, 0.6)
    place = (x + math.cos(angle) * away, y + math.sin(angle) * away)
    if rng.random() < 0.6:
        cover = drawing.hand_mask(
            side, rng, centre=place, palm=max(1.5, tall * rng.uniform(0.12, 0.3))
        )
        layer = drawing.texture(side, rng, colour=drawing.skin_colour(rng))
    else:
        cover = drawing.shape_mask(
            side, rng, centre=place, radius=max(1.5, tall * rng.uniform(0.1, 0.35))
        )
        layer = drawing.texture(side, rng, colour=rng.uniform(0, 255, 3))
    cover, layer = cover[:height, :width], layer[:height, :width]
    drawing.blend(canvas.image, layer, cover)
    canvas.owners[cover > 0.5] = 0


def printed_mask(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint a drawn mask, as on shirts and walls, which does not count as a face."""
    height, width = canvas.owners.shape
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint8)
    square[:height, :width] = canvas.image
    place = (rng.uniform(0, width), rng.uniform(0, height))
    drawn = drawing.draw_mask(square, rng, centre=place, height=rng.uniform(0.06, 0.5) * height)
    canvas.image[:] = square[:height, :width]
    canvas.owners[drawn[:height, :width] > 0.5] = 0
