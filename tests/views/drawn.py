"""A drawn head with known labels on a textured background."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from rtseg.frames import Box, Face, Frame, Segmentation
from rtseg.labels import HELEN

PARTS = (  # id, centre and half axes as fractions of the head's height
    (10, (0.0, 0.0), (0.42, 0.5)),
    (1, (0.0, 0.1), (0.3, 0.38)),
    (2, (-0.13, -0.06), (0.09, 0.025)),
    (3, (0.13, -0.06), (0.09, 0.025)),
    (4, (-0.13, 0.03), (0.07, 0.035)),
    (5, (0.13, 0.03), (0.07, 0.035)),
    (6, (0.0, 0.14), (0.05, 0.09)),
    (7, (0.0, 0.28), (0.12, 0.03)),
    (9, (0.0, 0.34), (0.11, 0.03)),
    (8, (0.0, 0.31), (0.09, 0.018)),
)


def draw_head(labels, x, y, height):
    """Paint a head into a label map, centred at (x, y)."""
    for label_id, (dx, dy), (a, b) in PARTS:
        box = ((x + dx * height, y + dy * height), (2 * a * height, 2 * b * height), 0)
        cv2.ellipse(labels, box, label_id, -1)


def texture(width, height):
    """A background with detail at every scale, so that any wrong or unchanged pixel is visible."""
    rng = np.random.default_rng(5)
    image = np.zeros((height, width, 3), np.float32)
    for pitch in (1, 4, 16, 64):
        coarse = rng.uniform(0, 255, (height // pitch + 2, width // pitch + 2, 3))
        image += cv2.resize(coarse.astype(np.float32), (width, height)) / 4
    return image.clip(0, 255).astype(np.uint8)


def scene(width=640, height=360, heads=((0.5, 0.5, 0.6),), *, with_faces=True, label_set=HELEN):
    """A frame and its segmentation; a head is (x, y, height) in fractions of the frame's height."""
    labels = np.zeros((height, width), np.uint8)
    faces = []
    for x, y, size in heads:
        alone = np.zeros_like(labels)
        draw_head(alone, x * width, y * height, size * height)
        labels[alone > 0] = alone[alone > 0]
        left, top, box_width, box_height = cv2.boundingRect(alone)
        box = Box(left=left, top=top, right=left + box_width, bottom=top + box_height)
        faces.append(Face(box=box, track_id=len(faces) + 1, score=0.9))
    frame = Frame(image=texture(width, height), index=0, pts=0, time_base=Fraction(1, 30))
    segmentation = Segmentation(
        labels=labels, label_set=label_set, faces=tuple(faces) if with_faces else ()
    )
    return frame, segmentation


def inside(segmentation, label_id, *, by=4):
    """Pixels of a class that are at least this many pixels from its edge."""
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return cv2.erode((segmentation.labels == label_id).astype(np.uint8), kernel) > 0


def around(segmentation, *, by):
    """Pixels within this distance of anything labelled."""
    kernel = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return cv2.dilate((segmentation.labels > 0).astype(np.uint8), kernel) > 0
