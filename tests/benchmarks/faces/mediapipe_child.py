"""MediaPipe's face detectors in a process and an environment of their own.

Run by `tests.benchmarks.faces.detectors` as a script: it needs the wheel mediapipe 0.10.14 and
NumPy, and nothing of this project. Reads pictures from standard input (height and width as
int32, then RGB bytes) and answers each with a line of JSON: [[left, top, right, bottom], …].
"""

from __future__ import annotations

import json
import sys
import types

import numpy as np


def main() -> None:
    """Answer pictures until standard input ends. Arguments: short|full, and the least score."""
    # imported by parts of the wheel that are not used here
    for missing in ("jax", "jax.numpy", "sounddevice"):
        sys.modules.setdefault(missing, types.ModuleType(missing))
    sys.modules["jax"].numpy = sys.modules["jax.numpy"]  # type: ignore[attr-defined]
    import mediapipe

    solution = mediapipe.solutions.face_detection.FaceDetection(
        model_selection=0 if sys.argv[1] == "short" else 1,
        min_detection_confidence=float(sys.argv[2]),
    )
    while True:
        size = sys.stdin.buffer.read(8)
        if len(size) < 8:
            return
        height, width = (int(side) for side in np.frombuffer(size, np.int32))
        pixels = sys.stdin.buffer.read(height * width * 3)
        image = np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        boxes = []
        for detection in solution.process(image).detections or []:
            part = detection.location_data.relative_bounding_box
            left, top = part.xmin * width, part.ymin * height
            boxes.append([left, top, left + part.width * width, top + part.height * height])
        sys.stdout.write(json.dumps(boxes) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
