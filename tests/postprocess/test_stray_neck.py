"""Patches of neck apart from the neck."""

import numpy as np
import pytest

from rtseg.labels import FACE_PARTS, HELEN
from rtseg.postprocess import leading_classes
from rtseg.postprocess.labelled_map import LabelledMap
from rtseg.postprocess.stray_neck import remove_stray_neck

SKIN, NECK, CLOTHES = FACE_PARTS.skin[0], FACE_PARTS.neck[0], FACE_PARTS.clothes[0]


def person():
    labels = np.zeros((64, 64), np.uint8)
    labels[40:] = CLOTHES
    labels[10:40, 20:44] = SKIN
    labels[36:50, 26:38] = NECK
    return labels


def cleaned(labels, *, second=0, label_set=FACE_PARTS):
    likely = np.eye(len(label_set))[labels] * 0.6
    likely[..., second] += 0.2
    likely = (likely + 0.01).astype(np.float32)
    leaders = leading_classes(likely)
    before = likely.copy()
    labelled = LabelledMap(likely, leaders=leaders)
    remove_stray_neck(labelled, label_set)
    np.testing.assert_array_equal(likely, before)
    np.testing.assert_array_equal(leaders, labels)
    np.testing.assert_array_equal(leading_classes(labelled.probabilities), labelled.leaders)
    return labelled.leaders


@pytest.mark.parametrize(("second", "becomes"), [(0, 0), (CLOTHES, CLOTHES), (SKIN, 0)])
def test_a_patch_on_a_collar_is_none_of_the_neck(second, becomes):
    labels = person()
    expected = labels.copy()
    labels[46:50, 44:52], expected[46:50, 44:52] = NECK, becomes
    np.testing.assert_array_equal(cleaned(labels, second=second), expected)


def test_the_neck_itself_stays_with_nothing_but_clothes_around_it():
    labels = person()
    labels[labels == SKIN] = 0
    labels[46:50, 44:52] = NECK
    now = cleaned(labels)
    assert (now[36:50, 26:38] == NECK).all()
    assert not (now[46:50, 44:52] == NECK).any()


def test_a_neck_behind_strands_of_hair_stays_whole():
    labels = person()
    labels[36:50, 30:32] = FACE_PARTS.hair[0]
    np.testing.assert_array_equal(cleaned(labels), labels)


def test_a_label_set_without_neck_has_no_patches():
    labels = np.zeros((16, 16), np.uint8)
    labels[4:8] = HELEN.skin[0]
    np.testing.assert_array_equal(cleaned(labels, label_set=HELEN), labels)
