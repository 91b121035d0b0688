"""The cost of finding, following and smoothing faces, without the network's own time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.frames import Frame
from rtseg.settings import FaceSettings
from rtseg.timing import StageTimes
from tests.benchmarks.faces.metered import Metered
from tests.benchmarks.faces.report import Cell, Report
from tests.benchmarks.faces.streams import HEIGHT, WIDTH, Actor, Scene, background, sprite

FRAMES = 48
_WARM_UP = 12
HEIGHTS = {1: 1 / 3, 2: 1 / 3, 3: 0.3, 4: 0.25}
"""Heights of the heads as shares of the frame's height, by their number."""
_NOISE = 3.0


@dataclass(eq=False)
class Costs:
    """Milliseconds per frame of one run; in `usual` frames only followed faces are processed."""

    prepare: list[float] = field(default_factory=list)
    finish: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    usual: list[float] = field(default_factory=list)
    network: list[float] = field(default_factory=list)
    coarse: list[float] = field(default_factory=list)
    coarse_network: list[float] = field(default_factory=list)
    crops: list[int] = field(default_factory=list)


def crowd(data: Path, *, faces: int, seed: int) -> Scene:
    """Heads side by side, drifting slowly."""
    height = HEIGHTS[faces] * HEIGHT
    step = WIDTH / faces
    actors = tuple(
        Actor(
            sprite=sprite(data, height=height, seed=100 * seed + i),
            start=(round(step * (i + 0.5)), HEIGHT // 2 - 30 + 60 * (i % 2)),
            velocity=(0 if i % 2 else 1, 1 if i % 2 else 0),
        )
        for i in range(faces)
    )
    return Scene(background=background(data, seed=seed), actors=actors, noise=_NOISE, seed=seed)


def run(backend: Backend, frames: Sequence[Frame], *, faces: int, smoothing: float) -> Costs | None:
    """Run once over a stream; None if not all of its faces are followed."""
    times, meter = StageTimes(), Metered(backend)
    segmenter = Segmenter(backend=meter, times=times, faces=FaceSettings(smoothing=smoothing))
    costs = Costs()
    complete = 0
    for index, frame in enumerate(frames):
        meter.restart()
        times.clear()
        before = time.perf_counter()
        face_count = len(segmenter(frame).faces)
        taken = 1e3 * (time.perf_counter() - before)
        if index < _WARM_UP:
            continue
        complete += face_count == faces
        network = 1e3 * meter.seconds
        if meter.crops > face_count:
            costs.coarse.append(taken)
            costs.coarse_network.append(network)
            costs.crops.append(meter.crops - face_count)
        elif face_count == faces:
            prepare, finish = (times.percentiles(stage).p50 for stage in ("prepare", "finish"))
            costs.prepare.append(prepare)
            costs.finish.append(finish)
            costs.other.append(taken - network - prepare - finish)
            costs.usual.append(taken - network)
            costs.network.append(network)
    return costs if complete >= 0.9 * (FRAMES - _WARM_UP) else None


def _least(runs: list[Costs], name: str) -> float:
    """The smallest of the runs' medians, as on an undisturbed machine."""
    return min(float(np.median(getattr(costs, name))) for costs in runs)


def row(backend: Backend, data: Path, *, faces: int, repeats: int) -> list[Cell] | None:
    """Format one line of the table."""
    for seed in range(12):
        scene = crowd(data, faces=faces, seed=seed)
        frames = [scene(index)[0] for index in range(FRAMES)]
        if run(backend, frames, faces=faces, smoothing=0.0) is not None:
            break
    else:
        return None
    steadied: list[Costs] = []
    raw: list[Costs] = []
    default = FaceSettings()
    for _ in range(repeats):  # alternating, so that load on the machine affects all
        for runs, smoothing in ((steadied, default.smoothing), (raw, 0.0)):
            costs = run(backend, frames, faces=faces, smoothing=smoothing)
            if costs is not None and costs.usual:
                runs.append(costs)
    if not steadied or not raw:
        return None
    prepare, labels = _least(raw, "prepare"), _least(raw, "finish")
    # faces are followed in smoothed labels
    smoothing = _least(steadied, "prepare") - prepare + _least(steadied, "finish") - labels
    beyond = _least(steadied, "usual")
    cells: list[Cell] = [
        faces,
        f"{prepare:.2f}",
        f"{max(0.0, smoothing):.2f}",
        f"{labels:.2f}",
        f"{_least(steadied, 'other'):.2f}",
        f"{beyond:.2f}",
        f"{_least(steadied, 'network'):.2f}",
    ]
    with_coarse = [costs for costs in steadied if costs.coarse]
    if not with_coarse:
        return [*cells, "–", "–"]
    extra_network = _least(with_coarse, "coarse_network") - _least(steadied, "network")
    extra = _least(with_coarse, "coarse") - beyond - _least(steadied, "network")
    per_frame = 1 / default.detect_every
    return [*cells, f"{extra * per_frame:.2f}", f"{(extra - extra_network) * per_frame:.2f}"]


def measure(backend: Backend, data: Path, *, count: int) -> list[Report]:
    """Measure one to four faces."""
    repeats = max(3, count // 4)
    rows = [row(backend, data, faces=faces, repeats=repeats) for faces in HEIGHTS]
    return [
        Report(
            name="cost",
            title="Cost beyond the network, ms a 720p frame",
            headings=(
                "faces",
                "crop and follow",
                "smoothing",
                "labels at frame size",
                "the rest (cuts)",
                "sum beyond the network",
                "network",
                "coarse pass a frame",
                "… beyond the network",
            ),
            rows=[figures_row for figures_row in rows if figures_row is not None],
            notes=(
                f"{backend.name} {backend.precision}; p50 over a stream of {FRAMES - _WARM_UP} "
                f"frames, the least of {repeats} runs a column. Heads: a third of the frame high; "
                "30% and 25% for three and four. The coarse pass, its network time included, "
                f"spread over the {FaceSettings().detect_every} frames between two; there is none "
                "where as many faces are followed as there may be. Aimed at for one face: a sum of "
                "3 ms, a coarse pass of 1 ms.",
            ),
        )
    ]
