"""Crops: upright or rotated rectangles of a picture, and how to cut them out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from rtseg.frames import Box, Image
from rtseg.geometry.fit import PADDING

CROP_FACTOR = 1.3
"""A crop's side relative to the height of the head (face and hair), as in training."""

LARGEST_SIDE = 8192.0
"""The largest crop in pixels, since a network that labels noise may report any size of head."""

_WORTHWHILE = 0.95  # a crop that is not smaller than this, relative to another, shows no more
_CROP_WIDTHS = 1.25  # smallest size, relative to the head's width
_OUTSIDE = (PADDING, PADDING, PADDING)
"""RGB beyond the picture's edges, as in some of the training views."""

Points = npt.NDArray[np.float64]

Metering = Literal["centre", "average"]
"""The part of a crop that its exposure is judged by: its centre, or all of it alike."""


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A rectangle of a picture, rotated about its centre.

    Attributes:
        box: the rectangle before rotation, in frame pixels; may extend beyond the frame.
        roll_degrees: the rotation, clockwise on the screen; 0 is upright.
        metering: `centre` for a crop around a face, `average` for one with faces anywhere.
    """

    box: Box
    roll_degrees: float = 0.0
    metering: Metering = "centre"

    @property
    def is_upright(self) -> bool:
        """Whether its sides are parallel to the frame's."""
        return self.roll_degrees == 0

    @property
    def bounds(self) -> Box:
        """Its upright bounding box in frame pixels."""
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
        """Shift the crop along its own sides by fractions of its width and height."""
        cosine, sine = self._turn
        right, below = across * self.box.width, down * self.box.height
        x, y = cosine * right - sine * below, sine * right + cosine * below
        box = self.box
        moved = Box(left=box.left + x, top=box.top + y, right=box.right + x, bottom=box.bottom + y)
        return replace(self, box=moved)

    def to_frame(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Rotate points of the box with the crop; both are in frame pixels."""
        if self.is_upright:
            return x, y
        (middle_x, middle_y), (cosine, sine) = self.box.centre, self._turn
        x, y = x - middle_x, y - middle_y
        return middle_x + cosine * x - sine * y, middle_y + sine * x + cosine * y

    def from_frame(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Rotate points back into the box: the inverse of `to_frame`."""
        if self.is_upright:
            return x, y
        (middle_x, middle_y), (cosine, sine) = self.box.centre, self._turn
        x, y = x - middle_x, y - middle_y
        return middle_x + cosine * x + sine * y, middle_y - sine * x + cosine * y

    def shown(
        self,
        rows: int,
        columns: int,
        *,
        height: int,
        width: int,
        at: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> npt.NDArray[np.bool_] | None:
        """Which cells of a grid over the crop are in the picture; None if all of them are.

        Args:
            rows, columns: of the grid.
            height, width: the picture's size in pixels.
            at: the rows and columns to look at; by default all of them.

        Returns:
            bool (rows, columns) of those, true where the cell's centre is in the picture.
        """
        bounds = self.bounds
        fits_across = bounds.left >= 0 and bounds.right <= width
        if fits_across and bounds.top >= 0 and bounds.bottom <= height:
            return None
        box = self.box
        x = box.left + (np.arange(columns) + 0.5) * box.width / columns
        y = box.top + (np.arange(rows) + 0.5) * box.height / rows
        across, down = self.to_frame(x[at[1]][None, :], y[at[0]][:, None])
        inside: npt.NDArray[np.bool_] = (
            (across >= 0) & (across < width) & (down >= 0) & (down < height)
        )
        return inside

    def grid_from_frame(self, rows: int, columns: int) -> Points:
        """The affine map for OpenCV from frame pixels to the cells of a grid over the crop.

        Returns:
            float64 (2, 3): maps a frame pixel (x, y) to a cell (column, row); both are 0 at the
            centre of the first pixel or cell.
        """
        (middle_x, middle_y), (cosine, sine) = self.box.centre, self._turn
        turned = np.array([[cosine, sine], [-sine, cosine]])
        scaled = np.diag([columns / self.box.width, rows / self.box.height]) @ turned
        middle = np.array([middle_x - 0.5, middle_y - 0.5])
        offset = np.array([(columns - 1) / 2, (rows - 1) / 2]) - scaled @ middle
        return np.column_stack((scaled, offset))


def box_around(x: float, y: float, width: float, height: float) -> Box:
    """The box with this centre and size."""
    return Box(left=x - width / 2, top=y - height / 2, right=x + width / 2, bottom=y + height / 2)


def cut(image: Image, crop: Crop, *, out: Image) -> None:
    """Fill `out` with the picture inside a crop, stretched to its size.

    To shrink, the part is averaged by halving until less than a factor of two remains, which is
    interpolated bilinearly.

    Args:
        image: uint8 (height, width, 3).
        crop: may extend beyond the picture; an upright crop is rounded to whole pixels.
        out: the result, uint8 (height, width, 3), contiguous.
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
    # large margins are added after shrinking, when they are cheap
    band = (max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width))
    while (
        part.shape[0] + band[0] + band[1] >= 2 * out.shape[0]
        and part.shape[1] + band[2] + band[3] >= 2 * out.shape[1]
        and (part.shape[0] + band[0] + band[1]) % 2 == 0
        and (part.shape[1] + band[2] + band[3]) % 2 == 0
    ):
        if any(side % 2 for side in band):
            # A block that is only partly in the picture needs its other half. Shrinking odd sides
            # in one step instead takes OpenCV ten times as long.
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
    # including the neighbours that interpolation needs
    left, top = math.floor(bounds.left) - shrink, math.floor(bounds.top) - shrink
    right, bottom = math.ceil(bounds.right) + shrink, math.ceil(bounds.bottom) + shrink
    left, right = max(0, left), min(width, right)
    top, bottom = max(0, top), min(height, bottom)
    if right <= left or bottom <= top:
        out[...] = _OUTSIDE
        return
    part = image[top:bottom, left:right]
    if shrink > 1 and min(part.shape[:2]) >= shrink:
        # whole blocks only; this drops at most one row and column of the result at the edge
        part = part[: part.shape[0] // shrink * shrink, : part.shape[1] // shrink * shrink]
        size = (part.shape[1] // shrink, part.shape[0] // shrink)
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    else:
        shrink = 1
    # from pixels of the part to pixels of the frame, and then to those of the result
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
    """The height in pixels of the crop for a head; its width is `aspect` times that."""
    return max(CROP_FACTOR * head.height, _CROP_WIDTHS * head.width / aspect)


def crop_around(x: float, y: float, side: float, aspect: float, roll_degrees: float = 0.0) -> Crop:
    """A crop around a point, with edges on pixel borders, so that cutting it out is exact."""
    side = min(side, LARGEST_SIDE / max(1.0, aspect))
    # multiples of four pixels, so that halving twice is exact and fast
    height = max(8, 4 * round(side / 4))
    width = max(8, 4 * round(side * aspect / 4))
    left, top = round(x - width / 2), round(y - height / 2)
    box = Box(left=left, top=top, right=left + width, bottom=top + height)
    return Crop(box=box, roll_degrees=roll_degrees)


def within_picture(crop: Crop, *, height: int, width: int, aspect: float) -> Crop | None:
    """A smaller upright crop that shows as much of the picture; None if there is none.

    Args:
        crop: may extend beyond the picture's edges.
        height, width: the picture's size in pixels.
        aspect: width over height of the smaller crop.
    """
    box = crop.box
    left, right = max(0.0, box.left), min(float(width), box.right)
    top, bottom = max(0.0, box.top), min(float(height), box.bottom)
    side = max(bottom - top, (right - left) / aspect)
    if not crop.is_upright or not 0 < side <= _WORTHWHILE * box.height:
        return None
    return crop_around((left + right) / 2, (top + bottom) / 2, side + 4, aspect)


def wrapped(degrees: float) -> float:
    """Wrap an angle to -180..180 degrees."""
    return (degrees + 180) % 360 - 180
