"""Time MediaPipe's face detector and face mesh in a process and an environment of their own.

Run by `tests.benchmarks.accuracy_speed --mediapipe PYTHON` as a script: it needs the wheel
mediapipe 0.10.14 and NumPy, and nothing of this project. Its only argument is a picture, uint8
(height, width, 3) RGB, in a .npy file; it prints the milliseconds per picture as JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import types

import numpy as np

TURNS, WARM_UP = 30, 4


def main() -> None:
    """Time both in alternation; the medians count."""
    # imported by parts of the wheel that are not used
    for missing in ("jax", "jax.numpy", "sounddevice"):
        sys.modules.setdefault(missing, types.ModuleType(missing))
    sys.modules["jax"].numpy = sys.modules["jax.numpy"]  # type: ignore[attr-defined]
    import mediapipe

    picture = np.load(sys.argv[1])
    solutions = mediapipe.solutions
    calls = {
        "MediaPipe face detector": solutions.face_detection.FaceDetection(
            model_selection=0, min_detection_confidence=0.5
        ),
        # its tracking, as for a video: the detector runs once
        "MediaPipe face mesh": solutions.face_mesh.FaceMesh(
            static_image_mode=False, max_num_faces=1, refine_landmarks=True
        ),
    }
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(WARM_UP + TURNS):
        for name, solution in calls.items():
            start = time.perf_counter()
            result = solution.process(picture)
            if turn >= WARM_UP:
                taken[name].append((time.perf_counter() - start) * 1e3)
            detections = result.detections if "detector" in name else result.multi_face_landmarks
            if not detections:
                sys.exit(f"{name} finds no face")
    print(json.dumps({name: statistics.median(times) for name, times in taken.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
