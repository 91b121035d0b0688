"""Tile a picture for the search: the whole of it, and smaller tiles for small faces."""

from __future__ import annotations

import math
from typing import NamedTuple

from rtseg.frames import Box
from rtseg.geometry.crop import Crop

_LONGEST_TILES = 6
_FINE_SHARE = 0.6  # of a tile's side: the largest at which two rows cover a tile's height
_SMALLEST_TILE_CUT_FINER = 256  # pixels
_STEP = 0.67  # between tiles, of their side: faces up to a third of a tile are whole in one


class Tiles(NamedTuple):
    """The regions that a search of a whole picture covers.

    Attributes:
        whole: the whole picture, letterboxed or stretched.
        tiles: overlapping parts, in which faces from an eighth of the picture's height show well.
        fine: smaller ones for the smallest faces; none if they would have very few pixels.
    """

    whole: Crop
    tiles: tuple[Crop, ...]
    fine: tuple[Crop, ...]


def tile_picture(height: int, width: int, *, aspect: float, stretch: bool) -> Tiles:
    """Choose the regions for searching a frame.

    Args:
        height, width: the frame's size in pixels.
        aspect: width over height of the network's input.
        stretch: whether the whole picture is stretched to the input's shape instead of letterboxed.
    """
    whole = Box(left=0, top=0, right=width, bottom=height)
    if not stretch:
        box_height = max(height, width / aspect)
        left, top = (width - box_height * aspect) / 2, (height - box_height) / 2
        whole = Box(left=left, top=top, right=width - left, bottom=height - top)
    # a very wide or tall frame gets longer tiles, not more of them
    tile_height = max(min(height, width / aspect), whole.height / _LONGEST_TILES)
    if tile_height > 0.8 * whole.height:  # the frame has the input's shape: smaller tiles
        tile_height *= 0.6
    tiles = _tiles(height, width, tile_height, aspect)
    fine: tuple[Crop, ...] = ()
    if tile_height >= _SMALLEST_TILE_CUT_FINER:
        fine = _tiles(height, width, _FINE_SHARE * tile_height, aspect)
    return Tiles(Crop(box=whole, metering="average"), tiles, fine)


def _tiles(height: int, width: int, tile_height: float, aspect: float) -> tuple[Crop, ...]:
    tile_width = tile_height * aspect
    return tuple(
        Crop(
            box=Box(left=x, top=y, right=x + tile_width, bottom=y + tile_height),
            metering="average",
        )
        for y in _steps(height, tile_height)
        for x in _steps(width, tile_width)
    )


def _steps(length: float, tile: float) -> list[float]:
    """Evenly spaced positions of overlapping tiles that cover a length."""
    count = max(1, math.ceil((length - tile) / (_STEP * tile) - 1e-9) + 1)
    if count == 1:
        return [(length - tile) / 2]
    return [index * (length - tile) / (count - 1) for index in range(count)]
