"""Hair and neck that extend beyond the crop around their face."""

import cv2
import numpy as np
import pytest

from rtseg.frames import Box
from rtseg.geometry.crop import Crop, crop_around
from rtseg.labels import FACE_PARTS, HELEN
from rtseg.postprocess.beyond_crop import beyond_crop, wider_crop
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.postprocess.long_hair import HAIR, Clip, face_with, hair_overlap, long_haired
from tests.support.painted import COLOURS, PaintedBackend, frame, paint


@pytest.mark.parametrize("streamed", [False, True])
def test_long_hair_is_labelled_completely(streamed):
    truth = long_haired()
    segmenter = Segmenter(
        backend=PaintedBackend(input_height=256, input_width=256),
        faces=FaceSettings(smoothing=0.0),
    )
    if streamed:
        for index in range(5):
            result = segmenter(frame(COLOURS[truth], index))
    else:
        result = segmenter(COLOURS[truth])
    assert len(result.faces) == 1
    assert hair_overlap(result.labels, truth) > 0.9


def test_hair_has_no_straight_edge_where_the_crop_ends():
    truth = long_haired()
    segmenter = Segmenter(
        backend=PaintedBackend(input_height=256, input_width=256),
        faces=FaceSettings(smoothing=0.0),
        soft=True,
    )
    result = segmenter(COLOURS[truth])
    column = result.labels[180:420, 320]
    assert (column == HAIR).all()
    assert (result.alpha("hair")[180:420, 320] >= 0.5).all()


def test_a_crop_with_all_the_hair_needs_no_wider_one():
    labels = np.zeros((480, 640), np.uint8)
    paint(labels, 320, 240, 120)
    crop = crop_around(320, 240, 200, 1.0)
    face = face_with(labels, crop)
    assert wider_crop(face.probabilities, crop, HELEN, height=480, width=640) is None
    # … nor does hair that ends at the picture's edge
    low = crop_around(320, 380, 200, 1.0)
    labels = long_haired(y=350, reach=479)
    face = face_with(labels, low)
    assert wider_crop(face.probabilities, low, HELEN, height=480, width=640) is None


def test_the_wider_crop_is_shifted_towards_the_hair():
    labels = long_haired()
    crop = crop_around(320, 140, 160, 1.0)
    wide = wider_crop(face_with(labels, crop).probabilities, crop, HELEN, height=480, width=640)
    assert wide is not None
    assert wide.box.height == pytest.approx(2 * crop.box.height, abs=8)
    assert wide.box.centre[1] > crop.box.centre[1]
    assert wide.box.centre[0] == pytest.approx(crop.box.centre[0], abs=4)


def test_hair_of_others_and_unconnected_hair_is_excluded():
    labels = long_haired()
    cv2.rectangle(labels, (420, 60), (460, 400), HAIR, -1)  # another person beside the face
    crop = crop_around(320, 140, 160, 1.0)
    face = face_with(labels, crop)
    wide = wider_crop(face.probabilities, crop, HELEN, height=480, width=640)
    shown = face_with(labels, wide).probabilities
    beyond = beyond_crop(shown, wide, face, HELEN, others=[])
    assert beyond is not None
    assert np.allclose(beyond.sum(2), 1)
    leaders = beyond.argmax(2)
    x = wide.box.left + (np.arange(32) + 0.5) * wide.box.width / 32
    assert not leaders[:, x > 400].any()
    assert leaders[:, abs(x - 320) < 20].any()
    # another head on the extended hair claims it
    other = Box(left=240, top=230, right=400, bottom=470)
    cut = beyond_crop(shown, wide, face, HELEN, others=[other])
    assert cut is None or cut[..., HAIR].sum() < 0.2 * beyond[..., HAIR].sum()


def test_only_the_hair_on_another_head_is_left_to_it():
    labels = long_haired()
    crop = crop_around(320, 140, 160, 1.0)
    face = face_with(labels, crop)
    wide = wider_crop(face.probabilities, crop, HELEN, height=480, width=640)
    shown = face_with(labels, wide).probabilities
    other = Box(left=240, top=330, right=400, bottom=470)
    beyond = beyond_crop(shown, wide, face, HELEN, others=[other])
    x = wide.box.left + (np.arange(32) + 0.5) * wide.box.width / 32
    y = wide.box.top + (np.arange(32) + 0.5) * wide.box.height / 32
    leaders = beyond.argmax(2)[:, abs(x - 320) < 20]
    assert (leaders[(y > 230) & (y < 320)] == HAIR).all()
    assert not leaders[y > 335].any()


def test_a_label_set_without_hair_or_background_needs_no_wider_crop():
    crop = Crop(box=Box(left=0, top=0, right=32, bottom=32))
    from rtseg.labels import BDD_DRIVABLE

    shown = np.zeros((8, 8, 3), np.float32)
    assert wider_crop(shown, crop, BDD_DRIVABLE, height=64, width=64) is None


def test_a_neck_goes_on_beyond_the_crop_and_clothes_do_not():
    neck, clothes = FACE_PARTS.neck[0], FACE_PARTS.clothes[0]
    labels = np.zeros((480, 640), np.uint8)
    labels[360:] = clothes
    labels[150:360, 290:350] = neck
    labels[150:360, 500:540] = neck  # another person's
    paint(labels, 320, 120, 120)
    crop = crop_around(320, 130, 160, 1.0)
    face = face_with(labels, crop, label_set=FACE_PARTS)
    wide = wider_crop(face.probabilities, crop, FACE_PARTS, height=480, width=640)
    assert wide is not None
    shown = face_with(labels, wide, label_set=FACE_PARTS).probabilities
    beyond = beyond_crop(shown, wide, face, FACE_PARTS, others=[])
    assert beyond is not None
    leaders = beyond.argmax(2)
    assert set(np.unique(leaders)) == {0, neck}
    step = wide.box.height / 32
    assert np.count_nonzero((leaders == neck).any(1)) * step == pytest.approx(
        360 - 210, abs=2 * step
    )
    x = wide.box.left + (np.arange(32) + 0.5) * wide.box.width / 32
    assert not (leaders == neck)[:, x > 400].any()


def test_the_wider_crop_overlaps_the_crop_around_the_face_by_one_of_its_cells():
    all_hair = np.full((480, 640), HAIR, np.uint8)
    crop = crop_around(320, 240, 100, 1.0)
    wide_crop = crop_around(320, 240, 200, 1.0)
    face = face_with(all_hair, crop)
    wide = face_with(all_hair, wide_crop).probabilities
    beyond = beyond_crop(wide, wide_crop, face, HELEN, others=[])
    assert beyond is not None
    # the crop around the face covers the middle 16 of 32 rows and columns
    expected = np.ones((32, 32))
    expected[9:23, 9:23] = 0
    np.testing.assert_array_equal(beyond[..., HAIR], expected)


@pytest.mark.parametrize(("share", "goes_on"), [(0.38, True), (0.32, False)])
@pytest.mark.parametrize("other", [HELEN.background, HELEN.skin[0]])
def test_hair_goes_on_where_the_wider_crop_thinks_it_possible(share, goes_on, other):
    truth = long_haired()
    crop, wide_crop = crop_around(320, 140, 160, 1.0), crop_around(320, 240, 320, 1.0)
    face = face_with(truth, crop)
    wide = face_with(truth, wide_crop).probabilities
    below = np.zeros((32, 32), bool)
    below[18:24] = wide[18:24, :, HAIR] == 1  # rows of pixels 260 to 320
    wide[below] = 0
    wide[below, HAIR], wide[below, other] = share, 1 - share
    beyond = beyond_crop(wide, wide_crop, face, HELEN, others=[])
    assert beyond is not None
    assert (beyond.argmax(2) == HAIR)[below].all() == goes_on
    np.testing.assert_allclose(beyond.sum(2), 1, atol=1e-6)
    # what it takes for certain is not more than that
    assert beyond.max() <= 1


def test_where_hair_and_neck_may_both_go_on_the_likelier_one_leads():
    hair, neck = FACE_PARTS.hair[0], FACE_PARTS.neck[0]
    labels = np.full((480, 640), hair, np.uint8)
    labels[:, 320:] = neck
    crop, wide_crop = crop_around(320, 240, 100, 1.0), crop_around(320, 240, 200, 1.0)
    face = face_with(labels, crop, label_set=FACE_PARTS)
    wide = np.zeros((32, 32, len(FACE_PARTS)), np.float32)
    wide[..., hair], wide[..., neck] = 0.4, 0.6
    beyond = beyond_crop(wide, wide_crop, face, FACE_PARTS, others=[])
    assert beyond is not None
    assert (beyond.argmax(2)[:6, 20:] == neck).all()
    np.testing.assert_allclose(beyond.sum(2), 1, atol=1e-6)


def test_in_that_overlap_hair_counts_only_where_both_crops_see_it():
    upper = np.full((480, 640), HAIR, np.uint8)
    upper[240:] = HELEN.skin[0]
    everywhere = np.full((480, 640), HAIR, np.uint8)
    crop, wide_crop = crop_around(320, 240, 100, 1.0), crop_around(320, 240, 200, 1.0)
    wide = face_with(everywhere, wide_crop).probabilities
    beyond = beyond_crop(wide, wide_crop, face_with(upper, crop), HELEN, others=[])
    assert beyond is not None
    column = beyond[:, 8, HAIR]  # the outermost one that the crop around the face covers
    assert (column[:16] == 1).all()
    assert (column[18:23] == 0).all()
    assert (column[24:] == 1).all()


def test_hair_that_the_crop_around_the_face_denies_along_its_edge_does_not_begin_there():
    labels = long_haired()
    crop = crop_around(320, 140, 160, 1.0)
    wide_crop = wider_crop(
        face_with(labels, crop).probabilities, crop, HELEN, height=480, width=640
    )
    wide = face_with(labels, wide_crop).probabilities
    low = labels.copy()
    low[212:] = 0  # hair down to just above the lower edge, row 220
    face = face_with(low, crop)
    assert beyond_crop(wide, wide_crop, face_with(labels, crop), HELEN, others=[]) is not None
    beyond = beyond_crop(wide, wide_crop, face, HELEN, others=[])
    assert beyond is None
    low[212:, 320:] = labels[212:, 320:]  # one half of it goes on
    assert beyond_crop(wide, wide_crop, face_with(low, crop), HELEN, others=[]) is not None


def test_the_crop_around_the_face_is_settled_with_a_new_and_with_an_earlier_wider_crop(monkeypatch):
    calls = []

    def settle(labelled, crop, label_set, *, wide, wide_crop, height, width):
        calls.append((wide, wide_crop, height, width))
        labelled.limit(np.ones(labelled.leaders.shape, bool), (0,))

    monkeypatch.setattr("rtseg.picture_pass.settle", settle)
    segmenter = Clip().segmenter
    for index in range(3):
        labels = segmenter(frame(COLOURS[long_haired()], index)).labels
        assert len(calls) == index + 1
        assert not labels[120].any()
    assert calls[2][0] is calls[1][0] or calls[1][0] is calls[0][0]
    assert calls[0][2:] == (480, 640)
    assert calls[0][1].box.height > 200
