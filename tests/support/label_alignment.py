"""Measure the offset between labels and the picture's edges to a fraction of a pixel.

Borders between labels usually coincide with edges in the picture. The mean gradient across all
borders, shifted by whole pixels to either side, peaks at the edges' position; a parabola through
the peak and its neighbours locates it to a tenth of a pixel.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.labels import IGNORED
from training.data.base import Sample

REACH = 3
"""Largest shift to either side in pixels."""


def displacement(samples: Iterable[Sample]) -> tuple[float, float]:
    """Measure the offset (x, y) of labels to the right of and below the edges, in pixels.

    Each sample's stated `label_offset` is subtracted, so correct samples give zero.
    """
    sums = np.zeros((2, 2 * REACH + 1))
    offset = 0.0
    for sample in samples:
        grey = cv2.cvtColor(sample.image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        labels = sample.labels
        offset = sample.label_offset
        for axis, (picture, ids) in enumerate(((grey, labels), (grey.T, labels.T))):
            sums[axis] += _profile(picture, ids)
    return _peak(sums[0]) - offset, _peak(sums[1]) - offset


def _profile(
    grey: npt.NDArray[np.float32], labels: npt.NDArray[np.uint8]
) -> npt.NDArray[np.float64]:
    """The summed gradient along x at the labels' borders, shifted by -REACH..REACH pixels."""
    gradient = np.abs(np.diff(grey, axis=1))
    first, second = labels[:, :-1], labels[:, 1:]
    border = (first != second) & (first != IGNORED) & (second != IGNORED)
    border[:, :REACH] = border[:, -REACH:] = False
    rows, columns = np.nonzero(border)
    return np.array(
        [float(gradient[rows, columns + move].sum()) for move in range(-REACH, REACH + 1)]
    )


def _peak(profile: npt.NDArray[np.float64]) -> float:
    """The labels' offset: minus the position of the profile's peak."""
    top = int(np.clip(profile.argmax(), 1, len(profile) - 2))
    before, peak, after = profile[top - 1 : top + 2]
    curve = before - 2 * peak + after
    inner = 0.5 * (before - after) / curve if curve else 0.0
    return -(top + inner - REACH)
