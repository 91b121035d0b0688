"""Crops: a rectangle of the picture, upright or rotated, and how to cut it out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rtseg.frames import Box, Image
from rtseg.geometry.fit import PADDING

CROP_FACTOR = 1.6
"""Side of a crop over the height of the head (face and hair) in it: what face models train at."""

LARGEST_SIDE = 8192.0
"""No crop is larger, in pixels: a network that labels noise may claim a head of any size."""

_CROP_WIDTHS = 1.25  # and never less than so many widths of the head
_OUTSIDE = (PADDING, PADDING, PADDING)
"""RGB beyond the picture's edges, as in a part of the training views."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A rectangle of a picture, turned about its middle.

    Attributes:
        box: the rectangle before it is turned, frame pixels; may reach over the frame's edges.
        roll_degrees: how far it is turned, clockwise as one sees it; 0 is upright.
    """

    box: Box
    roll_degrees: float = 0.0

    @property
    def is_upright(self) -> bool:
        """Its sides are the frame's rows and columns."""
        return self.roll_degrees == 0

    @property
    def bounds(self) -> Box:
        """The upright rectangle around it, frame pixels."""
        if self.is_upright:
            return self.box
        x, y = self.box.centre
        cosine, sine = self._turn
        half_width = (abs(cosine) * self.box.width + abs(sine) * self.box.height) / 2
        half_height = (abs(sine) * self.box.width + abs(cosine) * self.box.height) / 2
        return box_around(x, y, 2 * half_width, 2 * half_height)

    @property
    def _turn(self) -> tuple[float, float]:
        radians = math.radians(self.roll_degrees)
        return math.cos(radians), math.sin(radians)

    def moved(self, across: float, down: float) -> Crop:
        """This crop, moved along its own sides by shares of its width and height."""
        cosine, sine = self._turn
        right, below = across * self.box.width, down * self.box.height
        x, y = cosine * right - sine * below, sine * right + cosine * below
        box = self.box
        moved = Box(left=box.left + x, top=box.top + y, right=box.right + x, bottom=box.bottom + y)
        return replace(self, box=moved)

    def to_frame(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Where points of the unturned box go, frame pixels both."""
        if self.is_upright:
            return x, y
        (middle_x, middle_y), (cosine, sine) = self.box.centre, self._turn
        x, y = x - middle_x, y - middle_y
        return middle_x + cosine * x - sine * y, middle_y + sine * x + cosine * y

    def from_frame(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Where points of the frame lie in the unturned box: the inverse of `to_frame`."""
        if self.is_upright:
            return x, y
        (middle_x, middle_y), (cosine, sine) = self.box.centre, self._turn
        x, y = x - middle_x, y - middle_y
        return middle_x + cosine * x + sine * y, middle_y - sine * x + cosine * y

    def grid_from_frame(self, rows: int, columns: int) -> Points:
        """From the frame's pixels to the centres of a grid over the crop, as OpenCV's affine.

        Returns:
            float64 (2, 3): (column, row) in the grid, 0 at the first cell's centre, of a frame
            pixel (x, y), 0 at the first pixel's centre.
        """
        (middle_x, middle_y), (cosine, sine) = self.box.centre, self._turn
        turned = np.array([[cosine, sine], [-sine, cosine]])
        scaled = np.diag([columns / self.box.width, rows / self.box.height]) @ turned
        middle = np.array([middle_x - 0.5, middle_y - 0.5])
        offset = np.array([(columns - 1) / 2, (rows - 1) / 2]) - scaled @ middle
        return np.column_stack((scaled, offset))


def box_around(x: float, y: float, width: float, height: float) -> Box:
    """The box with this middle and size."""
    return Box(left=x - width / 2, top=y - height / 2, right=x + width / 2, bottom=y + height / 2)


def cut(image: Image, crop: Crop, *, out: Image) -> None:
    """Fill `out` with what the picture shows inside a crop, stretched to its size.

    Shrinking averages: the part is halved until the rest is less than a factor of two, and the
    rest is bilinear.

    Args:
        image: uint8 (height, width, 3).
        crop: may reach over the picture's edges; an upright one is rounded to whole pixels.
        out: uint8 (height, width, 3), contiguous; written.
    """
    if crop.is_upright:
        _cut_upright(image, crop.box, out=out)
    else:
        _cut_turned(image, crop, out=out)


def _cut_upright(image: Image, box: Box, *, out: Image) -> None:
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
        and (part.shape[0] + band[0] + band[1]) % 2 == 0
        and (part.shape[1] + band[2] + band[3]) % 2 == 0
    ):
        if any(side % 2 for side in band):
            # A block that lies half in the picture needs its other half. Shrinking odd sides in
            # one step instead takes OpenCV ten times as long.
            edge = (band[0] % 2, band[1] % 2, band[2] % 2, band[3] % 2)
            part = cv2.copyMakeBorder(part, *edge, cv2.BORDER_CONSTANT, value=_OUTSIDE)
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


def _cut_turned(image: Image, crop: Crop, *, out: Image) -> None:
    import cv2

    height, width = image.shape[:2]
    rows, columns = out.shape[:2]
    bounds = crop.bounds
    shrink = 1
    while min(crop.box.height / rows, crop.box.width / columns) >= 2 * shrink:
        shrink *= 2
    # with the neighbours that interpolation needs at the sides
    left, top = math.floor(bounds.left) - shrink, math.floor(bounds.top) - shrink
    right, bottom = math.ceil(bounds.right) + shrink, math.ceil(bounds.bottom) + shrink
    left, right = max(0, left), min(width, right)
    top, bottom = max(0, top), min(height, bottom)
    if right <= left or bottom <= top:
        out[...] = _OUTSIDE
        return
    part = image[top:bottom, left:right]
    if shrink > 1 and min(part.shape[:2]) >= shrink:
        # whole blocks only: at most a row and a column of the result's at the picture's edge
        part = part[: part.shape[0] // shrink * shrink, : part.shape[1] // shrink * shrink]
        size = (part.shape[1] // shrink, part.shape[0] // shrink)
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    else:
        shrink = 1
    # from pixels of the part to pixels of the frame, and on to those of the result
    block = (shrink - 1) / 2
    to_frame = np.array([[shrink, 0, left + block], [0, shrink, top + block], [0, 0, 1.0]])
    cv2.warpAffine(
        part,
        crop.grid_from_frame(rows, columns) @ to_frame,
        (columns, rows),
        dst=out,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=_OUTSIDE,
    )


def crop_side(head: Box, aspect: float = 1.0) -> float:
    """The height in pixels of the crop around a head; its width is `aspect` times that."""
    return max(CROP_FACTOR * head.height, _CROP_WIDTHS * head.width / aspect)


def crop_around(x: float, y: float, side: float, aspect: float, roll_degrees: float = 0.0) -> Crop:
    """A crop about a point, its edges on pixel borders, so that cutting it out is exact."""
    side = min(side, LARGEST_SIDE / max(1.0, aspect))
    # in steps of four pixels, so that halving and halving again is exact, and fast
    height = max(8, 4 * round(side / 4))
    width = max(8, 4 * round(side * aspect / 4))
    left, top = round(x - width / 2), round(y - height / 2)
    box = Box(left=left, top=top, right=left + width, bottom=top + height)
    return Crop(box=box, roll_degrees=roll_degrees)


def wrapped(degrees: float) -> float:
    """The same direction within -180..180."""
    return (degrees + 180) % 360 - 180
