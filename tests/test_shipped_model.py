"""The shipped weights on the one real face that every installation has: NASA's portrait of the
astronaut Eileen Collins (public domain), as scikit-image ships it."""

import cv2
import numpy as np
import pytest
import skimage.data

from rtseg.segmenter import Segmenter
from tests.support.painted import frame

# annotated by hand in the portrait's own pixels (512 x 512): left, top, right, bottom
NOSE = (207, 98, 240, 140)
MOUTH = (205, 132, 248, 162)
LEFT_EYE, RIGHT_EYE = (190, 90, 220, 116), (232, 90, 264, 116)
HEAD = (150, 14, 304, 190)
HEAD_HEIGHT = 163


@pytest.fixture(scope="module")
def segmenter():
    with Segmenter(device="cpu", threads=1) as opened:
        yield opened


def placed(scale, x, y, *, height=720, width=1280):
    """The portrait's upper part, scaled, on a plain wall, with its corner at (x, y)."""
    picture = np.full((height, width, 3), (150, 148, 140), np.uint8)
    portrait = cv2.resize(
        skimage.data.astronaut()[:360, 60:400],
        None,
        fx=scale,
        fy=scale,
        interpolation=cv2.INTER_AREA,
    )
    part = portrait[: height - y, : width - x]
    picture[y : y + part.shape[0], x : x + part.shape[1]] = part
    return picture


def centre(mask):
    rows, columns = np.nonzero(mask)
    assert len(rows), "nothing there"
    return columns.mean() + 0.5, rows.mean() + 0.5


def assert_parts_lie(result, *, scale=1.0, x=0.0, y=0.0):
    """Check that every part's centre is inside its annotated box."""
    for name, (left, top, right, bottom) in {
        "nose": NOSE,
        "mouth": MOUTH,
        "left-eye": LEFT_EYE,
        "right-eye": RIGHT_EYE,
    }.items():
        found_x, found_y = centre(result.mask(name))
        assert left * scale + x <= found_x <= right * scale + x, name
        assert top * scale + y <= found_y <= bottom * scale + y, name


def biggest(result):
    return max(result.faces, key=lambda face: face.box.area)


def test_the_portrait_is_labelled(segmenter):
    result = segmenter(skimage.data.astronaut())
    face = biggest(result)
    assert face.score > 0.8
    left, top, right, bottom = HEAD
    assert left <= face.box.left < face.box.right <= right
    assert top <= face.box.top < face.box.bottom <= bottom
    head = result.labels[top:bottom, left:right]
    only = np.zeros_like(result.labels)
    only[top:bottom, left:right] = head
    assert_parts_lie(type(result)(labels=only, label_set=result.label_set))


@pytest.mark.parametrize("share", [0.12, 0.2, 0.33, 0.6])
def test_faces_of_any_size_are_labelled(segmenter, share):
    scale = share * 720 / HEAD_HEIGHT
    x, y = (640, 200) if share < 0.5 else (100, 10)
    result = segmenter(placed(scale, x, y, height=720))
    assert len(result.faces) == 1
    assert_parts_lie(result, scale=scale, x=x - 60 * scale, y=y)


def test_a_moving_face_is_followed(segmenter):
    segmenter.reset()
    for index in range(8):
        result = segmenter(frame(placed(1.2, 400 + 6 * index, 150), index))
        assert [face.track_id for face in result.faces] == [1]
    assert_parts_lie(result, scale=1.2, x=442 - 60 * 1.2, y=150)


@pytest.mark.parametrize("name", ["coffee", "rocket", "chelsea"])
def test_a_picture_without_a_face_has_no_labels(segmenter, name):
    result = segmenter(getattr(skimage.data, name)())
    assert result.faces == ()
    assert not result.labels.any()
