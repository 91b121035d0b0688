"""Conversion of each data set's ids to the shipped model's classes."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.labels import CELEBAMASK, FACE_PARTS, HELEN
from tests.training.conftest import draw_face
from training.augment.transforms import flip_table
from training.data.base import Sample
from training.data.face_targets import (
    FLIPPED_SETS,
    SETS,
    from_celebamask,
    from_fasseg,
    from_figaro,
    from_helen,
    from_masked,
)
from training.data.fasseg import HELEN_SETS
from training.evaluation.metrics import confusion_matrix, f1_of, without_sets
from training.losses.functions import FIRST_SET

ID = {name: index for index, name in enumerate(FACE_PARTS.names)}


def ids_of(*values: int) -> Sample:
    labels = np.array([values], np.uint8)
    return Sample(name="a", image=np.zeros((1, len(values), 3), np.uint8), labels=labels)


def allowed(value: int) -> set[str]:
    ids = SETS[value - FIRST_SET] if value >= FIRST_SET else (value,)
    return {FACE_PARTS.names[index] for index in ids}


def test_the_first_eleven_classes_are_helens() -> None:
    assert FACE_PARTS.names[:11] == HELEN.names
    for name in ("brows", "eyes", "lips", "mouth", "parts"):
        assert FACE_PARTS.groups[name] == HELEN.groups[name]
    assert set(FACE_PARTS.select(["face"])) == {*HELEN.face, ID["glasses"]}


def test_celebamasks_left_is_the_viewers_right() -> None:
    converted = from_celebamask(ids_of(*range(19))).labels[0]
    for before, after in enumerate(converted):
        name = CELEBAMASK.names[before]
        side, _, part = name.partition("-")
        expected = {"left": f"right-{part}", "right": f"left-{part}", "cloth": "clothes"}
        assert FACE_PARTS.names[after] == expected.get(side, name)
    assert len(set(converted.tolist())) == 19


def test_helens_background_may_be_an_unlabelled_class() -> None:
    bare = from_helen(ids_of(*range(11)), glasses=False).labels[0]
    assert allowed(int(bare[0])) == {
        *("background", "left-ear", "right-ear", "hat"),
        *("earring", "necklace", "neck", "clothes"),
    }
    np.testing.assert_array_equal(bare[1:], range(1, 11))
    worn = from_helen(ids_of(*range(11)), glasses=True).labels[0]
    for index in (1, 2, 3, 4, 5):
        assert allowed(int(worn[index])) == {HELEN.names[index], "glasses"}
    np.testing.assert_array_equal(worn[7:10], (7, 8, 9))


def test_a_medical_mask_is_not_part_of_the_face() -> None:
    other, face, mask = (allowed(int(v)) for v in from_masked(ids_of(0, 1, 2)).labels[0])
    assert not mask & {"skin", "nose", "upper-lip", "lower-lip", "inner-mouth"}
    assert {"skin", "left-eye", "glasses"} <= face
    assert "skin" not in other
    rest, hair = (allowed(int(v)) for v in from_figaro(ids_of(0, 1)).labels[0])
    assert hair == {"hair"}
    assert rest == set(FACE_PARTS.names) - hair


def test_fassegs_skin_may_be_ear_or_neck() -> None:
    values = from_fasseg(ids_of(0, *(FIRST_SET + k for k in range(len(HELEN_SETS)))), HELEN_SETS)
    background, skin, *_ = (allowed(int(v)) for v in values.labels[0])
    assert {"background", "clothes"} <= background
    assert {"skin", "left-ear", "neck"} <= skin
    assert "background" not in skin


def test_a_flip_swaps_the_sides_of_sets_too() -> None:
    table = flip_table(FACE_PARTS, sets=FLIPPED_SETS)
    mirror = {"left": "right", "right": "left"}
    for place in range(len(SETS)):
        before, after = allowed(FIRST_SET + place), allowed(int(table[FIRST_SET + place]))
        swapped = set()
        for name in before:
            side, _, part = name.partition("-")
            swapped.add(f"{mirror[side]}-{part}" if side in mirror else name)
        assert after == swapped
    np.testing.assert_array_equal(table[table], np.arange(256))


def test_any_class_of_a_set_counts_as_correct() -> None:
    truth = from_helen(ids_of(0, 0, 1, 4, 10), glasses=True).labels
    predicted = np.array(
        [[ID["neck"], ID["skin"], ID["glasses"], ID["left-brow"], ID["hair"]]], np.uint8
    )
    single, counted = without_sets(truth, predicted, sets=SETS)
    np.testing.assert_array_equal(single[0], (0, 0, 1, 4, 10))
    np.testing.assert_array_equal(counted[0], (0, ID["skin"], 1, ID["left-brow"], 10))
    matrix = confusion_matrix(single, counted, classes=len(FACE_PARTS))
    assert f1_of(matrix, [10]) == 1
    assert f1_of(matrix, [1]) == pytest.approx(2 / 3)


def test_a_head_whose_skin_may_be_glasses_is_found_whole() -> None:
    from training.augment.heads import head_of

    image, labels = draw_face()
    sample = from_helen(Sample(name="a", image=image, labels=labels), glasses=True)
    head = head_of(sample, FACE_PARTS)
    plain = head_of(Sample(name="a", image=image, labels=labels), HELEN)
    assert head is not None
    assert plain is not None
    assert (head.top, head.bottom, head.left) == (plain.top, plain.bottom, plain.left)
