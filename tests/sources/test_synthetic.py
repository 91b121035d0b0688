"""The moving face: its true position, its absence, and its reproducibility."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.sources.synthetic import HEAD, MovingFaceSource


@pytest.fixture(scope="module")
def clip():
    """Every tenth frame of the demo's clip, at half its size."""
    return MovingFaceSource(width=640, height=360, frame_count=30, frame_rate=Fraction(3))


def test_frames_have_their_size_and_times(clip):
    frames = list(clip)
    assert len(frames) == clip.info.frame_count == 30
    assert {frame.image.shape for frame in frames} == {(360, 640, 3)}
    assert [frame.pts_seconds for frame in frames] == [Fraction(i, 3) for i in range(30)]
    assert not clip.info.is_live


def test_the_head_grows_and_leaves_the_frame_once():
    clip = MovingFaceSource(width=320, height=180)
    boxes = [clip.face_box(i) for i in range(300)]
    heights = [box.height / 180 for box in boxes if box]
    assert min(heights) == pytest.approx(0.12, abs=0.02)
    assert max(heights) == pytest.approx(0.70, abs=0.03)
    away = [i for i, box in enumerate(boxes) if box is None]
    assert away == list(range(away[0], away[-1] + 1)), "it left more than once"
    assert 20 <= len(away) <= 45
    assert away[0] > 60
    assert away[-1] < 270
    whole = [
        box.left >= 0 and box.top >= 0 and box.right <= 320 and box.bottom <= 180
        for box in boxes
        if box
    ]
    assert np.mean(whole) > 0.9


@pytest.mark.parametrize("index", [0, 6, 9, 13, 17, 27])
def test_the_true_box_encloses_the_head(clip, index):
    """The portrait's head, scaled to the box, is found there and nowhere else."""
    from skimage import data

    box = clip.face_box(index)
    head = data.astronaut()[int(HEAD.top) : int(HEAD.bottom), int(HEAD.left) : int(HEAD.right)]
    size = (round(box.width), round(box.height))
    scores = cv2.matchTemplate(
        clip.image(index),
        cv2.resize(head, size, interpolation=cv2.INTER_AREA),
        cv2.TM_CCOEFF_NORMED,
    )
    _, score, _, (left, top) = cv2.minMaxLoc(scores)
    assert score > 0.5
    assert abs(left - box.left) < 0.12 * box.width + 1
    assert abs(top - box.top) < 0.12 * box.height + 1


def test_the_clip_is_the_same_every_time(clip):
    again = MovingFaceSource(width=640, height=360, frame_count=30, frame_rate=Fraction(3))
    for i in (0, 11, 29):
        assert np.array_equal(clip.image(i), again.image(i))
        assert clip.face_box(i) == again.face_box(i)


def test_the_camera_moves_steadily(clip):
    """Between frames at 30 per second the head moves no further than a camera would make it."""
    fine = MovingFaceSource(width=320, height=180)
    centres = np.array([b.centre for b in map(fine.face_box, range(200)) if b])
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1) / 180
    assert steps.max() < 0.12
    assert steps[:190].mean() > 0.002


def test_the_backdrop_has_no_seams_and_no_holes(clip):
    """No straight line across the picture where the backdrop ends or repeats."""
    for index in (0, 2, 20, 28):
        image = cv2.GaussianBlur(clip.image(index), (0, 0), 1.5).astype(np.float32)
        box = clip.face_box(index)
        rows = slice(0, 60 if box is None else max(8, int(box.top) - 40))
        assert image[rows].min() > 25
        assert np.abs(np.diff(image[rows], axis=1)).max() < 6


@pytest.mark.parametrize(
    ("width", "height", "count"), [(32, 32, 1), (1921, 1081, 2), (360, 640, 12), (1920, 1440, 2)]
)
def test_any_size_and_length_works(width, height, count):
    clip = MovingFaceSource(width=width, height=height, frame_count=count)
    frames = list(clip)
    assert len(frames) == count
    assert frames[-1].image.shape == (height, width, 3)
    assert frames[-1].image.std() > 10


@pytest.mark.parametrize("wrong", [{"width": 10}, {"frame_count": 0}, {"frame_rate": Fraction(0)}])
def test_invalid_sizes_are_refused(wrong):
    with pytest.raises(SettingError, match="32x32"):
        MovingFaceSource(**wrong)


def test_closing_ends_the_iteration(clip):
    short = MovingFaceSource(width=64, height=64, frame_count=5)
    frames = iter(short)
    next(frames)
    short.close()
    short.close()
    assert list(frames) == []
