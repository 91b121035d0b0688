"""Frames and segmentations: valid ones, refused ones, and their masks."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtseg.errors import SettingError
from rtseg.frames import Box, Face, Frame, Segmentation
from rtseg.labels import HELEN


def image(height=4, width=6):
    return np.zeros((height, width, 3), np.uint8)


def test_a_frame_knows_its_size_and_its_exact_time():
    frame = Frame(image=image(), index=0, pts=1001, time_base=Fraction(1, 30000))
    assert (frame.height, frame.width) == (4, 6)
    assert frame.pts_seconds == Fraction(1001, 30000)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 6), np.uint8),
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6, 3), np.float32),
        np.zeros((0, 6, 3), np.uint8),
        [[1, 2, 3]],
        None,
    ],
)
def test_arrays_that_are_no_rgb_images_are_refused(bad):
    with pytest.raises(SettingError, match="RGB order; found"):
        Frame(image=bad, index=0, pts=0, time_base=Fraction(1, 25))


@pytest.mark.parametrize("changes", [{"index": -1}, {"time_base": Fraction(0)}])
def test_impossible_frames_are_refused(changes):
    fields = {"image": image(), "index": 0, "pts": 0, "time_base": Fraction(1, 25)}
    with pytest.raises(SettingError, match="frame's"):
        Frame(**(fields | changes))


def test_a_negative_pts_is_allowed():
    assert Frame(image=image(), index=0, pts=-5, time_base=Fraction(1, 10)).pts_seconds < 0


boxes = st.builds(
    lambda left, top, width, height: Box(
        left=left, top=top, right=left + width, bottom=top + height
    ),
    st.floats(-100, 100),
    st.floats(-100, 100),
    st.floats(1, 100),
    st.floats(1, 100),
)


@given(first=boxes, second=boxes)
def test_overlap_is_symmetric_and_bounded(first, second):
    overlap = first.overlap(second)
    assert 0 <= overlap <= 1
    assert overlap == pytest.approx(second.overlap(first))
    assert first.overlap(first) == pytest.approx(1)


def test_overlap_of_known_boxes():
    first = Box(left=0, top=0, right=2, bottom=2)
    assert first.overlap(Box(left=1, top=0, right=3, bottom=2)) == pytest.approx(1 / 3)
    assert first.overlap(Box(left=2, top=0, right=4, bottom=2)) == 0
    assert first.centre == (1, 1)
    assert first.area == 4


@pytest.mark.parametrize(
    "edges", [(0, 0, 0, 1), (0, 0, 1, 0), (2, 0, 1, 1), (0, 0, float("nan"), 1)]
)
def test_an_empty_box_is_refused(edges):
    left, top, right, bottom = edges
    with pytest.raises(SettingError, match="positive width and height"):
        Box(left=left, top=top, right=right, bottom=bottom)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_is_between_0_and_1(score):
    with pytest.raises(SettingError, match="score"):
        Face(box=Box(left=0, top=0, right=1, bottom=1), track_id=1, score=score)


def test_masks_and_counts_agree():
    labels = np.array([[0, 1, 1], [4, 5, 10]], np.uint8)
    segmentation = Segmentation(labels=labels, label_set=HELEN)
    counts = segmentation.pixel_counts()
    assert counts["skin"] == 2
    assert counts["nose"] == 0
    assert sum(counts.values()) == 6
    assert segmentation.mask("eyes").tolist() == [[False] * 3, [True, True, False]]
    assert segmentation.mask("skin", "hair").sum() == 3


def test_labels_must_be_ids():
    with pytest.raises(SettingError, match="labels must be uint8"):
        Segmentation(labels=np.zeros((2, 2), np.int64), label_set=HELEN)
