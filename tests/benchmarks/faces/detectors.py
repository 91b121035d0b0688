"""Face detectors for photos, this project's and MediaPipe's two, with a common interface.

MediaPipe is not a dependency. Its wheel 0.10.14 contains both detectors' models; install it into a
separate environment (`pip install --no-deps mediapipe==0.10.14`, then numpy<2, protobuf<5,
absl-py, attrs, flatbuffers, opencv-python-headless and matplotlib) and name that environment's
interpreter with `--mediapipe-python`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.frames import Box, Image

Detector = Callable[[Image], list[Box]]
"""RGB uint8 (height, width, 3) -> the faces' boxes, pixels."""

NAMES = ("segmenter", "parsing", "network", "mediapipe-short", "mediapipe-full")
"""`segmenter` is what users get, `parsing` the same without a finder network, `network` the
finder's boxes alone, from every tile."""

MOST_FACES = 64


def detector(
    name: str,
    *,
    threads: int,
    min_score: float,
    finder: Path | None,
    model: str | None = None,
    python: str = "",
) -> Detector:
    """Make a detector by its name.

    Args:
        name: one of `NAMES`.
        threads: processor threads.
        min_score: the least score of a face.
        finder: a finder's checkpoint; the shipped one if not given.
        model: a labelling model's file; the shipped one if not given.
        python: the interpreter that has MediaPipe.
    """
    if name.startswith("mediapipe"):
        return _mediapipe(short=name.endswith("short"), min_score=min_score, python=python)
    return _ours(name, threads=threads, min_score=min_score, finder=finder, model=model)


def _ours(
    name: str, *, threads: int, min_score: float, finder: Path | None, model: str | None
) -> Detector:
    from rtseg import Segmenter
    from rtseg.backends import open_backend
    from rtseg.settings import FaceSettings

    backend = open_backend("openvino", model=model, threads=threads)
    settings = FaceSettings(max_faces=MOST_FACES, min_score=min_score)
    choice: Any = "parsing" if name == "parsing" else finder or "auto"
    segmenter = Segmenter(backend=backend, faces=settings, finder=choice)

    def segmented(image: Image) -> list[Box]:
        return [face.face_box for face in segmenter(image).faces]

    if name != "network":
        return segmented
    if segmenter.finder_backend is None:
        raise SystemExit("there is no finder network; give one with --finder")

    return _network_alone(segmenter.finder_backend, min_score=min_score)


def _network_alone(backend: Any, *, min_score: float) -> Detector:
    """Use the finder network's own boxes, without the labels."""
    from rtseg.faces.finder import NetworkFinder
    from rtseg.faces.schedule import Schedule
    from rtseg.geometry.crop import cut

    described = backend.model
    size = described.input_height, described.input_width
    finder = NetworkFinder(min_score=min_score)
    schedule = Schedule(every=1, aspect=size[1] / size[0], stretch=False, fine=False)

    def find_boxes(image: Image) -> list[Box]:
        def infer(crops: Any) -> Any:
            pictures = np.empty((len(crops), *size, 3), np.uint8)
            for picture, crop in zip(pictures, crops, strict=True):
                cut(image, crop, out=picture)
            return list(backend.infer(pictures))

        regions = schedule.exhaustive(*image.shape[:2])
        return [face.box for face in finder(image, infer, regions=regions)]

    return find_boxes


def _mediapipe(*, short: bool, min_score: float, python: str) -> Detector:
    """Run MediaPipe's detector in a child process, which ends when its input is closed."""
    script = Path(__file__).with_name("mediapipe_child.py")
    child = subprocess.Popen(
        [python, str(script), "short" if short else "full", str(min_score)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )

    def find_boxes(image: Image) -> list[Box]:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(np.array(image.shape[:2], np.int32).tobytes())
        child.stdin.write(np.ascontiguousarray(image).tobytes())
        child.stdin.flush()
        answer = child.stdout.readline()
        if not answer:
            raise SystemExit(f"{python} {script} ended; has it mediapipe 0.10.14?")
        return [
            Box(left=left, top=top, right=right, bottom=bottom)
            for left, top, right, bottom in json.loads(answer)
            if right > left and bottom > top
        ]

    return find_boxes
