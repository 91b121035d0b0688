"""Temporal smoothing: average probabilities over time where the picture is still.

Plain averaging leaves ghosts behind everything that moves, and is worse than none. So each cell's
average is gated by how much the picture changed there, and discarded when the stream breaks. The
picture is compared with its own average, which is as old as that of the probabilities; so slow
movement is noticed as soon as the average lags behind, at any frame rate. If a map is too fine to
judge changes against the picture's noise, several of its cells share a gate.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Image, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.geometry.resample import Grid, carried_over

Weights = npt.NDArray[np.float32]
"""The weight of the past for each cell, 0..1: float32 (rows, columns)."""

LONGEST_SECONDS = 0.3
"""Time constant at strength 1 of the average of what has just changed, in seconds."""

LONGEST_AT_REST = 4.0
"""Time constant of the average of what has long been at rest, relative to that."""

GAP_SECONDS = 0.5
"""A frame more than this many seconds ago is not used."""

# A cell's change is measured in grey levels, relative to the least-changing cells of the crop,
# which show the sensor's noise. Up to the first multiple of the noise a cell counts as still, from
# the second on as moving.
_STILL, _MOVED = 1.8, 3.5
_LEAST_NOISE, _MOST_NOISE = 1.0, 4.0
_QUIET_SHARE = 0.2
_GATE_PIXELS = 4  # shortest side of a gate in picture pixels, to average out noise


class TrackSmoother:
    """Averages the probability maps of one track (or of the whole frame) over time.

    Args:
        strength: 0..1; the time constant is `strength * LONGEST_SECONDS`, up to `LONGEST_AT_REST`
            times that where nothing has changed for long. 0 returns maps unchanged.

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
        self._past_rest: Weights | None = None
        self._past_crop: Crop | None = None
        self._past_seconds = 0.0

    def __call__(
        self, probabilities: Probabilities, *, picture: Image, crop: Crop, seconds: float
    ) -> Probabilities:
        """Return the averaged map; the input is not modified.

        Args:
            probabilities: float32 (rows, columns, classes).
            picture: the network's input, uint8 (height, width, 3) of any size.
            crop: its position in the frame.
            seconds: the frame's time. After a gap of more than half a second, or a step back,
                the average starts afresh.
        """
        if self.strength == 0:
            return probabilities
        guide = _guide(picture, *probabilities.shape[:2])
        past, past_guide, past_crop = self._past, self._past_guide, self._past_crop
        past_rest = self._past_rest
        step = seconds - self._past_seconds
        smoothed, rest = probabilities, np.zeros(guide.shape[:2], np.float32)
        if (
            past is not None
            and past_guide is not None
            and past_rest is not None
            and past_crop is not None
            and past.shape == probabilities.shape
            and past_guide.shape == guide.shape
            and 0 < step <= GAP_SECONDS
        ):
            known: Weights | None = None
            if past_crop != crop:
                past, known = carried_over(past, past_crop, crop)
                with_rest = np.dstack((past_guide, past_rest))
                with_rest, guide_known = carried_over(with_rest, past_crop, crop)
                past_guide, past_rest = with_rest[..., :3], with_rest[..., 3]
                # interpolation removed its finest detail, so compare both without it
                still = stillness(_softened(guide), _softened(past_guide)) * guide_known
            else:
                still = stillness(guide, past_guide)
            rest = (past_rest + np.float32(step)) * still
            weight = still * self._share_of_past(rest, step)
            of_past = _spread(weight, past.shape)
            if known is not None:
                of_past = of_past * known
            smoothed = _averaged(probabilities, past, of_past)
            guide = _averaged(guide, past_guide, weight)
        self._past, self._past_guide, self._past_rest = smoothed, guide, rest
        self._past_crop, self._past_seconds = crop, seconds
        return smoothed

    def _share_of_past(self, rest: Weights, step: float) -> Weights:
        """The weight of the past after a step, given each gate's seconds at rest.

        The average covers about half of the time since the last change, within limits.
        """
        shortest = self.strength * LONGEST_SECONDS
        constants = np.clip(rest / 2, shortest, LONGEST_AT_REST * shortest)
        shares: Weights = np.exp(-step / constants)
        return shares


def _guide(picture: Image, rows: int, columns: int) -> Grid:
    """Reduce the picture to a map's cells or blocks of them: float32 (rows, columns, 3)."""
    import cv2

    height, width = picture.shape[:2]
    while min(height / rows, width / columns) < _GATE_PIXELS and rows % 2 == 0 and columns % 2 == 0:
        rows, columns = rows // 2, columns // 2
    reduced = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.float32)


def _spread(weight: Weights, shape: tuple[int, ...]) -> Weights:
    """Expand the gates' weights to each cell of a map."""
    import cv2

    if weight.shape == shape[:2]:
        return weight
    spread = cv2.resize(weight, shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(spread, np.float32)


def _averaged(now: Grid, past: Grid, weight: Weights) -> Grid:
    """Blend the past, with its weight, and the present."""
    averaged: Grid = past - now
    averaged *= weight[:, :, None]
    averaged += now
    return averaged


def stillness(guide: Grid, past_guide: Grid) -> Weights:
    """Estimate the certainty that nothing changed in each cell, 0..1: float32 (rows, columns).

    Args:
        guide, past_guide: the picture reduced to the cells, and its average so far, float32
            (rows, columns, 3), 0..255.
    """
    import cv2

    red, green, blue = cv2.split(cv2.absdiff(guide, past_guide))
    change = cv2.blur(cv2.max(cv2.max(red, green), blue), (3, 3))
    # a border's probabilities extend into the neighbouring cells
    change = cv2.dilate(change, np.ones((3, 3), np.uint8))
    quiet = round(_QUIET_SHARE * (change.size - 1))
    noise = float(np.partition(change, quiet, axis=None)[quiet])
    noise = min(max(noise, _LEAST_NOISE), _MOST_NOISE)
    still: Weights = (_MOVED - change / noise) / (_MOVED - _STILL)
    return still.clip(0, 1, out=still)


def _softened(guide: Grid) -> Grid:
    """Remove detail as fine as a single cell."""
    import cv2

    soft: Grid = cv2.GaussianBlur(guide, (3, 3), 0)
    return soft


class CutDetector:
    """Detects cuts, where a stream continues with an entirely different picture."""

    _POINTS = 48  # samples per side of the coarse grid
    _LEVELS = 10.0
    _CONTRASTS = 0.85
    _HISTOGRAM = 0.05
    _JUMP = 1.5  # least change, relative to the change before; in a fast pan changes are alike

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the last picture."""
        self._past: npt.NDArray[np.uint8] | None = None
        self._past_levels = 0.0
        self._size = (0, 0)
        self._places = np.empty(0, np.intp)

    def __call__(self, image: Image) -> bool:
        """Whether there was a cut between the last picture and this one; False for the first.

        Two unrelated pictures differ both point by point, by more than their own contrast, and in
        their colour histograms. Frames of a fast pan differ in the first way, and where something
        large leaves the picture, in the second; but those just before differ about as much. Frames
        of a slow fade differ in neither.

        Args:
            image: uint8 (height, width, 3).
        """
        import cv2

        points = self._points_of(image)
        past, self._past = self._past, points
        past_levels, self._past_levels = self._past_levels, 0.0
        if past is None or past.shape != points.shape:
            return False
        levels = cv2.norm(points, past, cv2.NORM_L1) / points.size
        self._past_levels = levels
        # most frames end here
        if levels < max(self._LEVELS, self._JUMP * past_levels):
            return False
        now, then = points.astype(np.int16), past.astype(np.int16)
        contrast = (_contrast(now) + _contrast(then)) / 2
        change = np.abs(_histogram(now) - _histogram(then)).sum() / 2
        is_cut = bool(levels > self._CONTRASTS * contrast and change > self._HISTOGRAM)
        if is_cut:
            self._past_levels = 0.0  # a shot of one frame ends with a cut as well
        return is_cut

    def _points_of(self, image: Image) -> npt.NDArray[np.uint8]:
        """The pixels of the coarse grid, uint8 (points, 3)."""
        height, width = image.shape[:2]
        if (height, width) != self._size:
            y = np.linspace(0, height - 1, min(height, self._POINTS)).astype(np.intp)
            x = np.linspace(0, width - 1, min(width, self._POINTS)).astype(np.intp)
            self._size, self._places = (height, width), (y[:, None] * width + x).reshape(-1)
        points: npt.NDArray[np.uint8] = image.reshape(-1, 3).take(self._places, axis=0)
        return points


def _contrast(points: npt.NDArray[np.int16]) -> float:
    return float(np.abs(points - np.median(points, axis=0)).mean())


def _histogram(points: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    """A histogram of eight levels per channel, 24 values that sum to one."""
    binned = (points >> 5) + np.array([0, 8, 16], np.int16)
    return np.bincount(binned.reshape(-1), minlength=24) / binned.size
