"""Painted faces and a backend that recognises them, to test geometry without a trained network.

Pictures are painted in the label set's colours, and the backend gives each pixel the class of the
nearest colour. Any error is then due to the geometry around the network.
"""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from rtseg.backends.base import Backend
from rtseg.checkpoint import ModelSpec
from rtseg.errors import BackendError
from rtseg.frames import Frame
from rtseg.labels import HELEN

COLOURS = np.array(HELEN.colours, np.uint8)

# class -> ellipses (x, y, half width, half height), in heights of the head from its middle
PARTS = {
    10: [(0, -0.08, 0.38, 0.42)],
    1: [(0, 0.08, 0.3, 0.42)],
    2: [(-0.13, -0.04, 0.08, 0.025)],
    3: [(0.13, -0.04, 0.08, 0.025)],
    4: [(-0.13, 0.03, 0.06, 0.03)],
    5: [(0.13, 0.03, 0.06, 0.03)],
    6: [(0, 0.14, 0.055, 0.1)],
    7: [(0, 0.28, 0.11, 0.022)],
    8: [(0, 0.305, 0.09, 0.02)],
    9: [(0, 0.335, 0.1, 0.025)],
}


def model(**changes):
    """The specification of the painted network."""
    fields = {
        "architecture": "painted",
        "label_set": HELEN,
        "input_height": 256,
        "input_width": 256,
        "fit": "letterbox",
    }
    return ModelSpec(**(fields | changes))


def paint(labels, x, y, height, *, parts=tuple(PARTS)):
    """Paint a head of a height in pixels around a point of a label map, in place."""
    for part in PARTS:
        if part not in parts:
            continue
        for dx, dy, half_width, half_height in PARTS[part]:
            box = (
                (x + dx * height - 0.5, y + dy * height - 0.5),
                (2 * half_width * height, 2 * half_height * height),
                0,
            )
            cv2.ellipse(labels, box, part, -1)


def scene(height, width, *heads):
    """Make (image, labels) with heads (x, y, height) painted one over the other."""
    labels = np.zeros((height, width), np.uint8)
    for x, y, head_height in heads:
        paint(labels, x, y, head_height)
    return COLOURS[labels], labels


def blurred(probabilities):
    """Probabilities as of a network that is unsure of every cell."""
    return (0.5 * probabilities + 0.5 / probabilities.shape[-1]).astype(np.float32)


def frame(image, index, *, fps=30, **changes):
    return Frame(image=image, index=index, pts=index, time_base=Fraction(1, fps), **changes)


class PaintedBackend(Backend):
    """Reads the classes from the colours, and counts its crops."""

    name = "painted"
    device = "cpu"
    precision = "exact"

    def __init__(self, **changes):
        self.model = model(**changes)
        self.batches = []
        self.is_closed = False

    def infer(self, crops):
        self.check_crops(crops)
        if self.is_closed:
            raise BackendError("closed")
        self.batches.append(len(crops))
        rows = self.model.input_height // self.model.stride
        columns = self.model.input_width // self.model.stride
        out = np.zeros((len(crops), rows, columns, len(COLOURS)), np.float32)
        for probabilities, crop in zip(out, crops, strict=True):
            # averaged colours between two classes must not become a third class: use every other
            # pixel, and take the nearest colour
            apart = np.abs(crop[:, :, None].astype(np.int16) - COLOURS).sum(-1)
            # the grey beyond the edges belongs to no class
            apart[..., 0] = np.minimum(apart[..., 0], np.abs(crop.astype(int) - 114).sum(-1))
            exact = np.eye(len(COLOURS), dtype=np.float32)[apart.argmin(-1)]
            small = [
                cv2.resize(
                    np.ascontiguousarray(exact[..., c]),
                    (columns, rows),
                    interpolation=cv2.INTER_AREA,
                )
                for c in range(len(COLOURS))
            ]
            probabilities[...] = np.dstack(small)
        return out

    def close(self):
        self.is_closed = True


class PaintedOnGpu(PaintedBackend):
    """Claims to run on a GPU, and counts how often it is prepared."""

    device = "cuda:0 (NVIDIA Fake)"

    def __init__(self, **changes):
        super().__init__(**changes)
        self.warm_ups = 0

    def warm_up(self):
        self.warm_ups += 1
