"""The head-up display: a few lines of text in the top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rtseg.frames import Picture
from rtseg.views.panel import (
    INK,
    Canvas,
    Panel,
    font_pixels,
    lay,
    line_height,
    line_of_text,
)


def draw_hud(picture: Picture, lines: Sequence[str], *, frame_width: int) -> None:
    """Write lines of text on a dark panel in the picture's top left corner.

    Args:
        picture: modified in place.
        lines: from top to bottom; characters outside Latin-1 may show as a box.
        frame_width: the widest that the panel may be, in pixels (a side-by-side picture is two
            frames wide).
    """
    height = picture.shape[0]
    panel = hud_panel(tuple(lines), frame_width, height)
    margin = panel_margin(frame_width, height)
    lay(picture, panel, margin, margin)


def panel_margin(width: int, height: int) -> int:
    """The distance of a panel from the picture's edges in pixels; 0 in a tiny picture."""
    return min(round(0.7 * font_pixels(width, height)), min(width, height) // 16)


@lru_cache(maxsize=64)
def hud_panel(lines: tuple[str, ...], width: int, height: int) -> Panel:
    """Draw the panel for these lines and a frame size in pixels; it belongs at `panel_margin`."""
    size, margin = font_pixels(width, height), panel_margin(width, height)
    texts = [line_of_text(line, size) for line in lines]
    step, padding = round(1.05 * line_height(size)), round(0.55 * size)
    inner_width = max(text.shape[1] for text in texts)
    inner_height = step * (len(texts) - 1) + line_height(size)
    canvas = Canvas(
        inner_width + 2 * padding, inner_height + 2 * padding, radius=max(2, round(0.4 * size))
    )
    for row, text in enumerate(texts):
        canvas.stamp(text, INK, padding, padding + row * step)
    return canvas.finish(most_width=width - 2 * margin, most_height=height - 2 * margin)
