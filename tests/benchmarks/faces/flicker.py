"""Measure flicker where nothing moves, and accuracy with and without smoothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.frames import LabelMap
from rtseg.labels import HELEN
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.metered import Remembering
from tests.benchmarks.faces.report import Cell, Report, percent
from tests.benchmarks.faces.streams import (
    USUAL_NOISE,
    Scene,
    head_box,
    in_helen_classes,
    still_head,
)
from training.evaluation.metrics import Matrix, confusion_matrix, f1_of

SPEEDS = (1, 4, 8)
NOISES = (2.0, 4.0, 6.0)
FRAMES = 30
_WARM_UP = 10


@dataclass(eq=False)
class Tally:
    """Results of one kind of smoothing on some streams.

    Flicker is counted on pixels in and around the head whose true label is the same in two
    consecutive frames.
    """

    matrix: Matrix = field(default_factory=lambda: np.zeros((len(HELEN),) * 2, np.int64))
    changed: int = 0
    watched: int = 0
    frames: int = 0
    _past: tuple[LabelMap, LabelMap] | None = None

    def begin(self) -> None:
        """Begin another stream."""
        self._past = None

    def add(self, labels: LabelMap, truth: LabelMap) -> None:
        """Add one frame."""
        labels = in_helen_classes(labels, truth)
        self.matrix += confusion_matrix(truth, labels, classes=len(HELEN))
        if self._past is not None:
            past_labels, past_truth = self._past
            near = _around_head(truth) & _around_head(past_truth) & (truth == past_truth)
            self.changed += int(np.count_nonzero((labels != past_labels) & near))
            self.watched += int(np.count_nonzero(near))
        self._past = labels, truth

    @property
    def flicker(self) -> float:
        """The share of counted pixels whose label changes from one frame to the next."""
        return self.changed / max(1, self.watched)

    @property
    def overall(self) -> float:
        """F1 of the face parts, pooled."""
        return f1_of(self.matrix, HELEN.groups["parts"])

    @property
    def all_classes(self) -> float:
        """The share of head pixels (true or predicted) with the right label."""
        right = np.trace(self.matrix[1:, 1:])
        return float(right / (self.matrix.sum() - self.matrix[0, 0]))


def _around_head(truth: LabelMap) -> npt.NDArray[np.bool_]:
    around = np.zeros(truth.shape, np.bool_)
    box = head_box(truth)
    if box is not None:
        margin = 0.2 * box.height
        top, left = max(0, int(box.top - margin)), max(0, int(box.left - margin))
        around[top : int(box.bottom + margin), left : int(box.right + margin)] = True
    return around


def compare(backend: Backend, scenes: Callable[[int], Scene], *, count: int) -> tuple[Tally, Tally]:
    """Process streams without smoothing and with the default: (raw, smoothed)."""
    backend = Remembering(backend)
    tallies = (Tally(), Tally())
    for seed in range(count):
        scene = scenes(seed)
        segmenters = (
            Segmenter(backend=backend, faces=FaceSettings(smoothing=0.0)),
            Segmenter(backend=backend),
        )
        for tally in tallies:
            tally.begin()
        for index in range(FRAMES):
            frame, truth = scene(index)
            for segmenter, tally in zip(segmenters, tallies, strict=True):
                labels = segmenter(frame).labels
                if index >= _WARM_UP:
                    tally.add(labels, truth)
    return tallies


def _row(name: str, raw: Tally, steadied: Tally) -> list[Cell]:
    fall = 1 - steadied.flicker / raw.flicker if raw.flicker else 0.0
    return [
        name,
        percent(raw.flicker, digits=3),
        percent(steadied.flicker, digits=3),
        f"{-100 * fall:+.0f}%",
        f"{raw.overall:.4f}",
        f"{steadied.overall:.4f}",
        f"{100 * (steadied.overall - raw.overall):+.2f}",
        f"{100 * (steadied.all_classes - raw.all_classes):+.2f}",
    ]


def measure(backend: Backend, data: Path, *, count: int) -> Report:
    """Measure flicker and accuracy at rest, with more or less noise, and in motion."""
    cases = [(f"still, noise {noise:.0f}", 0, noise) for noise in NOISES]
    cases += [(f"{speed} px a frame", speed, USUAL_NOISE) for speed in SPEEDS]
    rows = []
    for name, speed, noise in cases:

        def scenes(seed: int, speed: int = speed, noise: float = noise) -> Scene:
            return still_head(data, seed=seed, speed=speed, noise=noise)

        rows.append(_row(name, *compare(backend, scenes, count=count)))
    return Report(
        name="flicker",
        title="Smoothing",
        headings=(
            "head",
            "flicker, off",
            "flicker, default",
            "change",
            "overall F1, off",
            "overall F1, default",
            "points",
            "points, all head pixels",
        ),
        rows=rows,
        notes=(
            f"{count} streams a row, heads a third of the frame high, sensor noise in grey levels "
            f"(standard deviation; {USUAL_NOISE:.0f} in the rows that move). Flicker: of the "
            "pixels in and around the head whose truth stays the same from one frame to the "
            "next, the share whose label changes. Aimed at: still, −60% and F1 not lower; in "
            "motion, F1 at most 0.5 points lower and flicker not higher.",
        ),
    )
