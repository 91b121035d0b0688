"""A head with long hair: labels of it, faces that were labelled, frames that show it."""

import cv2
import numpy as np

from rtseg.faces import TrackedFace
from rtseg.labels import HELEN
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, frame, paint

HAIR = HELEN.hair[0]


def long_haired(*, height=480, width=640, x=320, y=120, head=90, reach=430, wide=40):
    """Labels of a head whose hair extends far below it."""
    labels = np.zeros((height, width), np.uint8)
    cv2.rectangle(labels, (x - wide, y), (x + wide, reach), HAIR, -1)
    paint(labels, x, y, head)
    return labels


def hair_overlap(labels, truth):
    both = (labels == HAIR) & (truth == HAIR)
    return both.sum() / max(1, ((labels == HAIR) | (truth == HAIR)).sum())


def face_with(labels, crop, *, side=32, label_set=HELEN):
    """A face whose crop has these labels."""
    x = np.clip((crop.box.left + (np.arange(side) + 0.5) * crop.box.width / side), 0, None)
    y = np.clip((crop.box.top + (np.arange(side) + 0.5) * crop.box.height / side), 0, None)
    columns = np.minimum(x.astype(int), labels.shape[1] - 1)
    rows = np.minimum(y.astype(int), labels.shape[0] - 1)
    shown = np.eye(len(label_set), dtype=np.float32)[labels[np.ix_(rows, columns)]]
    return TrackedFace(
        track_id=1, head=crop.box, face=crop.box, score=1.0, crop=crop, probabilities=shown
    )


class Clip:
    """Frames of a long-haired head; counts the crops of each."""

    def __init__(self, **options):
        self.backend = PaintedBackend(input_height=128, input_width=128)
        faces = FaceSettings(smoothing=0.0, max_faces=1, **options)
        self.segmenter = Segmenter(backend=self.backend, faces=faces)
        self.count = 0

    def show(self, labels, *, least=0.9):
        self.backend.batches.clear()
        result = self.segmenter(frame(COLOURS[labels], self.count))
        self.count += 1
        assert hair_overlap(result.labels, labels) > least
        return sum(self.backend.batches)
