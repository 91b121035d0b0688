"""Check that smoothing 0 changes nothing, and that the crop of a still face does not move."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.faces import TrackedFace
from rtseg.frames import Box
from rtseg.geometry.crop import Crop
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.metered import Remembering
from tests.benchmarks.faces.report import Cell, Report
from tests.benchmarks.faces.streams import USUAL_NOISE, still_head

FRAMES = 60
_WARM_UP = 10


def measure(backend: Backend, data: Path, *, count: int) -> Report:
    """Compare smoothing 0 with an average that is reset after each frame; check a still crop.

    Boxes and crops are those of the default smoothing, as faces are read from smoothed labels.
    """
    backend = Remembering(backend)
    differing = frames = 0
    jitters: dict[str, list[float]] = {"face's box, px": [], "crop, px": [], "crop's roll, °": []}
    for seed in range(count):
        scene = still_head(data, seed=seed)
        off = Segmenter(backend=backend, faces=FaceSettings(smoothing=0.0))
        forgetful = Segmenter(backend=backend, faces=FaceSettings(smoothing=1.0))
        usual = Segmenter(backend=backend)
        crops: list[Crop] = []
        _watch_crops(usual, crops)
        boxes: list[Box] = []
        for index in range(FRAMES):
            frame, _ = scene(index)
            labels, expected = off(frame).labels, forgetful(frame).labels
            forgetful._stream.smoothers.clear()
            forgetful._stream.wider_smoothers.clear()
            differing += int(np.count_nonzero(labels != expected))
            frames += 1
            segmentation = usual(frame)
            if index >= _WARM_UP:
                boxes += [face.box for face in segmentation.faces[:1]]
        crops = crops[_WARM_UP:]
        jitters["face's box, px"].append(_jitter([box.centre for box in boxes]))
        jitters["crop, px"].append(_jitter([crop.box.centre for crop in crops]))
        jitters["crop's roll, °"].append(_jitter([(crop.roll_degrees,) for crop in crops]))
    rows: list[list[Cell]] = [
        ["pixels labelled otherwise than without smoothing", f"{differing} in {frames} frames"]
    ]
    rows += [
        [
            f"jitter of the {name} rms",
            f"median {np.median(of):.2f}, mean {np.mean(of):.2f}, worst {max(of):.2f}",
        ]
        for name, of in jitters.items()
    ]
    return Report(
        name="exactness",
        title="Exactness and jitter",
        headings=("what", "measured"),
        rows=rows,
        notes=(
            f"{count} still heads a third of the frame high, noise {USUAL_NOISE:.0f}. Jitter: of "
            "the middle about its mean. Aimed at: 0 pixels; below 0.5 px for the crop.",
        ),
    )


def _watch_crops(segmenter: Segmenter, crops: list[Crop]) -> None:
    """Record the crop of the largest face in every frame."""
    follower = segmenter._stream.follower
    step = follower.step

    def noting(*args: Any, **options: Any) -> tuple[TrackedFace, ...]:
        faces = step(*args, **options)
        crops.extend(face.crop for face in faces[:1])
        return faces

    follower.step = noting  # type: ignore[method-assign]


def _jitter(places: Sequence[tuple[float, ...]]) -> float:
    if len(places) < 2:
        return float("nan")
    points = np.array(places)
    return float(np.sqrt(((points - points.mean(0)) ** 2).sum(1).mean()))
