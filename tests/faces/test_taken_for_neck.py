"""A face that a finder sees and that is labelled as neck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import CandidateExaminer
from rtseg.faces.taken_for_neck import taken_for_neck
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from rtseg.labels import FACE_PARTS, HELEN

FACE = box_around(300, 300, 80, 100)
CROP = Crop(box=box_around(300, 300, 200, 200))
SEEN = FaceDetection(box=FACE, score=0.95, head=box_around(300, 285, 110, 150), roll_degrees=0.0)


def labels(name: str, *, rest: str = "background", inside: Box = FACE) -> np.ndarray:
    """The map of a crop in which a box has one class."""
    probabilities = np.zeros((64, 64, len(FACE_PARTS)), np.float32)
    shown = probabilities[..., FACE_PARTS.names.index(name)]
    centres = 200 + (np.arange(64) + 0.5) * 200 / 64
    across = (centres > inside.left) & (centres < inside.right)
    down = (centres > inside.top) & (centres < inside.bottom)
    shown[np.ix_(down, across)] = 1
    probabilities[..., FACE_PARTS.names.index(rest)] += 1 - shown
    return probabilities


def test_what_a_finder_sees_and_labels_call_neck_is_a_face_without_labels() -> None:
    face = taken_for_neck(labels("neck"), CROP, SEEN, FACE_PARTS)
    assert face is not None
    assert (face.face, face.head) == (SEEN.box, SEEN.head)
    assert not face.cells.any()
    assert face.score == 0


@pytest.mark.parametrize("name", ["background", "hair", "clothes", "hat"])
def test_what_labels_call_anything_else_is_none(name: str) -> None:
    assert taken_for_neck(labels(name), CROP, SEEN, FACE_PARTS) is None


@pytest.mark.parametrize(("reaches", "is_face"), [(0.4, False), (0.47, True)])
def test_hair_and_ground_may_be_a_little_more_than_half_of_it(
    reaches: float, is_face: bool
) -> None:
    # bare skin in the lower part of the ellipse
    below = replace(FACE, top=FACE.bottom - reaches * FACE.height)
    found = taken_for_neck(labels("neck", inside=below), CROP, SEEN, FACE_PARTS)
    assert (found is not None) is is_face


def test_a_neck_beside_it_or_in_a_small_part_of_it_does_not_count() -> None:
    beside = box_around(350, 300, 40, 100)
    assert taken_for_neck(labels("neck", inside=beside), CROP, SEEN, FACE_PARTS) is None
    below = replace(FACE, top=320.0)
    assert taken_for_neck(labels("neck", inside=below), CROP, SEEN, FACE_PARTS) is None


def test_small_places_and_label_sets_without_necks_have_no_such_faces() -> None:
    small = replace(SEEN, box=box_around(300, 300, 30, 38))
    assert taken_for_neck(labels("neck"), CROP, small, FACE_PARTS) is None
    skin = np.zeros((64, 64, len(HELEN)), np.float32)
    skin[..., HELEN.skin[0]] = 1
    assert taken_for_neck(skin, CROP, SEEN, HELEN) is None


def test_a_crop_that_is_rotated_like_the_face_is_read_where_the_face_is_in_it() -> None:
    turned = replace(CROP, roll_degrees=90.0)
    aside = replace(SEEN, box=box_around(300, 340, 80, 40))  # 40 pixels to the right in the crop
    shown = labels("neck", inside=box_around(340, 300, 80, 40))
    assert taken_for_neck(shown, turned, aside, FACE_PARTS) is not None
    assert taken_for_neck(shown, CROP, aside, FACE_PARTS) is None


@pytest.mark.parametrize(("score", "is_face"), [(0.97, True), (0.85, False)])
def test_at_one_look_the_finder_must_be_certain(score: float, is_face: bool) -> None:
    examine = CandidateExaminer(FACE_PARTS, aspect=1.0)
    whole = Box(left=0, top=0, right=600, bottom=600)

    def infer(crops: list[Crop]) -> list[np.ndarray]:
        return [labels("neck", inside=whole) for _ in crops]

    (candidate,) = examine([replace(SEEN, score=score)], infer)
    assert candidate is not None
    assert candidate.is_hardly_labelled
    assert (candidate.detection.score >= 0.5) is is_face
