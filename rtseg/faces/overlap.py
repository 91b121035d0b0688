"""Decide whether two boxes enclose the same face."""

from __future__ import annotations

from collections.abc import Iterable

from rtseg.faces.base import FaceDetection
from rtseg.frames import Box

_SAME = 0.35  # boxes that overlap more than this are the same face
_INSIDE = 0.6  # so are boxes if this share of the smaller one is inside the larger one


def is_one_of(face: Box, others: Iterable[Box]) -> bool:
    """Whether a face (without its hair) is one of the others, or part of one."""
    return any(is_same(face, other) for other in others)


def is_same(first: Box, second: Box) -> bool:
    """Whether two boxes enclose the same face: they overlap, or one contains the other."""
    return first.overlap(second) > _SAME or shared_part(first, second) > _INSIDE


def is_part(labelled: Box, seen: Box) -> bool:
    """Whether the labels of a face show hardly what a finder sees of it."""
    return seen.overlap(labelled) < _SAME


def shared_part(first: Box, second: Box) -> float:
    """The share of the smaller box that is inside the larger one, 0..1."""
    width = min(first.right, second.right) - max(first.left, second.left)
    height = min(first.bottom, second.bottom) - max(first.top, second.top)
    return max(0.0, width) * max(0.0, height) / min(first.area, second.area)


def distinct(detections: Iterable[FaceDetection]) -> list[FaceDetection]:
    """Keep only the detection with the highest score for each face, by falling score."""
    distinct_detections: list[FaceDetection] = []
    for face in sorted(detections, key=lambda detection: -detection.score):
        if not is_one_of(face.box, [other.box for other in distinct_detections]):
            distinct_detections.append(face)
    return distinct_detections
