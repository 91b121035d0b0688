"""The legend: the names of the chosen classes beside their colours."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from rtseg.frames import LabelMap, Picture, Segmentation
from rtseg.labels import Colour
from rtseg.views.hud import hud_panel, panel_margin
from rtseg.views.panel import (
    INK,
    Canvas,
    Panel,
    font_pixels,
    lay,
    line_height,
    line_of_text,
    rounded,
)
from rtseg.views.selection import Chosen

SMALLEST_FONT = 8
"""The smallest font size in pixels; a legend that still does not fit is shrunk as a picture."""


def draw_legend(
    picture: Picture, segmentation: Segmentation, chosen: Chosen, *, hud: tuple[str, ...]
) -> None:
    """Draw the legend in the corner where it covers the fewest labelled pixels.

    That is the bottom left corner unless another one is clearly better. In a side-by-side picture
    it goes into the right half, where the colours are.

    Args:
        picture: modified in place.
        segmentation: the labels that the legend avoids.
        chosen: the classes to list.
        hud: the lines of the HUD, which it avoids too.
    """
    height, width = segmentation.labels.shape
    panel = legend_panel(chosen, width, height)
    beside = picture.shape[1] - width
    hud_size = hud_panel(hud, width, height).size if hud and not beside else (0, 0)
    left, top = legend_place(segmentation, panel, hud_size=hud_size)
    lay(picture, panel, beside + left, top)


def legend_place(
    segmentation: Segmentation, panel: Panel, *, hud_size: tuple[int, int]
) -> tuple[int, int]:
    """Choose the (left, top) of a legend in a frame, in pixels.

    Args:
        segmentation: the labels to avoid where possible.
        panel: the legend.
        hud_size: (width, height) of the panel that is already in the top left corner.
    """
    labels, background = segmentation.labels, segmentation.label_set.background
    height, width = labels.shape
    margin = panel_margin(width, height)
    right, bottom = width - margin - panel.size[0], height - margin - panel.size[1]
    corners = [(margin, bottom), (right, bottom), (right, margin), (margin, margin)]
    edge = (hud_size[0] + 2 * margin, hud_size[1] + 2 * margin)
    free = [c for c in corners if not any(hud_size) or c[0] >= edge[0] or c[1] >= edge[1]]
    if background is None or not free:
        return (free or corners[1:])[0]
    return min(free, key=lambda corner: _covered(labels, background, panel, corner))


def _covered(labels: LabelMap, background: int, panel: Panel, corner: tuple[int, int]) -> int:
    """Labelled pixels under a panel, in hundredths of its area, so that a few do not matter."""
    (left, top), (width, height) = corner, panel.size
    under = labels[top : top + height, left : left + width]
    return 100 * int(np.count_nonzero(under != background)) // (width * height)


def legend_panel(chosen: Chosen, width: int, height: int) -> Panel:
    """Draw the legend for a frame size in pixels."""
    return _legend_panel(chosen.names, chosen.colours, width, height)


@lru_cache(maxsize=32)
def _legend_panel(
    names: tuple[str, ...], colours: tuple[Colour, ...], width: int, height: int
) -> Panel:
    """Use the ideal font size and as few columns as fit; shrink if even that is too large."""
    margin = panel_margin(width, height)
    most_width, most_height = width - 2 * margin, height - 2 * margin
    preferred = font_pixels(width, height)
    for size in range(preferred, min(preferred, SMALLEST_FONT) - 1, -1):
        for columns in range(1, len(names) + 1):
            layout = _Layout(names, size, columns)
            if layout.width <= 0.9 * most_width and layout.height <= most_height:
                return layout.draw(colours, most_width, most_height)
    columns = max(1, round((len(names) * most_width / most_height / 5) ** 0.5))
    return _Layout(names, SMALLEST_FONT, columns).draw(colours, most_width, most_height)


class _Layout:
    """The positions of everything, in pixels, for a font size and a number of columns."""

    def __init__(self, names: tuple[str, ...], size: int, columns: int) -> None:
        self.rows = -(-len(names) // columns)
        self.size = size
        self.padding = round(0.65 * size)
        self.step = round(1.5 * size)
        self.swatch = max(5, round(0.95 * size))
        self.gap = round(0.55 * size)
        self.texts = [line_of_text(name.replace("-", " "), size) for name in names]
        self.column_widths = [
            self.swatch
            + self.gap
            + max(text.shape[1] for text in self.texts[first : first + self.rows])
            for first in range(0, len(names), self.rows)
        ]
        between = 2 * self.gap * (len(self.column_widths) - 1)
        self.width = sum(self.column_widths) + between + 2 * self.padding
        self.height = self.step * self.rows + 2 * self.padding - (self.step - self.swatch) // 2

    def draw(self, colours: tuple[Colour, ...], most_width: int, most_height: int) -> Panel:
        """Draw the panel with its swatches and names, no larger than the given size."""
        canvas = Canvas(
            self.width,
            self.height + (line_height(self.size) - self.swatch) // 2,
            radius=max(2, round(0.4 * self.size)),
        )
        swatch = rounded(self.swatch, self.swatch, max(1, round(0.22 * self.size)))
        lift = (line_height(self.size) - self.swatch) // 2
        for i, (text, colour) in enumerate(zip(self.texts, colours, strict=True)):
            column, row = divmod(i, self.rows)
            left = self.padding + sum(self.column_widths[:column]) + 2 * self.gap * column
            top = self.padding + row * self.step
            canvas.stamp(swatch, colour, left, top)
            canvas.stamp(text, INK, left + self.swatch + self.gap, max(0, top - lift))
        return canvas.finish(most_width=most_width, most_height=most_height)
