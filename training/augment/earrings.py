"""Draw earrings on ears that wear none.

A quarter of the pictures shows earrings, mostly the same few shapes before the same few styles of
hair. Drawn ones hang at the lobe as well, but before any hair, neck and ground: studs, drops and
small hoops, the same pair on both ears.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from training.augment import drawing
from training.augment.heads import Head, worn
from training.augment.necklaces import metal

_FINE = 4
"""Earrings are drawn at this many times the picture's size and made smaller."""

_SHORTEST = 0.04
"""Ears shorter than this share of the picture's height get none: their lobes are not to be told."""

_SHOWN = 0.35
"""Opacity from which a pixel counts as earring."""


def with_earrings(
    head: Head,
    rng: np.random.Generator,
    *,
    ears: tuple[int, ...],
    covers: tuple[int, ...],
    to: int,
) -> Head:
    """The head with a pair of drawn earrings, or the same one if no ear is seen well.

    Args:
        head: stays as it is.
        rng: source of all choices.
        ears: the ids of ears; each gets one.
        covers: the ids that an earring hangs before.
        to: the id of earrings.
    """
    if (head.labels == to).any():
        return head
    lobes = [place for place in (_lobe(head.labels == ear) for ear in ears) if place is not None]
    if not lobes:
        return head
    height, width = head.labels.shape
    colour, opacity = _pair(lobes, (height, width), rng)
    lies_on = np.isin(head.labels, (*ears, *covers))
    opacity = np.where(lies_on, opacity, 0).astype(np.float32)
    return worn(head, colour, opacity, to=to, shown=_SHOWN)


def _lobe(is_ear: npt.NDArray[np.bool_]) -> tuple[float, float] | None:
    """(x, y) in pixels of the middle of an ear's lowest tenth."""
    rows, columns = np.nonzero(is_ear)
    if not rows.size:
        return None
    top, bottom = int(rows.min()), int(rows.max())
    if bottom - top < _SHORTEST * is_ear.shape[0]:
        return None
    low = rows >= bottom - 0.1 * (bottom - top)
    return float(columns[low].mean()), float(bottom)


def _pair(
    lobes: list[tuple[float, float]], shape: tuple[int, int], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], drawing.Mask]:
    """Return a layer, uint8 (height, width, 3), and its opacity."""
    height, width = shape
    unit = _FINE * width / 256
    opacity = np.zeros((height * _FINE, width * _FINE), np.uint8)
    layer = np.zeros((height * _FINE, width * _FINE, 3), np.uint8)
    base = metal(rng)
    kind = rng.choice(["stud", "drop", "hoop"], p=[0.35, 0.4, 0.25])
    radius = unit * math.exp(rng.uniform(math.log(1.2), math.log(4.5)))
    length = unit * math.exp(rng.uniform(math.log(3), math.log(26)))
    stones = int(rng.integers(1, 5))
    thick = max(1, round(unit * rng.uniform(0.8, 2.2)))
    hoop = unit * math.exp(rng.uniform(math.log(3), math.log(9)))
    contrast = rng.uniform(0.1, 0.5)

    def paint(light: float) -> tuple[float, ...]:
        return tuple(float(value) for value in (base * light).clip(0, 255))

    def stone(x: float, y: float, size: float) -> None:
        middle, reach = (round(x), round(y)), max(1, round(size))
        cv2.circle(opacity, middle, reach, 255, -1)
        cv2.circle(layer, middle, reach, paint(1 + contrast * rng.uniform(-1, 0.5)), -1)
        glint = (middle[0] - reach // 3, middle[1] - reach // 3)
        cv2.circle(layer, glint, max(1, reach // 3), paint(1.6), -1)

    for lobe_x, lobe_y in lobes:
        x, y = lobe_x * _FINE, (lobe_y - rng.uniform(0, 2) * width / 256) * _FINE
        if kind == "stud":
            stone(x, y, radius)
        elif kind == "drop":
            start, end = (round(x), round(y)), (round(x + rng.normal(0, unit)), round(y + length))
            cv2.line(opacity, start, end, 255, thick)
            cv2.line(layer, start, end, paint(1.0), thick)
            for place in np.linspace(0 if stones > 1 else 1, 1, stones):
                stone(
                    x + (end[0] - x) * place,
                    y + (end[1] - y) * place,
                    radius * (0.6 + 0.4 * place),
                )
        else:
            middle = (round(x), round(y + hoop * 0.9))
            axes = (max(1, round(hoop * rng.uniform(0.35, 1.0))), max(1, round(hoop)))
            cv2.ellipse(opacity, middle, axes, 0, 0, 360, 255, thick)
            for start_angle in range(0, 360, 30):  # light runs round the ring
                light = 1 + contrast * math.sin(math.radians(start_angle))
                cv2.ellipse(
                    layer, middle, axes, 0, start_angle, start_angle + 31, paint(light), thick
                )
    return drawing.made_smaller(layer, opacity, (width, height), rng.uniform(0.8, 1.0))
