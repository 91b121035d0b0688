"""The cost of a search for faces, and of a still with either finder: `--only searches`."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.photos import composites
from tests.benchmarks.faces.report import Cell, Report

_REPEATS = 60
_MOST = 16  # faces
_SHARE, _PICTURES = 0.12, 60  # of the frame's height; those with several faces count


def network_seconds(backend: Backend) -> float:
    """Median seconds of a network for one picture."""
    model = backend.model
    picture = np.full((1, model.input_height, model.input_width, 3), 96, np.uint8)
    taken = []
    for _ in range(_REPEATS):
        before = time.perf_counter()
        backend.infer(picture)
        taken.append(time.perf_counter() - before)
    return float(np.median(taken[_REPEATS // 4 :]))


def measure(backend: Backend, data: Path, *, count: int) -> Report:
    """Time one search; then measure the processor time of stills with several faces, alternating
    between the finders, so that other work on the machine hardly matters."""
    settings = FaceSettings(max_faces=_MOST)
    network = Segmenter(backend=backend, faces=settings)
    if network.finder_backend is None:
        raise SystemExit("there is no finder network beside this backend")
    parsing = Segmenter(backend=backend, faces=settings, finder="parsing")
    rows: list[list[Cell]] = [
        [
            "one search of the finder network, ms",
            f"{1e3 * network_seconds(network.finder_backend):.2f}",
        ],
        ["one crop of the labelling network, ms", f"{1e3 * network_seconds(backend):.2f}"],
    ]
    stills = [
        (image, truths)
        for image, truths in composites(data, _SHARE, count=_PICTURES)
        if len(truths) >= 3
    ][:count]
    seconds: dict[str, list[float]] = {"network": [], "parsing": []}
    faces: dict[str, int] = {"network": 0, "parsing": 0}
    for image, _ in stills:
        for name, segmenter in (("network", network), ("parsing", parsing)):
            before = time.process_time()
            faces[name] += len(segmenter(image).faces)
            seconds[name].append(time.process_time() - before)
    truth = sum(len(truths) for _, truths in stills)
    for name, taken in seconds.items():
        median = 1e3 * float(np.median(taken))
        rows.append([f"a still by the {name} finder, processor ms", f"{median:.0f}"])
        rows.append([f"… faces found, of {truth}", faces[name]])
    ratio = np.array(seconds["parsing"]) / np.array(seconds["network"])
    rows.append(["times as fast with the network, median", f"{float(np.median(ratio)):.2f}"])
    return Report(
        name="searches",
        title="What finding costs",
        headings=("what", "p50"),
        rows=rows,
        notes=(
            f"{backend.name} {backend.precision}; {len(stills)} stills of 1280x720 with three "
            f"faces or more, {_SHARE:.0%} of the height each, in turns. Aimed at: a search of 2.5 "
            "ms, stills twice as fast.",
        ),
    )
