"""Draw necklaces on necks that have none.

Hardly one picture in twenty shows a necklace. A network that sees those few again and again knows
them by heart, and takes collars and straps for necklaces elsewhere. Drawn ones differ each time:
chains, cords and beads, with and without a pendant, of any metal and colour.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np
import numpy.typing as npt

from training.augment import drawing
from training.augment.heads import Head, worn

_FINE = 4
"""Necklaces are drawn at this many times the picture's size and made smaller: a chain is one to
three pixels wide."""

_NARROWEST = 0.12
"""Necks narrower than this share of the picture's width get none."""

_SHOWN = 0.3
"""Opacity from which a pixel counts as necklace; annotators draw chains rather too wide."""

_MATERIALS = (
    (212.0, 170.0, 90.0),  # gold
    (196.0, 196.0, 200.0),  # silver
    (236.0, 228.0, 216.0),  # pearls
    (205.0, 150.0, 130.0),  # rose gold
    (36.0, 30.0, 28.0),  # a dark cord
)

_Points = npt.NDArray[np.float64]


def with_necklace(
    head: Head,
    rng: np.random.Generator,
    *,
    neck: tuple[int, ...],
    clothes: tuple[int, ...],
    to: int,
) -> Head:
    """The head with a drawn necklace, or the same one if too little of its neck is seen.

    Args:
        head: stays as it is.
        rng: source of all choices.
        neck, clothes: the ids on which a necklace lies; hair and chin cover it.
        to: the id of necklaces.
    """
    is_neck = np.isin(head.labels, neck)
    curve = _curve(is_neck, rng) if not (head.labels == to).any() else None
    if curve is None:
        return head
    height, width = head.labels.shape
    colour, opacity = _draw(curve, (height, width), rng)
    lies_on = is_neck | np.isin(head.labels, clothes)
    opacity = np.where(lies_on, opacity, 0).astype(np.float32)
    if rng.random() < 0.6:  # its shadow on the skin
        shadow = cv2.GaussianBlur(np.roll(opacity, 1, axis=0), (0, 0), 1.0)
        shadow = np.where(lies_on, shadow, 0)[:, :, None] * rng.uniform(0.1, 0.4)
        head = dataclasses.replace(head, image=(head.image * (1 - shadow)).astype(np.uint8))
    return worn(head, colour, opacity, to=to, shown=_SHOWN)


def metal(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Draw the colour of a piece of jewellery, RGB: a metal mostly, sometimes any."""
    if rng.random() < 0.15:
        base = rng.uniform(0, 255, 3)
    else:
        base = np.array(_MATERIALS[int(rng.integers(len(_MATERIALS)))])
    return base * rng.uniform(0.55, 1.1)


def _curve(is_neck: npt.NDArray[np.bool_], rng: np.random.Generator) -> _Points | None:
    """Points (n, 2) in pixels along a necklace from one side of the neck to the other."""
    rows = np.flatnonzero(is_neck.any(1))
    if not rows.size:
        return None
    row = int(rows[round((rows.size - 1) * rng.uniform(0.2, 0.85))])
    columns = np.flatnonzero(is_neck[row])
    left, right = float(columns[0]), float(columns[-1])
    span = right - left
    if span < _NARROWEST * is_neck.shape[1]:
        return None
    along = np.linspace(0, 1, 160)
    sag = span * math.exp(rng.uniform(math.log(0.05), math.log(0.9)))
    fall = (4 * along * (1 - along)) ** rng.uniform(0.7, 1.3)
    x = left - 1 + along * (span + 2)
    y = row + sag * fall + span * rng.normal(0, 0.04) * (along - 0.5)
    return np.column_stack([x, y])


def _draw(
    curve: _Points, shape: tuple[int, int], rng: np.random.Generator
) -> tuple[npt.NDArray[np.uint8], drawing.Mask]:
    """Return a layer, uint8 (height, width, 3), and its opacity."""
    height, width = shape
    unit = _FINE * width / 256  # sizes below are those in a picture of 256 pixels
    opacity = np.zeros((height * _FINE, width * _FINE), np.uint8)
    layer = np.zeros((height * _FINE, width * _FINE, 3), np.uint8)
    base = metal(rng)

    def paint(light: float) -> tuple[float, ...]:
        return tuple(float(value) for value in (base * light).clip(0, 255))

    def dot(place: _Points, radius: float, light: float) -> None:
        centre = (round(place[0] * _FINE), round(place[1] * _FINE))
        reach = max(1, round(radius))
        cv2.circle(opacity, centre, reach, 255, -1)
        cv2.circle(layer, centre, reach, paint(light), -1)
        glint = (centre[0] - reach // 3, centre[1] - reach // 3)
        cv2.circle(layer, glint, max(1, reach // 3), paint(light * 1.5 + 0.2), -1)

    contrast = rng.uniform(0.05, 0.5)
    strands = 1 + int(rng.random() < 0.15)
    for strand in range(strands):
        placed = curve + np.array([0, strand * rng.uniform(3, 9) * width / 256])
        lengths = np.hypot(*np.diff(placed, axis=0).T) * _FINE
        if rng.random() < 0.4:  # beads
            radius = unit * math.exp(rng.uniform(math.log(0.8), math.log(4.5)))
            spacing = radius * rng.uniform(1.7, 3.2)
            reached = np.concatenate([[0], np.cumsum(lengths)])
            for distance in np.arange(0, reached[-1], spacing):
                x, y = (np.interp(distance, reached, placed[:, axis]) for axis in (0, 1))
                size = radius * rng.uniform(0.85, 1.15)
                dot(np.array([x, y]), size, 1 + contrast * rng.uniform(-1, 1))
        if strand == 0 or rng.random() < 0.5:  # a chain or cord, its links light and dark
            thickness = max(1, round(unit * math.exp(rng.uniform(math.log(0.7), math.log(3.5)))))
            period, phase = rng.uniform(1.5, 7), rng.uniform(0, 7)
            points = np.rint(placed * _FINE).astype(np.int32)
            for index in range(len(points) - 1):
                light = 1 + contrast * math.sin(index * 2 * math.pi / period + phase)
                start, end = tuple(map(int, points[index])), tuple(map(int, points[index + 1]))
                cv2.line(opacity, start, end, 255, thickness)
                cv2.line(layer, start, end, paint(light), thickness)
    if rng.random() < 0.35:
        lowest = curve[int(curve[:, 1].argmax())]
        radius = unit * rng.uniform(2, 8)
        dot(lowest + np.array([0, radius / _FINE]), radius, rng.uniform(0.6, 1.3))
    return drawing.made_smaller(layer, opacity, (width, height), rng.uniform(0.75, 1.0))
