"""Painted pictures in which faces are followed, and the finders that they are followed with."""

import cv2
import numpy as np

from rtseg.faces import FaceFollower
from rtseg.faces.base import FaceDetection
from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.faces.schedule import Schedule
from rtseg.frames import Box
from rtseg.geometry.crop import cut
from rtseg.labels import HELEN
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, scene

FPS = 30


class Stage:
    """Follows faces in painted pictures, frame after frame."""

    def __init__(
        self,
        *,
        height=360,
        width=640,
        input_side=128,
        stride=4,
        finder=None,
        fine=True,
        **options,
    ):
        self.size = height, width
        self.input_shape = (input_side, input_side, 3)
        self.backend = PaintedBackend(
            input_height=input_side, input_width=input_side, stride=stride
        )
        settings = FaceSettings(**options)
        self.follower = FaceFollower(
            HELEN,
            settings,
            finder=finder or ParsingFinder(HELEN, aspect=1.0),
            schedule=Schedule(every=settings.detect_every, aspect=1.0, stretch=False, fine=fine),
        )
        self.index = 0

    def infer_crops(self, crops):
        pictures = np.zeros((len(crops), *self.input_shape), np.uint8)
        for picture, crop in zip(pictures, crops, strict=True):
            cut(self.image, crop, out=picture)
        return list(self.backend.infer(pictures)) if crops else []

    def show(self, *heads, image=None):
        self.image = scene(*self.size, *heads)[0] if image is None else image
        self.backend.batches.clear()
        faces = self.follower.step(self.image, self.infer_crops, seconds=self.index / FPS)
        self.index += 1
        return faces

    def show_still(self, *heads):
        self.image = scene(*self.size, *heads)[0]
        return self.follower.step(self.image, self.infer_crops, seconds=0.0, exhaustive=True)

    @property
    def crop_count(self):
        """The number of crops processed for the last frame."""
        return sum(self.backend.batches)


def at(face):
    x, y = face.head.centre
    return round(x), round(y)


def ids(faces):
    return {face.track_id for face in faces}


def tilted(x, y, height, degrees, *, size=(360, 640)):
    """Make (image, labels) with one head, rotated clockwise about its centre."""
    labels = scene(*size, (x, y, height))[1]
    matrix = cv2.getRotationMatrix2D((x - 0.5, y - 0.5), -degrees, 1)
    labels = cv2.warpAffine(labels, matrix, size[::-1], flags=cv2.INTER_NEAREST)
    return COLOURS[labels], labels


class Suggests:
    """A finder that returns the same detections for every picture."""

    def __init__(self, *detections):
        self.found = list(detections)

    def __call__(self, picture, infer, *, regions, known=()):
        return self.found

    def reset(self):
        pass


def seen_at(x, y, score):
    return FaceDetection(box=Box(left=x - 45, top=y - 50, right=x + 45, bottom=y + 75), score=score)
