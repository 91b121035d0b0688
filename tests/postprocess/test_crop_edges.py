"""A neck, and hair, where the crop around a face ends."""

import numpy as np
import pytest

from rtseg.geometry.crop import Crop, crop_around
from rtseg.labels import FACE_PARTS, HELEN
from rtseg.postprocess import crop_edges, leading_classes
from rtseg.postprocess.labelled_map import LabelledMap

SIZE, CELLS = 240, 48
SKIN, HAIR, NECK, CLOTHES = FACE_PARTS.skin[0], FACE_PARTS.hair[0], FACE_PARTS.neck[0], 18
FACE_CROP = crop_around(120, 80, 96, 1.0)  # rows and columns 32 to 128 and 72 to 168
WIDE_CROP = crop_around(120, 100, 192, 1.0)


def person(*, neck_to, neck=NECK, half_width=20):
    """A face above a neck that ends in clothes."""
    labels = np.zeros((SIZE, SIZE), np.uint8)
    labels[100:, 30:210] = CLOTHES
    labels[90:neck_to, 120 - half_width : 120 + half_width] = neck
    labels[50:100, 95:145] = SKIN
    return labels


def shown(labels, crop, *, certainty=0.9):
    """Probabilities of a crop that shows these labels, float32 (cells, cells, classes)."""
    x, y = np.meshgrid((np.arange(CELLS) + 0.5) / CELLS, (np.arange(CELLS) + 0.5) / CELLS)
    box = crop.box
    x, y = crop.to_frame(box.left + x * box.width, box.top + y * box.height)
    there = labels[
        np.clip(np.floor(y).astype(int), 0, SIZE - 1), np.clip(np.floor(x).astype(int), 0, SIZE - 1)
    ]
    rest = (1 - certainty) / len(FACE_PARTS)
    return (certainty * np.eye(len(FACE_PARTS))[there] + rest).astype(np.float32)


def settle(tight, wide, *, crop=FACE_CROP, wide_crop=WIDE_CROP, label_set=FACE_PARTS, **changes):
    size = {"height": SIZE, "width": SIZE} | changes
    before = tight.copy()
    labelled = LabelledMap(tight)
    crop_edges.settle(labelled, crop, label_set, wide=wide, wide_crop=wide_crop, **size)
    np.testing.assert_array_equal(tight, before)
    np.testing.assert_array_equal(leading_classes(labelled.probabilities), labelled.leaders)
    return labelled.leaders


@pytest.mark.parametrize("roll", [0.0, 30.0])
def test_a_neck_that_only_the_closer_crop_sees_does_not_end_at_its_edge(roll):
    crop, wide_crop = (
        Crop(box=c.box, roll_degrees=roll) for c in (crop_around(120, 90, 96, 1.0), WIDE_CROP)
    )
    truth = person(neck_to=116)
    tight, wide = shown(person(neck_to=SIZE), crop), shown(truth, wide_crop)
    labels = settle(tight, wide, crop=crop, wide_crop=wide_crop)
    expected = leading_classes(shown(truth, crop))
    # the wider crop's cells are twice as large
    assert (labels != expected).mean() < 0.02
    assert (leading_classes(tight) != expected).mean() > 0.05


def test_a_neck_that_both_crops_see_is_left_alone():
    labels = person(neck_to=SIZE)
    tight = shown(labels, FACE_CROP)
    assert (settle(tight, shown(labels, WIDE_CROP)) == leading_classes(tight)).all()


def test_borders_that_lie_a_little_differently_are_left_to_the_closer_crop():
    tight = shown(person(neck_to=SIZE, half_width=20), FACE_CROP)
    wide = shown(person(neck_to=SIZE, half_width=17), WIDE_CROP)
    assert (settle(tight, wide) == leading_classes(tight)).all()


def test_a_strip_along_the_edge_is_left_to_the_closer_crop():
    """Also where the strip is all the neck there is, so that nothing else is examined."""
    tight = shown(person(neck_to=104), FACE_CROP)
    wide = shown(person(neck_to=104), WIDE_CROP)
    for rows, is_strip in ((1, True), (6, False)):
        low = tight.copy()
        low[low.argmax(2) == NECK] = np.eye(len(FACE_PARTS))[SKIN]
        low[-rows:, 20:40] = np.eye(len(FACE_PARTS))[NECK]
        assert (settle(low, wide) == leading_classes(low)).all() == is_strip


def test_a_neck_that_does_not_reach_the_edge_is_left_to_the_closer_crop():
    near, far = person(neck_to=120), person(neck_to=104)
    near[90:, 150:160] = far[90:, 150:160] = NECK  # which goes on beyond the edge
    tight, wide = shown(near, FACE_CROP), shown(far, WIDE_CROP)
    assert (settle(tight, wide) == leading_classes(tight)).all()


def test_skin_does_not_replace_what_the_closer_crop_sees():
    tight = shown(person(neck_to=SIZE), FACE_CROP)
    as_skin = settle(tight, shown(person(neck_to=SIZE, neck=SKIN), WIDE_CROP))
    assert (as_skin == leading_classes(tight)).all()


def test_hair_gives_way_only_where_the_wider_crop_is_certain():
    truth = person(neck_to=104)
    hair, wide = shown(person(neck_to=SIZE, neck=HAIR), FACE_CROP), shown(truth, WIDE_CROP)
    below = leading_classes(shown(truth, FACE_CROP))[-8:]
    assert (settle(hair, wide)[-8:] == below).mean() > 0.98
    for share, is_certain in ((0.08, True), (0.12, False)):
        there = leading_classes(wide) == CLOTHES
        wide[there] = 0
        wide[there, CLOTHES], wide[there, HAIR] = 1 - share, share
        assert (settle(hair, wide) != leading_classes(hair)).any() == is_certain


def test_the_background_takes_the_place_of_hair_too():
    bald = person(neck_to=104)
    hairy = bald.copy()
    hairy[:90, 60:95] = HAIR  # to the crop's left edge and beyond its top
    settled_labels = settle(shown(hairy, FACE_CROP), shown(bald, WIDE_CROP))
    assert (settled_labels != HAIR).mean() > 0.98


def test_an_edge_of_the_picture_is_none_of_the_crop():
    tight = shown(person(neck_to=SIZE), FACE_CROP)
    wide = shown(person(neck_to=104), WIDE_CROP)
    # the picture ends with the crop
    assert (settle(tight, wide, height=128) == leading_classes(tight)).all()
    assert (settle(tight, wide) != leading_classes(tight)).any()


def test_cells_outside_the_wider_crop_are_kept():
    tight = shown(person(neck_to=SIZE), FACE_CROP)
    aside = crop_around(120, 10, 192, 1.0)  # it ends at row 106
    labels = settle(tight, shown(person(neck_to=104), aside), wide_crop=aside)
    assert (labels == leading_classes(tight)).all()


def test_a_label_set_without_a_neck_has_nothing_to_settle():
    tight = shown(person(neck_to=SIZE), FACE_CROP)[..., : len(HELEN)]
    tight = np.ascontiguousarray(tight)
    labels = settle(tight, tight, label_set=HELEN)
    assert (labels == leading_classes(tight)).all()
