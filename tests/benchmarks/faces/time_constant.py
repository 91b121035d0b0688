"""Measure the time constant of smoothing at several frame rates."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import read_spec
from rtseg.frames import Box
from rtseg.geometry.crop import CROP_FACTOR, Crop
from rtseg.postprocess.smoothing import LONGEST_AT_REST, LONGEST_SECONDS, TrackSmoother
from rtseg.settings import FaceSettings
from rtseg.weights import default_checkpoint_path
from tests.benchmarks.faces.report import Cell, Report, percent
from tests.benchmarks.faces.streams import (
    HEAD_HEIGHT,
    HEIGHT,
    USUAL_NOISE,
    WIDTH,
    still_head,
)

RATES = (15, 30, 60)
_SECONDS = 1.5


def measure(data: Path, *, count: int) -> Report:
    """The average's time constant, fitted on slow changes, at several frame rates.

    The picture is a composite head with sensor noise; all classes' probabilities drift by half
    within one and a half seconds. The fit finds the single constant that best explains the
    smoothed values.
    """
    rows: list[list[Cell]] = []
    strength = FaceSettings().smoothing
    for name, levels_per_second in (("at rest", 0.0), ("light that fades by 20 levels/s", -20.0)):
        fitted = [
            float(
                np.mean(
                    [_time_constant(data, seed, fps, levels_per_second) for seed in range(count)]
                )
            )
            for fps in RATES
        ]
        spread = max(fitted) / min(fitted) - 1
        rows.append([name, *(f"{1000 * tau:.0f} ms" for tau in fitted), percent(spread)])
    return Report(
        name="time-constant",
        title="The time constant at several frame rates",
        headings=("picture", *(f"{fps} fps" for fps in RATES), "spread"),
        rows=rows,
        notes=(
            f"Nominal: {1000 * strength * LONGEST_SECONDS:.0f} ms after a change, up to "
            f"{LONGEST_AT_REST:.0f} times that after a long rest; noise {USUAL_NOISE:.0f}. "
            "Aimed at: a spread of at most 10%.",
        ),
    )


def _time_constant(data: Path, seed: int, fps: int, levels_per_second: float) -> float:
    shipped = read_spec(default_checkpoint_path())
    cells = (shipped.input_height // shipped.stride, shipped.input_width // shipped.stride)
    scene = still_head(data, seed=seed, fps=fps)
    smoother = TrackSmoother(FaceSettings().smoothing)
    side = round(CROP_FACTOR * HEAD_HEIGHT)
    left, top = (WIDTH - side) // 2, (HEIGHT - side) // 2
    crop = Crop(box=Box(left=left, top=top, right=left + side, bottom=top + side))
    rng = np.random.default_rng(seed)
    pattern = rng.uniform(0.1, 0.4, (*cells, 1)).astype(np.float32)
    inputs, outputs = [], []
    for index in range(round(_SECONDS * fps)):
        seconds = float(Fraction(index, fps))
        image = scene(index)[0].image[top : top + side, left : left + side]
        lit = (image + levels_per_second * seconds).clip(0, 255).astype(np.uint8)
        up = pattern + np.float32(0.5 * seconds / _SECONDS)
        given = np.concatenate((1 - up, up), axis=2)
        outputs.append(smoother(given, picture=lit, crop=crop, seconds=seconds)[..., 1].copy())
        inputs.append(given[..., 1])
    kept = _kept_share(np.array(inputs), np.array(outputs))
    return -1 / (fps * math.log(kept))


def _kept_share(inputs: npt.NDArray[np.float32], outputs: npt.NDArray[np.float32]) -> float:
    """Least squares for the a of `output = a * last output + (1 - a) * input`."""
    distance = outputs[:-1] - inputs[1:]
    step = outputs[1:] - inputs[1:]
    return float((step * distance).sum() / (distance * distance).sum())
