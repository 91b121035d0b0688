"""Draw bodies below cut-out heads, hands and objects in front of faces, and textures.

All of it counts as background. Positions and lengths are in pixels, images are RGB uint8.
"""

from __future__ import annotations

import math
import string

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image

LETTERS = list(string.ascii_letters + string.digits + "   ")

Mask = npt.NDArray[np.float32]
"""A layer's opacity, float32 (height, width), 0..1."""


def blend(canvas: Image, layer: Image, mask: Mask) -> None:
    """Blend a layer over the canvas, in place."""
    covered = cv2.boundingRect((mask > 0).astype(np.uint8))
    x, y, width, height = covered
    if not width:
        return
    part = np.s_[y : y + height, x : x + width]
    share = mask[part][:, :, None]
    under = canvas[part].astype(np.float32)
    canvas[part] = under + (layer[part] - under) * share + 0.5


def made_smaller(
    layer: Image, opacity: npt.NDArray[np.uint8], size: tuple[int, int], strength: float
) -> tuple[Image, Mask]:
    """Make a layer that was drawn on black at several times its size smaller.

    Args:
        layer, opacity: as drawn; colours count only where the opacity is 255.
        size: (width, height) in pixels.
        strength: the opacity of what is covered wholly, 0..1.
    """
    share = cv2.resize(opacity, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    sums = cv2.resize(layer.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    colours: Image = (sums / np.maximum(share, 1e-3)[:, :, None]).clip(0, 255).astype(np.uint8)
    return colours, share * np.float32(strength)


def texture(size: int, rng: np.random.Generator, *, colour: npt.NDArray[np.float64]) -> Image:
    """Draw cloth, wall or skin: a colour with soft shading, grain, and sometimes stripes."""
    coarse = rng.standard_normal((int(rng.integers(2, 9)),) * 2).astype(np.float32)
    shade = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    shade = shade * rng.uniform(3, 22)
    if rng.random() < 0.3:
        angle, period = rng.uniform(0, math.pi), rng.uniform(4, 40)
        rows, columns = np.mgrid[:size, :size].astype(np.float32)
        phase = (rows * math.sin(angle) + columns * math.cos(angle)) * (2 * math.pi / period)
        shade = shade + np.sin(phase) * rng.uniform(5, 50)
    if rng.random() < 0.5:
        shade = shade + rng.standard_normal((size, size), np.float32) * rng.uniform(1, 14)
    woven: Image = (colour.astype(np.float32) + shade[:, :, None]).clip(0, 255).astype(np.uint8)
    return woven


def skin_colour(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A random skin colour, RGB 0..255."""
    light = rng.uniform(50, 235)
    return np.array([light, light * rng.uniform(0.62, 0.86), light * rng.uniform(0.42, 0.78)])


def body_mask(
    size: int, rng: np.random.Generator, *, chin: tuple[float, float], width: float
) -> tuple[Mask, Mask]:
    """The mask of neck and shoulders below a chin at (x, y) of a face `width` pixels wide."""
    x, y = chin
    neck_half = width * rng.uniform(0.26, 0.4)
    drop = width * rng.uniform(0.2, 0.5)
    neck = np.zeros((size, size), np.uint8)
    top = y - width * 0.45
    corners = [
        (x - neck_half, top),
        (x + neck_half, top),
        (x + neck_half * 1.25, y + drop * 1.5),
        (x - neck_half * 1.25, y + drop * 1.5),
    ]
    cv2.fillConvexPoly(neck, np.round(corners).astype(np.int32), 1)
    half = width * rng.uniform(0.9, 1.5)
    fall = width * rng.uniform(0.25, 0.6)
    outline = [
        (x - neck_half * 1.1, y + drop * 0.75),
        (x, y + drop * rng.uniform(0.8, 1.6)),
        (x + neck_half * 1.1, y + drop * 0.75),
        (x + half * 0.75, y + drop + fall * 0.4),
        (x + half, y + drop + fall),
        (x + half * 1.1, size + width),
        (x - half * 1.1, size + width),
        (x - half, y + drop + fall),
        (x - half * 0.75, y + drop + fall * 0.4),
    ]
    shoulders = np.zeros((size, size), np.uint8)
    cv2.fillPoly(shoulders, [np.round(outline).astype(np.int32)], 1)
    sigma = max(0.5, width * 0.012)
    return _soft(neck, sigma), _soft(shoulders, sigma)


def hand_mask(
    size: int, rng: np.random.Generator, *, centre: tuple[float, float], palm: float
) -> Mask:
    """The mask of a hand with fingers and forearm; `palm` is the palm's radius in pixels."""
    mask = np.zeros((size, size), np.uint8)
    facing = rng.uniform(0, 2 * math.pi)
    spread = rng.uniform(0.1, 0.45)

    def at(angle: float, distance: float) -> tuple[int, int]:
        return (
            round(centre[0] + math.cos(angle) * distance),
            round(centre[1] + math.sin(angle) * distance),
        )

    middle = (round(centre[0]), round(centre[1]))
    axes = (max(1, round(palm)), max(1, round(palm * rng.uniform(0.75, 1.0))))
    cv2.ellipse(mask, middle, axes, math.degrees(facing), 0, 360, 1, -1)
    for finger in range(5):
        if rng.random() < 0.2:
            continue
        angle = facing + (finger - 1.8) * spread + rng.normal(0, 0.06)
        thick = max(1, round(palm * rng.uniform(0.3, 0.42)))
        reach = palm * rng.uniform(1.5, 2.3)
        cv2.line(mask, at(angle, palm * 0.5), at(angle, reach), 1, thick)
    if rng.random() < 0.7:
        away = facing + math.pi + rng.normal(0, 0.3)
        cv2.line(mask, middle, at(away, palm * rng.uniform(2, 8)), 1, max(1, round(palm * 1.2)))
    return _soft(mask, max(0.5, palm * 0.03))


def shape_mask(
    size: int, rng: np.random.Generator, *, centre: tuple[float, float], radius: float
) -> Mask:
    """The mask of a polygon, an ellipse or a bar, for a book, a cup, a microphone, a phone."""
    mask = np.zeros((size, size), np.uint8)
    kind = rng.integers(3)
    if kind == 0:
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 8))))
        reach = radius * rng.uniform(0.5, 1.2, angles.size)
        points = np.column_stack([np.cos(angles), np.sin(angles)]) * reach[:, None] + centre
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 1)
    else:
        ratio = rng.uniform(0.25, 1.0)
        box = (centre, (2 * radius, 2 * radius * ratio), rng.uniform(0, 180))
        if kind == 1:
            cv2.ellipse(mask, box, 1, -1)
        else:
            cv2.fillConvexPoly(mask, np.round(cv2.boxPoints(box)).astype(np.int32), 1)
    return _soft(mask, max(0.5, radius * 0.02))


def draw_mask(
    canvas: Image, rng: np.random.Generator, *, centre: tuple[float, float], height: float
) -> Mask:
    """Draw a flat oval mask with eyes, nose and a grin; return its position.

    Like prints on shirts and walls, it resembles a face but is none.
    """
    size = canvas.shape[0]
    light, dark = rng.uniform(120, 255, 3), rng.uniform(0, 70, 3)
    if rng.random() < 0.4:
        light[:] = light.mean()
    if rng.random() < 0.2:
        light, dark = dark, light
    half, wide = height / 2, height * rng.uniform(0.3, 0.5)
    covered = np.zeros((size, size), np.uint8)
    layer = texture(size, rng, colour=light)

    def oval(
        target: Image | npt.NDArray[np.uint8],
        x: float,
        y: float,
        a: float,
        b: float,
        colour: object,
    ) -> None:
        middle = (round(centre[0] + x * wide), round(centre[1] + y * half))
        axes = (max(1, round(a * wide)), max(1, round(b * half)))
        cv2.ellipse(target, middle, axes, rng.uniform(-20, 20), 0, 360, colour, -1)

    oval(covered, 0, -0.15, 1.0, 0.8, 1)
    oval(covered, 0, 0.6, 0.65, 0.4, 1)
    paint = tuple(float(channel) for channel in dark)
    eye_x, eye_y = rng.uniform(0.35, 0.5), rng.uniform(-0.2, 0.1)
    eye_a, eye_b = rng.uniform(0.18, 0.34), rng.uniform(0.12, 0.26)
    for side in (-1, 1):
        oval(layer, side * eye_x, eye_y, eye_a, eye_b, paint)
        if rng.random() < 0.5:
            oval(layer, side * 0.1, eye_y + 0.4, 0.1, 0.12, paint)
    row = rng.uniform(0.5, 0.65)
    if rng.random() < 0.7:
        for tooth in np.linspace(-0.5, 0.5, int(rng.integers(4, 9))):
            oval(layer, tooth, row, 0.05, rng.uniform(0.06, 0.15), paint)
    else:
        oval(layer, 0, row, 0.5, rng.uniform(0.04, 0.15), paint)
    mask = _soft(covered, max(0.5, height * 0.01))
    blend(canvas, layer, mask)
    return mask


def write_text(canvas: Image, rng: np.random.Generator) -> None:
    """Write a few words in a random colour and size, in place."""
    size = canvas.shape[0]
    for _ in range(int(rng.integers(1, 6))):
        letters = rng.choice(LETTERS, int(rng.integers(3, 16)))
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        place = (int(rng.integers(-20, size)), int(rng.integers(0, size)))
        scale = float(rng.uniform(0.3, 2.5))
        face = int(rng.integers(0, 8))
        thickness = int(rng.integers(1, 5))
        cv2.putText(canvas, "".join(letters), place, face, scale, colour, thickness, cv2.LINE_AA)


def feathered(
    size: int, rng: np.random.Generator, *, corners: npt.NDArray[np.float64], softness: float
) -> Mask:
    """Fill a convex outline through `corners` (n, 2), its edge softened over `softness` pixels."""
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 1)
    return _soft(mask, softness)


def _soft(mask: npt.NDArray[np.uint8], sigma: float) -> Mask:
    soft = mask.astype(np.float32)
    if sigma < 0.3:
        return soft
    kernel = 2 * math.ceil(2 * sigma) + 1
    blurred: Mask = cv2.GaussianBlur(soft, (kernel, kernel), sigma)
    return blurred
