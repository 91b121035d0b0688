"""Upsample low-resolution probabilities to label ids at full size.

A label is the class whose bilinearly interpolated probability is largest (half-pixel centres,
edges replicated: what PyTorch calls `align_corners=False`).

The picture itself is not used. On composites of validation heads at 40 and 80% of 720p, a guided
filter over half a cell (He et al., ECCV 2010) gained 1.1 and 0.8 points of overall F1 for 18 ms per
face, and plain blurring gained more than half of that. Over two cells, at 40%, it lost more than 10
points. Bicubic interpolation was 0.3 points worse than bilinear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rtseg.errors import SettingError
from rtseg.faces.leaders import leading_classes, led_by
from rtseg.faces.scoring import Mask
from rtseg.frames import LabelMap, Probabilities, Region
from rtseg.geometry.crop import Crop
from rtseg.geometry.resample import grid_positions
from rtseg.postprocess.upsample import labels_at
from rtseg.postprocess.upsample_rotated import OUTSIDE, turned_labels

__all__ = [
    "LabelsOnce",
    "PlacedLabels",
    "labels_at",
    "leading_classes",
    "led_by",
    "paste",
    "placed",
    "whole_labels",
]


def whole_labels(probabilities: Probabilities, *, height: int, width: int) -> LabelMap:
    """Compute the labels of a whole picture.

    Args:
        probabilities: float32 (rows, columns, classes), at most 255 classes.
        height, width: the picture's size in pixels.

    Returns:
        uint8 (height, width).

    Raises:
        SettingError: the probabilities have another shape, or the size is not positive.
    """
    _check(probabilities)
    if height < 1 or width < 1:
        raise SettingError(f"labels need a positive size; found {height} x {width}")
    rows = grid_positions(0, height, origin=0, extent=height, cells=probabilities.shape[0])
    columns = grid_positions(0, width, origin=0, extent=width, cells=probabilities.shape[1])
    return labels_at(probabilities, rows, columns)


@dataclass(frozen=True, kw_only=True, eq=False)
class PlacedLabels:
    """One crop's labels at their place in a frame.

    Attributes:
        region: the rectangle of the frame that they cover.
        labels: uint8 (height, width) of that rectangle.
        where: which of them to write, bool (height, width); None for all.
    """

    region: Region
    labels: LabelMap
    where: Mask | None

    def write(self, labels: LabelMap) -> None:
        """Write them into the frame's labels, uint8 (height, width), in place."""
        target = labels[self.region]
        if self.where is None:
            target[...] = self.labels
        else:
            _write(target, self.labels, self.where)


def placed(
    probabilities: Probabilities,
    crop: Crop,
    *,
    height: int,
    width: int,
    transparent: int | None,
    leaders: LabelMap | None = None,
) -> PlacedLabels | None:
    """Compute one crop's labels for a frame.

    Args:
        probabilities: float32 (rows, columns, classes) of the crop.
        crop: its position; parts beyond the frame's edges are ignored.
        height, width: the frame's size in pixels.
        transparent: an id that is not written (the background), or None.
        leaders: the probabilities' leading classes, if already known.

    Returns:
        The labels; None if the crop shows nothing of the frame.

    Raises:
        SettingError: the probabilities have the wrong shape.
    """
    _check(probabilities)
    # the pixels whose centres are inside
    bounds = crop.bounds
    left, right = _inside(bounds.left, bounds.right, width)
    top, bottom = _inside(bounds.top, bounds.bottom, height)
    if right <= left or bottom <= top:
        return None
    where: Mask | None = None
    if crop.is_upright:
        box, (rows, columns, _) = crop.box, probabilities.shape
        labels = labels_at(
            probabilities,
            grid_positions(top, bottom - top, origin=box.top, extent=box.height, cells=rows),
            grid_positions(left, right - left, origin=box.left, extent=box.width, cells=columns),
            leaders=leaders,
        )
        if transparent is not None:
            where = labels != transparent
    else:
        labels = turned_labels(
            probabilities,
            crop,
            left=left,
            top=top,
            width=right - left,
            height=bottom - top,
            leaders=leaders,
        )
        where = labels != OUTSIDE
        if transparent is not None:
            where &= labels != transparent
    region = (slice(top, bottom), slice(left, right))
    return PlacedLabels(region=region, labels=labels, where=where)


def paste(
    labels: LabelMap,
    probabilities: Probabilities,
    crop: Crop,
    *,
    transparent: int | None,
    leaders: LabelMap | None = None,
) -> None:
    """Write one crop's labels into the frame's labels, in place.

    Args:
        labels: uint8 (height, width) of the frame.
        probabilities, crop, transparent, leaders: as for `placed`.

    Raises:
        SettingError: the probabilities have the wrong shape.
    """
    height, width = labels.shape
    there = placed(
        probabilities, crop, height=height, width=width, transparent=transparent, leaders=leaders
    )
    if there is not None:
        there.write(labels)


class LabelsOnce:
    """One map's labels for a frame, computed again only where its crop has moved.

    Of use for a map that serves several frames, while its crop rests.

    Args:
        probabilities: float32 (rows, columns, classes); must not be modified afterwards.
    """

    def __init__(self, probabilities: Probabilities) -> None:
        self._probabilities = probabilities
        self._last: tuple[object, PlacedLabels | None] | None = None

    def paste(self, labels: LabelMap, crop: Crop, *, transparent: int | None) -> None:
        """Write the labels into a frame's; see `paste`."""
        height, width = labels.shape
        key = (crop, height, width, transparent)
        last = self._last
        if last is None or last[0] != key:
            last = (
                key,
                placed(
                    self._probabilities, crop, height=height, width=width, transparent=transparent
                ),
            )
            self._last = last
        if last[1] is not None:
            last[1].write(labels)


def _write(target: LabelMap, labels: LabelMap, where: Mask) -> None:
    """Copy the selected pixels in place, several times as fast as NumPy."""
    import cv2

    cv2.copyTo(labels, where.view(np.uint8), target)


def _inside(low: float, high: float, size: int) -> tuple[int, int]:
    return max(0, int(np.ceil(low - 0.5))), min(size, int(np.ceil(high - 0.5)))


def _check(probabilities: Probabilities) -> None:
    shape = probabilities.shape
    if len(shape) != 3 or 0 in shape or shape[2] > 255:
        raise SettingError(
            "probabilities must be (rows, columns, classes), not empty, at most 255 classes; "
            f"found {shape}"
        )
