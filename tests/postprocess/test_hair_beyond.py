"""Hair that extends beyond the crop around its face."""

import cv2
import numpy as np
import pytest

from rtseg.faces import TrackedFace
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, crop_around
from rtseg.labels import HELEN
from rtseg.postprocess.hair_beyond import hair_beyond, wider_crop
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import COLOURS, PaintedBackend, frame, paint

HAIR = HELEN.hair[0]


def long_haired(*, height=480, width=640, x=320, y=120, head=90, reach=430, wide=40):
    """Labels of a head whose hair extends far below it."""
    labels = np.zeros((height, width), np.uint8)
    cv2.rectangle(labels, (x - wide, y), (x + wide, reach), HAIR, -1)
    paint(labels, x, y, head)
    return labels


def hair_overlap(labels, truth):
    both = (labels == HAIR) & (truth == HAIR)
    return both.sum() / max(1, ((labels == HAIR) | (truth == HAIR)).sum())


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


def face_with(labels, crop, *, side=32):
    """A face whose crop has these labels."""
    x = np.clip((crop.box.left + (np.arange(side) + 0.5) * crop.box.width / side), 0, None)
    y = np.clip((crop.box.top + (np.arange(side) + 0.5) * crop.box.height / side), 0, None)
    columns = np.minimum(x.astype(int), labels.shape[1] - 1)
    rows = np.minimum(y.astype(int), labels.shape[0] - 1)
    shown = np.eye(len(HELEN), dtype=np.float32)[labels[np.ix_(rows, columns)]]
    return TrackedFace(
        track_id=1, head=crop.box, face=crop.box, score=1.0, crop=crop, probabilities=shown
    )


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
    beyond = hair_beyond(shown, wide, face, HELEN, others=[])
    assert beyond is not None
    assert np.allclose(beyond.sum(2), 1)
    leaders = beyond.argmax(2)
    x = wide.box.left + (np.arange(32) + 0.5) * wide.box.width / 32
    assert not leaders[:, x > 400].any()
    assert leaders[:, abs(x - 320) < 20].any()
    # another head on the extended hair claims it
    other = Box(left=240, top=230, right=400, bottom=470)
    cut = hair_beyond(shown, wide, face, HELEN, others=[other])
    assert cut is None or cut[..., HAIR].sum() < 0.2 * beyond[..., HAIR].sum()


def test_a_label_set_without_hair_or_background_needs_no_wider_crop():
    crop = Crop(box=Box(left=0, top=0, right=32, bottom=32))
    from rtseg.labels import BDD_DRIVABLE

    shown = np.zeros((8, 8, 3), np.float32)
    assert wider_crop(shown, crop, BDD_DRIVABLE, height=64, width=64) is None
