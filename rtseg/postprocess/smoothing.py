"""Temporal smoothing: average probabilities over time where the picture is still.

Averaging blindly draws ghosts behind everything that moves, and is then worse than nothing. So
each cell's average is gated by how much the picture changed there, and everything is forgotten
where the stream breaks. The picture is compared with its own average, which is as old as that of
the probabilities: what moves slowly is then noticed as soon as the average lags behind it, at any
frame rate. A map may be finer than a picture can be judged in noise: then several of its cells
share a gate.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Image, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.geometry.resample import Grid, carried_over

Weights = npt.NDArray[np.float32]
"""Of the past, 0..1, a cell: float32 (rows, columns)."""

LONGEST_SECONDS = 0.3
"""Time constant of the average at strength 1."""

GAP_SECONDS = 0.5
"""What lies further back says nothing about now."""

# A cell's change is measured in grey levels, and judged against what changes least in the crop:
# that is the sensor's noise. Up to the first multiple of it a cell stands still, from the second
# on it moves.
_STILL, _MOVED = 1.8, 3.5
_LEAST_NOISE, _MOST_NOISE = 1.0, 4.0
_QUIET_SHARE = 20  # percentile
_GATE_PIXELS = 4  # of the picture, a side, that a gate averages at least: single ones are noise


class TrackSmoother:
    """Averages the probability maps of one track (or of the whole frame) over time.

    Args:
        strength: 0..1; the time constant is `strength * LONGEST_SECONDS`, and 0 hands maps
            through untouched.

    Raises:
        SettingError: the strength is out of range.
    """

    def __init__(self, strength: float) -> None:
        if not 0 <= strength <= 1:
            raise SettingError(f"smoothing must be within 0..1; found {strength}")
        self.strength = strength
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._past: Probabilities | None = None
        self._past_guide: Grid | None = None
        self._past_crop: Crop | None = None
        self._past_seconds = 0.0

    def __call__(
        self, probabilities: Probabilities, *, picture: Image, crop: Crop, seconds: float
    ) -> Probabilities:
        """The averaged map; the input is left as it is.

        Args:
            probabilities: float32 (rows, columns, classes).
            picture: what they were made from, uint8 (height, width, 3), any size.
            crop: where that lies in the frame.
            seconds: the frame's time; after a gap of more than half a second, or going back,
                the average starts anew.
        """
        if self.strength == 0:
            return probabilities
        guide = _guide(picture, *probabilities.shape[:2])
        past, past_guide, past_crop = self._past, self._past_guide, self._past_crop
        step = seconds - self._past_seconds
        smoothed = probabilities
        if (
            past is not None
            and past_guide is not None
            and past_crop is not None
            and past.shape == probabilities.shape
            and past_guide.shape == guide.shape
            and 0 < step <= GAP_SECONDS
        ):
            share = math.exp(-step / (self.strength * LONGEST_SECONDS))
            if past_crop != crop:
                past, known = carried_over(past, past_crop, crop)
                past_guide, guide_known = carried_over(past_guide, past_crop, crop)
                # interpolated, it lost its finest detail: compared without that of either
                still = stillness(_softened(guide), _softened(past_guide))
                weight = share * still * guide_known
                smoothed = _averaged(probabilities, past, _spread(weight, past.shape) * known)
            else:
                weight = share * stillness(guide, past_guide)
                smoothed = _averaged(probabilities, past, _spread(weight, past.shape))
            guide = _averaged(guide, past_guide, weight)
        self._past, self._past_guide = smoothed, guide
        self._past_crop, self._past_seconds = crop, seconds
        return smoothed


def _guide(picture: Image, rows: int, columns: int) -> Grid:
    """The picture reduced to a map's cells, or to blocks of them: float32 (rows, columns, 3)."""
    import cv2

    height, width = picture.shape[:2]
    while min(height / rows, width / columns) < _GATE_PIXELS and rows % 2 == 0 and columns % 2 == 0:
        rows, columns = rows // 2, columns // 2
    reduced = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.float32)


def _spread(weight: Weights, shape: tuple[int, ...]) -> Weights:
    """Gates' weights for each cell of a map."""
    import cv2

    if weight.shape == shape[:2]:
        return weight
    spread = cv2.resize(weight, shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(spread, np.float32)


def _averaged(now: Grid, past: Grid, weight: Weights) -> Grid:
    """Of the past by its weight, of now the rest."""
    averaged: Grid = past - now
    averaged *= weight[:, :, None]
    averaged += now
    return averaged


def stillness(guide: Grid, past_guide: Grid) -> Weights:
    """How surely nothing changed in each cell, 0..1: float32 (rows, columns).

    Args:
        guide, past_guide: the picture reduced to the cells, and its average so far, float32
            (rows, columns, 3), 0..255.
    """
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(guide, past_guide))
    change = cv2.blur(cv2.max(cv2.max(red, green), blue), (3, 3))
    # a border's probabilities reach over to the next cells
    change = cv2.dilate(change, np.ones((3, 3), np.uint8))
    noise = min(max(float(np.percentile(change, _QUIET_SHARE)), _LEAST_NOISE), _MOST_NOISE)
    still: Weights = (_MOVED - change / noise) / (_MOVED - _STILL)
    return still.clip(0, 1, out=still)


def _softened(guide: Grid) -> Grid:
    """Without detail of a single cell."""
    import cv2

    soft: Grid = cv2.GaussianBlur(guide, (3, 3), 0)
    return soft


class CutDetector:
    """Notices that a stream goes on with another picture altogether."""

    _POINTS = 48  # a side of the coarse grid of samples
    _LEVELS = 10.0
    _CONTRASTS = 0.85
    _HISTOGRAM = 0.05

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last picture."""
        self._past: npt.NDArray[np.int16] | None = None

    def __call__(self, image: Image) -> bool:
        """Whether a cut lies between the last picture and this one; never before the first.

        Two unrelated pictures differ, point by point, by more than the pictures' own contrast,
        and in the shares of their colours. A fast pan may do the first but not the second; a
        slow fade does neither from one frame to the next.

        Args:
            image: uint8 (height, width, 3).
        """
        height, width = image.shape[:2]
        y = np.linspace(0, height - 1, min(height, self._POINTS)).astype(np.intp)
        x = np.linspace(0, width - 1, min(width, self._POINTS)).astype(np.intp)
        points = image[y[:, None], x].reshape(-1, 3).astype(np.int16)
        past, self._past = self._past, points
        if past is None or past.shape != points.shape:
            return False
        levels = float(np.abs(points - past).mean())
        # the usual frame ends here
        if levels < self._LEVELS:
            return False
        contrast = (_contrast(points) + _contrast(past)) / 2
        change = np.abs(_histogram(points) - _histogram(past)).sum() / 2
        return bool(levels > self._CONTRASTS * contrast and change > self._HISTOGRAM)


def _contrast(points: npt.NDArray[np.int16]) -> float:
    return float(np.abs(points - np.median(points, axis=0)).mean())


def _histogram(points: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """Shares of eight levels in each channel, 24 in all, summing to one."""
    binned = (points >> 5) + np.array([0, 8, 16], np.int16)
    return np.bincount(binned.reshape(-1), minlength=24) / binned.size
