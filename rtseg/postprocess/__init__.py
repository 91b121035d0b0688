"""Upsample low-resolution probabilities to label ids at full size.

A label is the class whose bilinearly interpolated probability is largest (half-pixel centres,
edges replicated: what PyTorch calls `align_corners=False`).

The picture itself is not used. On composites of validation heads at 40 and 80% of 720p, a guided
filter over half a cell (He et al., ECCV 2010) gained 1.1 and 0.8 points of overall F1 for 18 ms per
face, and plain blurring gained more than half of that. Over two cells, at 40%, it lost more than 10
points. Bicubic interpolation was 0.3 points worse than bilinear.
"""

from __future__ import annotations

import numpy as np

from rtseg.errors import SettingError
from rtseg.faces.scoring import Mask
from rtseg.frames import LabelMap, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.geometry.resample import grid_positions
from rtseg.postprocess.leaders import leading_classes, led_by
from rtseg.postprocess.upsample import labels_at
from rtseg.postprocess.upsample_rotated import OUTSIDE, turned_labels

__all__ = ["labels_at", "leading_classes", "led_by", "paste", "whole_labels"]


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
        probabilities: float32 (rows, columns, classes) of the crop.
        crop: its position; parts beyond the frame's edges are ignored.
        transparent: an id that is not written (the background), or None.
        leaders: the probabilities' leading classes, if already known.

    Raises:
        SettingError: the probabilities have the wrong shape.
    """
    _check(probabilities)
    height, width = labels.shape
    # the pixels whose centres are inside
    bounds = crop.bounds
    left, right = _inside(bounds.left, bounds.right, width)
    top, bottom = _inside(bounds.top, bounds.bottom, height)
    if right <= left or bottom <= top:
        return
    target = labels[top:bottom, left:right]
    if not crop.is_upright:
        labels_there = turned_labels(
            probabilities,
            crop,
            left=left,
            top=top,
            width=right - left,
            height=bottom - top,
            leaders=leaders,
        )
        write = labels_there != OUTSIDE
        if transparent is not None:
            write &= labels_there != transparent
        _write(target, labels_there, write)
        return
    box, (rows, columns, _) = crop.box, probabilities.shape
    labels_there = labels_at(
        probabilities,
        grid_positions(top, bottom - top, origin=box.top, extent=box.height, cells=rows),
        grid_positions(left, right - left, origin=box.left, extent=box.width, cells=columns),
        leaders=leaders,
    )
    if transparent is None:
        target[...] = labels_there
    else:
        _write(target, labels_there, labels_there != transparent)


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
