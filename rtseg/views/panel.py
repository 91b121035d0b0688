"""Draw text on a dark, rounded panel, for the legend and the HUD.

Pillow draws the text in its built-in font, because OpenCV's own lettering looks like a plotter's,
and it supports TrueType only from version 5 on. Everything is cached by content.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.frames import Picture

FILL = (14, 16, 22)
FILL_OPACITY = 0.68
INK = (244, 245, 248)

Cover = npt.NDArray[np.uint8]
"""Coverage of each pixel, 0..255: uint8 (height, width)."""

_REPLACED = str.maketrans(
    {"–": "-", "—": "-", "µ": "u", "×": "x", "→": ">", "≤": "<", "≥": ">", "●": "•"}
)
"""Replacements for characters that the font lacks."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A small translucent picture.

    Attributes:
        colours: uint8 (height, width, 3), RGB premultiplied by the cover.
        cover: uint8 (height, width), where 0 is transparent.
    """

    colours: npt.NDArray[np.uint8]
    cover: Cover

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        return int(self.cover.shape[1]), int(self.cover.shape[0])


class Canvas:
    """Builds a panel: a rounded dark background with shapes stamped on it."""

    def __init__(self, width: int, height: int, *, radius: int) -> None:
        ground = rounded(width, height, radius).astype(np.float32) / 255.0 * FILL_OPACITY
        self._cover = ground
        self._colours = ground[..., None] * np.asarray(FILL, np.float32)

    def stamp(self, cover: Cover, colour: tuple[int, int, int], left: int, top: int) -> None:
        """Draw a colour through a mask placed at (left, top)."""
        height, width = cover.shape
        box = (slice(top, top + height), slice(left, left + width))
        weight = cover.astype(np.float32) / 255.0
        self._cover[box] = weight + self._cover[box] * (1.0 - weight)
        weight = weight[..., None]
        self._colours[box] = weight * np.asarray(colour) + self._colours[box] * (1.0 - weight)

    def finish(self, *, most_width: int, most_height: int) -> Panel:
        """Return the panel, shrunk if it is larger than allowed."""
        import cv2

        height, width = self._cover.shape
        colours = np.round(self._colours).astype(np.uint8)
        cover = np.round(self._cover * 255.0).astype(np.uint8)
        scale = min(most_width / width, most_height / height)
        if scale < 1.0:
            size = (max(1, int(width * scale)), max(1, int(height * scale)))
            colours = np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_AREA), np.uint8)
            cover = np.asarray(cv2.resize(cover, size, interpolation=cv2.INTER_AREA), np.uint8)
        return Panel(colours, cover)


def font_pixels(width: int, height: int) -> int:
    """A readable font size for a picture of this size."""
    return max(9, round(0.019 * math.sqrt(width * height)))


@lru_cache(maxsize=16)
def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def line_height(size: int) -> int:
    """Pixels from the top of the tallest letter to the bottom of the lowest."""
    ascent, descent = _font(size).getmetrics()
    return int(ascent + descent)


@lru_cache(maxsize=512)
def line_of_text(text: str, size: int) -> Cover:
    """Render one line of text, `line_height(size)` pixels high."""
    from PIL import Image, ImageDraw

    # Small letters are placed on whole pixels, which spoils their spacing, so draw them larger.
    finer = 3 if size < 16 else 1
    font, text = _font(finer * size), text.translate(_REPLACED)
    width = max(1, math.ceil(font.getlength(text) / finer) + 2)
    image = Image.new("L", (finer * width, finer * line_height(size)))
    ImageDraw.Draw(image).text((0, 0), text, font=font, fill=255)
    return np.asarray(image.reduce(finer))


@lru_cache(maxsize=64)
def rounded(width: int, height: int, radius: int) -> Cover:
    """Render a filled rectangle with rounded, antialiased corners."""
    from PIL import Image, ImageDraw

    fine = Image.new("L", (4 * width, 4 * height))
    corner = (4 * width - 1, 4 * height - 1)
    ImageDraw.Draw(fine).rounded_rectangle((0, 0, *corner), 4 * radius, fill=255)
    return np.asarray(fine.reduce(4))


def lay(picture: Picture, panel: Panel, left: int, top: int) -> None:
    """Draw a panel into an RGB or RGBA picture with its corner at (left, top)."""
    import cv2

    width, height = panel.size
    under = picture[top : top + height, left : left + width]
    clear = 255 - panel.cover
    if picture.shape[2] == 3:
        rest = cv2.multiply(under, cv2.merge((clear, clear, clear)), scale=1 / 255)
        under[:] = cv2.add(rest, panel.colours)
        return
    below = under[..., 3].astype(np.float32) * (clear / np.float32(255.0))
    cover = panel.cover + below
    mixed = panel.colours + under[..., :3] * (below / 255.0)[..., None]
    under[..., :3] = np.round(mixed / np.maximum(cover / 255.0, 1e-6)[..., None]).clip(0, 255)
    under[..., 3] = np.round(cover)
