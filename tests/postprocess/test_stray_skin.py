"""Skin of arms and shoulders, which is none of the face's."""

import cv2
import numpy as np
import pytest

from rtseg.labels import BDD_DRIVABLE, FACE_PARTS, HELEN
from rtseg.postprocess import leading_classes
from rtseg.postprocess.labelled_map import LabelledMap
from rtseg.postprocess.stray_skin import remove_stray_skin
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, paint

SKIN, NECK, HAIR, CLOTHES = FACE_PARTS.skin[0], FACE_PARTS.neck[0], FACE_PARTS.hair[0], 18


def face(size=64):
    """A face of 40 rows; its parts end at row 41 and begin at row 22."""
    labels = np.zeros((size, size), np.uint8)
    paint(labels, 32, 26, 40)
    return labels


def probabilities_of(labels, *, second=0, classes):
    """Certain of the labels, with another class as the second likeliest."""
    likely = np.eye(classes)[labels] * 0.6
    likely[..., second] += 0.2
    return (likely + 0.2 / classes).astype(np.float32)


def cleaned(labels, *, second=0, label_set=FACE_PARTS):
    likely = probabilities_of(labels, second=second, classes=len(label_set))
    leaders = leading_classes(likely)
    before = likely.copy()
    labelled = LabelledMap(likely, leaders=leaders)
    remove_stray_skin(labelled, label_set)
    np.testing.assert_array_equal(likely, before)
    np.testing.assert_array_equal(leaders, labels)
    np.testing.assert_array_equal(leading_classes(labelled.probabilities), labelled.leaders)
    return labelled.leaders


@pytest.mark.parametrize(("second", "becomes"), [(0, 0), (NECK, NECK), (CLOTHES, CLOTHES), (6, 0)])
def test_an_arm_becomes_what_is_likeliest_but_no_part_of_a_face(second, becomes):
    labels = face()
    expected = labels.copy()
    labels[30:60, 54:60], expected[30:60, 54:60] = SKIN, becomes  # it begins beside the nose
    np.testing.assert_array_equal(cleaned(labels, second=second), expected)


def test_skin_that_is_connected_to_the_face_is_the_face_s():
    labels = face()
    labels[40:60, 28:36] = SKIN
    np.testing.assert_array_equal(cleaned(labels), labels)
    # … even by a corner
    labels = np.zeros((64, 64), np.uint8)
    labels[20:40, 20:40] = SKIN
    labels[40:60, 40:46] = SKIN
    labels[30, 28:32] = FACE_PARTS.nose[0]
    np.testing.assert_array_equal(cleaned(labels), labels)


def test_skin_behind_strands_of_hair_is_the_face_s():
    labels = face()
    labels[:60, 38:41] = HAIR  # a cheek beside it, which ends little below the mouth
    labels[20:42, 41:46] = SKIN
    lower = 42 + 3
    assert cv2.connectedComponents((labels == SKIN).astype(np.uint8))[0] >= 3
    np.testing.assert_array_equal(cleaned(labels), labels)
    labels[20:lower, 50:53] = SKIN  # beside the face and no lower
    np.testing.assert_array_equal(cleaned(labels), labels)


def test_without_parts_nothing_is_known():
    labels = np.zeros((64, 64), np.uint8)
    labels[40:, 10:20] = SKIN
    np.testing.assert_array_equal(cleaned(labels), labels)


def test_other_label_sets():
    labels = face()
    labels[50:60, 54:60] = HELEN.skin[0]
    assert not cleaned(labels, label_set=HELEN)[50:60, 54:60].any()
    roads = np.zeros((8, 8), np.uint8)
    np.testing.assert_array_equal(cleaned(roads, label_set=BDD_DRIVABLE), roads)


def test_an_arm_beside_the_face_is_not_labelled():
    labels = np.zeros((480, 640), np.uint8)
    paint(labels, 320, 200, 200)
    truth = labels.copy()
    cv2.rectangle(labels, (410, 230), (430, 330), int(HELEN.skin[0]), -1)
    segmenter = Segmenter(
        backend=PaintedBackend(input_height=256, input_width=256),
        faces=FaceSettings(smoothing=0.0),
    )
    result = segmenter(COLOURS[labels])
    assert len(result.faces) == 1
    assert not result.labels[225:335, 405:435].any()
    assert (result.labels != truth).mean() < 0.01
