"""When two boxes count as the same face."""

from __future__ import annotations

import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.overlap import distinct, is_one_of, is_same
from rtseg.frames import Box

FACE = Box(left=100, top=100, right=200, bottom=200)


def box(left: float, top: float, right: float, bottom: float) -> Box:
    return Box(left=left, top=top, right=right, bottom=bottom)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (FACE, True),
        (box(140, 100, 240, 200), True),  # three sevenths of both
        (box(150, 100, 250, 200), False),  # a third of both
        (box(110, 110, 140, 140), True),  # a part of it
        (box(185, 100, 225, 140), False),  # three eighths of the smaller one
        (box(175, 100, 215, 140), True),  # five eighths of it
        (box(100, 215, 200, 315), False),
        (box(215, 215, 315, 315), False),  # apart on both axes
        (box(100, 90, 120, 130), True),  # three quarters of it, over the top edge
    ],
)
def test_boxes_that_overlap_or_contain_each_other_are_the_same_face(other: Box, same: bool) -> None:
    assert is_same(FACE, other) is same
    assert is_same(other, FACE) is same
    assert is_one_of(other, [box(900, 900, 910, 910), FACE]) is same


def test_the_best_detection_of_each_face_is_kept_in_order() -> None:
    detections = [
        FaceDetection(box=FACE, score=0.5),
        FaceDetection(box=box(400, 100, 500, 200), score=0.6),
        FaceDetection(box=box(110, 100, 210, 200), score=0.9),
    ]
    assert [detection.score for detection in distinct(detections)] == [0.9, 0.6]
