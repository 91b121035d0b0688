"""Which parts of a picture the network sees, and cutting them out at its size."""

from __future__ import annotations

import math
from typing import NamedTuple

from rtseg.frames import Box, Image

CROP_FACTOR = 1.6
"""Side of a crop over the height of the head (face and hair) in it: what face models train at."""

_CROP_WIDTHS = 1.25  # and never less than so many widths of the head
_LONGEST_TILES = 6
_SMALLEST_TILE = 128  # pixels
_OUTSIDE = (114, 114, 114)
"""RGB beyond the picture's edges: a flat grey, as in a part of the training views."""


def cut(image: Image, box: Box, *, out: Image) -> None:
    """Fill `out` with what the picture shows inside a box, stretched to its size.

    Shrinking averages: the part is halved until the rest is less than a factor of two, and the
    rest is bilinear.

    Args:
        image: uint8 (height, width, 3).
        box: frame pixels; rounded to whole ones, and may reach over the edges.
        out: uint8 (height, width, 3), contiguous; written.
    """
    import cv2

    height, width = image.shape[:2]
    left, right = _whole(box.left, box.right)
    top, bottom = _whole(box.top, box.bottom)
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        out[...] = _OUTSIDE
        return
    part = image[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    # big bands are added after shrinking, where they cost little
    band = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    while (
        part.shape[0] + band[0] + band[1] >= 2 * out.shape[0]
        and part.shape[1] + band[2] + band[3] >= 2 * out.shape[1]
        and not any(side % 2 for side in (*part.shape[:2], *band))
    ):
        part = cv2.resize(
            part, (part.shape[1] // 2, part.shape[0] // 2), interpolation=cv2.INTER_AREA
        )
        band = (band[0] // 2, band[1] // 2, band[2] // 2, band[3] // 2)
    if any(band):
        part = cv2.copyMakeBorder(part, *band, cv2.BORDER_CONSTANT, value=_OUTSIDE)
    shrinks = part.shape[0] >= 2 * out.shape[0] or part.shape[1] >= 2 * out.shape[1]
    cv2.resize(
        part,
        (out.shape[1], out.shape[0]),
        dst=out,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    )


def _whole(low: float, high: float) -> tuple[int, int]:
    first = math.floor(low + 0.5)
    return first, max(first + 1, math.floor(high + 0.5))


def crop_side(head: Box, aspect: float = 1.0) -> float:
    """The height in pixels of the crop around a head; its width is `aspect` times that."""
    return max(CROP_FACTOR * head.height, _CROP_WIDTHS * head.width / aspect)


class Regions(NamedTuple):
    """Where a coarse pass looks.

    Attributes:
        whole: the whole picture, letterboxed or stretched.
        tiles: overlapping parts, in which faces from an eighth of the picture's height show well.
        fine: the same at half the size, for the smallest faces; none where that is very few pixels.
    """

    whole: Box
    tiles: tuple[Box, ...]
    fine: tuple[Box, ...]


def regions(height: int, width: int, *, aspect: float, stretch: bool) -> Regions:
    """Where a coarse pass over a frame looks.

    Args:
        height, width: of the frame, pixels.
        aspect: width over height of the network's input.
        stretch: the whole picture is stretched to the input's shape, not letterboxed.
    """
    whole = Box(left=0, top=0, right=width, bottom=height)
    if not stretch:
        box_height = max(height, width / aspect)
        whole = _around(width / 2, height / 2, box_height * aspect, box_height)
    # a ribbon of a frame gets longer tiles, not more of them
    tile_height = max(min(height, width / aspect), whole.height / _LONGEST_TILES)
    if tile_height > 0.8 * whole.height:  # the frame has the input's shape: smaller tiles
        tile_height *= 0.6
    tiles = _tiles(height, width, tile_height, aspect)
    fine: tuple[Box, ...] = ()
    if tile_height / 2 >= _SMALLEST_TILE:
        fine = _tiles(height, width, tile_height / 2, aspect)
    return Regions(whole, tiles, fine)


def _tiles(height: int, width: int, tile_height: float, aspect: float) -> tuple[Box, ...]:
    tile_width = tile_height * aspect
    return tuple(
        Box(left=x, top=y, right=x + tile_width, bottom=y + tile_height)
        for y in _steps(height, tile_height)
        for x in _steps(width, tile_width)
    )


def _steps(length: float, tile: float) -> list[float]:
    """Even positions of overlapping tiles that cover a length."""
    count = max(1, math.ceil((length - tile) / (0.67 * tile) - 1e-9) + 1)
    if count == 1:
        return [(length - tile) / 2]
    return [index * (length - tile) / (count - 1) for index in range(count)]


def _around(x: float, y: float, width: float, height: float) -> Box:
    return Box(left=x - width / 2, top=y - height / 2, right=x + width / 2, bottom=y + height / 2)


def crop_around(x: float, y: float, side: float, aspect: float) -> Box:
    """A crop about a point, its edges on pixel borders, so that cutting it out is exact."""
    # in steps of four pixels, so that halving and halving again is exact, and fast
    height = max(8, 4 * round(side / 4))
    width = max(8, 4 * round(side * aspect / 4))
    left, top = round(x - width / 2), round(y - height / 2)
    return Box(left=left, top=top, right=left + width, bottom=top + height)
