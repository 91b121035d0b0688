"""Recolour lips, hair and brows.

Colours are changed in CIE L*a*b*, where lightness is separate from hue. A curve through black and
white moves the part's lightness some of the way towards the target's, so that black hair becomes
copper without foggy shadows, and strands remain distinct. Chroma follows lightness and falls off
towards black and white, as on real strands. A quarter of each pixel's own deviation in hue is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rtseg.effects.colour_memory import ColourMemory, Statistics
from rtseg.effects.parts import ids_of
from rtseg.effects.tones import lightened, smooth_step
from rtseg.frames import Alpha, FaceAlpha, Image, Region, Segmentation
from rtseg.labels import Colour

Channel = npt.NDArray[np.uint8]
Table = npt.NDArray[np.uint8]
"""A lookup table: uint8 (256,)."""

_DEVIATION = 0.25
"""The share of a pixel's deviation from the part's mean hue that is kept."""


_TOE = 0.8
"""L*, see `lightened`."""

_LEAST_LIGHTER, _PLAIN_SPREAD = 0.35, 11.0
"""How far a part without any spread in L* moves towards a lighter colour, 0..1, and the spread at
which it moves all the way."""

_LARGE_PIXELS = 40_000

_TILE = 128
"""Side in pixels of the tiles that are recoloured: smaller ones fit better but need more calls."""

_STRANGE_HUE = (28.0, 50.0)
"""Differences in b* from the part's mean between which a pixel stops belonging to the part."""


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a part is recoloured.

    Attributes:
        lighter, darker: how far the part's mean lightness moves towards the target's, 0..1.
        low, high: soft mask values at which the colour begins and reaches full strength.
        keeps_highlights: whether highlights keep their colour (lips).
        needs_colour: whether pale and dark pixels, such as teeth and the corners of the mouth, are
            left alone (lips).
        most_deviations: pixels lighter than the part by more than this many of its standard
            deviations are something else showing through, and are coloured less (hair).
    """

    lighter: float
    darker: float
    low: float
    high: float
    keeps_highlights: bool = False
    needs_colour: bool = False
    most_deviations: float | None = None


LIPS = Style(lighter=0.4, darker=0.6, low=0.15, high=0.75, keeps_highlights=True, needs_colour=True)
HAIR = Style(lighter=0.58, darker=0.82, low=0.3, high=0.8, most_deviations=3.0)
BROWS = Style(lighter=0.55, darker=0.6, low=0.25, high=0.85, most_deviations=2.5)

STYLES = {"lips": LIPS, "hair": HAIR, "brows": BROWS}


def recolour(
    picture: Image,
    segmentation: Segmentation,
    colour: Colour,
    *,
    part: str,
    style: Style,
    strength: float,
    memory: ColourMemory | None = None,
) -> None:
    """Recolour a part of every face, in place.

    Args:
        picture: uint8 (height, width, 3) RGB, of the segmentation's size; changed.
        segmentation: with soft masks.
        colour: the target, RGB 0..255.
        part: the part, as for `ids_of`.
        style: how the part is recoloured.
        strength: 0 (nothing) to 1.
        memory: smooths the parts' colour statistics over a stream; None for a still.

    Raises:
        SettingError: there are no soft masks, or the model has no such part.
    """
    ids = ids_of(segmentation.label_set, part)
    target = _lab_of(colour)
    for face in segmentation.soft_masks.by_face(ids):
        _recolour_face(
            picture, face, target, part=part, style=style, strength=strength, memory=memory
        )


def _recolour_face(
    picture: Image,
    face: FaceAlpha,
    target: tuple[float, float, float],
    *,
    part: str,
    style: Style,
    strength: float,
    memory: ColourMemory | None,
) -> None:
    pixels = picture[face.region]
    measured = _measure(pixels, face.alpha)
    if measured is None:
        return
    if memory is not None:
        measured = memory.steadied(part, face.track_id, measured)
    move = _move(target[0], measured, style)
    tables = _tables(target, tuple(np.round(measured[:3], 1)), move)
    weight = smooth_step(face.alpha, style.low, style.high)
    for tile in _touched_tiles(weight):
        _paint(
            pixels[tile],
            strength * weight[tile],
            tables=tables,
            measured=measured,
            style=style,
        )


def _move(goal: float, measured: Statistics, style: Style) -> float:
    """How far a part moves towards a target lightness, 0..1, in steps of a twentieth.

    A part without visible strands, such as black hair in the dark, would look like clay if it
    became light.
    """
    mean, spread = float(measured[0]), float(measured[3])
    if goal <= mean:
        return style.darker
    contrast = min(1.0, _LEAST_LIGHTER + spread / _PLAIN_SPREAD)
    return round(20 * style.lighter * contrast) / 20


def _paint(
    part: Image,
    weight: Alpha,
    *,
    tables: tuple[Table, Table, Table],
    measured: Statistics,
    style: Style,
) -> None:
    """Recolour some pixels, in place."""
    import cv2

    lightness, red, yellow = cv2.split(cv2.cvtColor(part, cv2.COLOR_RGB2Lab))
    weight *= _gate(lightness, red, yellow, measured, style)
    painted = cv2.merge(
        (
            cv2.LUT(lightness, tables[0]),
            _hue(cv2.LUT(lightness, tables[1]), red, measured[1]),
            _hue(cv2.LUT(lightness, tables[2]), yellow, measured[2]),
        )
    )
    painted = cv2.cvtColor(painted, cv2.COLOR_Lab2RGB)
    part[...] = cv2.blendLinear(painted, part, weight, 1 - weight)


def _measure(part: Image, alpha: Alpha) -> Statistics | None:
    """Measure median L*, mean a* and b*, and the upward spread of L* where the part is certain.

    L* is 0..100, a* and b* about -128..127. None if there is hardly any of the part. Medians and
    quantiles are used because what shows between strands is often white.
    """
    import cv2

    # for a large part, every other pixel of every other row is enough
    step = 1 if alpha.size < _LARGE_PIXELS else 2
    part, alpha = part[::step, ::step], np.ascontiguousarray(alpha[::step, ::step])
    lab = np.asarray(cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2Lab), np.uint8)
    sure = np.asarray(cv2.compare(alpha, 0.7, cv2.CMP_GT), np.uint8)
    counts = np.ravel(cv2.calcHist([lab], [0], sure, [256], [0, 256])).cumsum()
    if counts[-1] < 4:
        return None
    median, high = np.searchsorted(counts, (0.5 * counts[-1], 0.84 * counts[-1])) / 2.55
    _, red, yellow, _ = cv2.mean(lab, mask=sure)
    return np.array([median, red - 128, yellow - 128, high - median])


def _gate(
    lightness: Channel, red: Channel, yellow: Channel, measured: Statistics, style: Style
) -> Alpha:
    """How strongly each pixel is coloured, 0..1: float32."""
    import cv2

    levels = np.arange(256, dtype=np.float32)
    light = levels / 2.55
    mean, mean_red, spread = float(measured[0]), float(measured[1]), max(float(measured[3]), 4.0)
    by_light = np.ones(256, np.float32)
    if style.most_deviations is not None:
        most = mean + style.most_deviations * spread
        by_light *= 1 - 0.9 * smooth_step(light, most, most + 2 * spread)
    if style.keeps_highlights:
        # smooth lips are lighter where they are full; highlights are lighter than that
        shine = mean + 1.8 * max(spread, 7.0)
        by_light *= 1 - 0.85 * smooth_step(light, shine, shine + 14)
    if style.needs_colour:
        by_light *= smooth_step(light, 0.3 * mean, 0.6 * mean)
    gate = np.asarray(cv2.LUT(lightness, by_light), np.float32)
    if style.needs_colour:
        # teeth and gums are less red than the lips beside them
        by_red = smooth_step(levels - 128, 0.25 * mean_red, 0.6 * mean_red)
        gate *= cv2.LUT(red, by_red)
    else:
        apart = np.abs(levels - 128 - float(measured[2]))
        gate *= cv2.LUT(yellow, 1 - 0.9 * smooth_step(apart, *_STRANGE_HUE))
    return gate


def _hue(painted: Channel, original: Channel, mean: float) -> Channel:
    """The target's a* or b*, plus part of the pixel's own deviation from the mean."""
    import cv2

    offset = -_DEVIATION * (float(mean) + 128)
    return np.asarray(cv2.addWeighted(painted, 1.0, original, _DEVIATION, offset), np.uint8)


@lru_cache(maxsize=64)
def _tables(
    target: tuple[float, float, float], mean: tuple[float, ...], move: float
) -> tuple[Table, Table, Table]:
    """Tables from a lightness to its new L*, a* and b*, in OpenCV's 8-bit scale.

    Args:
        target: the target's L*, a*, b*.
        mean: the part's mean L*, a*, b*.
        move: how far the mean moves towards the target's lightness, 0..1.
    """
    goal = mean[0] + move * (target[0] - mean[0])
    light = lightened(np.arange(256, dtype=np.float64) / 2.55, mean[0], goal, toe=_TOE)
    # chroma depends on lightness, and is zero in black and white
    chroma = np.minimum(light / max(goal, 1.0), 1.1) ** 0.8
    chroma *= 1 - smooth_step(light, 72, 100)
    # a pale target stays pale on dark strands, and a dark target dark
    chroma *= min(1.0, (goal + 4) / (target[0] + 4))
    return (
        _levels(2.55 * light),
        _levels(128 + chroma * target[1]),
        _levels(128 + chroma * target[2]),
    )


def _levels(values: npt.NDArray[np.floating]) -> Table:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


@lru_cache(maxsize=64)
def _lab_of(colour: Colour) -> tuple[float, float, float]:
    import cv2

    pixel = np.array([[colour]], np.float32) / 255
    lightness, red, yellow = np.ravel(cv2.cvtColor(pixel, cv2.COLOR_RGB2Lab))
    return float(lightness), float(red), float(yellow)


def _touched_tiles(weight: Alpha) -> Iterator[Region]:
    """Non-overlapping rectangles that contain every pixel above zero: hair fills little of its box.

    Args:
        weight: float32 (height, width), 0..1.
    """
    import cv2

    height, width = weight.shape
    above = np.asarray(cv2.compare(weight, 0.0, cv2.CMP_GT), np.uint8)
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            tile = above[top : top + _TILE, left : left + _TILE]
            x, y, columns, rows = cv2.boundingRect(tile)
            if columns:
                yield (
                    slice(top + y, top + y + rows),
                    slice(left + x, left + x + columns),
                )
