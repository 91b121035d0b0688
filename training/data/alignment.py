"""How far labels lie from the picture's edges, in parts of a pixel.

Where two labels meet, the picture has an edge more often than not. The mean gradient across all
such borders, moved by whole pixels to either side, has its peak where the edges are; a parabola
through the peak and its neighbours tells that to a tenth of a pixel.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.labels import IGNORED
from training.data.base import Sample

REACH = 3
"""Pixels to either side."""


def displacement(samples: Iterable[Sample]) -> tuple[float, float]:
    """How far (x, y) the labels of some pictures lie to the right of and below their edges, pixels.

    What a sample says of it (`label_offset`) is taken into account: samples that tell the truth
    give zero.
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
    """The summed gradient along x, at the labels' borders moved by -REACH..REACH pixels."""
    gradient = np.abs(np.diff(grey, axis=1))
    first, second = labels[:, :-1], labels[:, 1:]
    border = (first != second) & (first != IGNORED) & (second != IGNORED)
    border[:, :REACH] = border[:, -REACH:] = False
    rows, columns = np.nonzero(border)
    return np.array(
        [float(gradient[rows, columns + move].sum()) for move in range(-REACH, REACH + 1)]
    )


def _peak(profile: npt.NDArray[np.float64]) -> float:
    """How far the labels lie beyond the edges: minus the place of the profile's peak."""
    top = int(np.clip(profile.argmax(), 1, len(profile) - 2))
    before, here, after = profile[top - 1 : top + 2]
    curve = before - 2 * here + after
    inner = 0.5 * (before - after) / curve if curve else 0.0
    return -(top + inner - REACH)
