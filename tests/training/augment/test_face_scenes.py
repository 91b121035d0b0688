"""A finder's training views: their targets match their pictures."""

import cv2
import numpy as np
import pytest

from rtseg.faces.centres import STRIDE
from training.augment.busts import bust_of, chin_below, middle_of, upright_size
from training.augment.face_maps import target_map
from training.augment.face_scenes import FaceScenes, SceneSettings

GREEN, BACK = (20, 220, 40), (90, 60, 130)


def painted_bust(*, tilt=0.0):
    """A green oval on another colour as a face, with its eyes side by side."""
    image = np.full((160, 128, 3), BACK, np.uint8)
    mask = np.zeros((160, 128), np.uint8)
    cv2.ellipse(mask, (64, 80), (30, 42), tilt, 0, 360, 1, -1)
    image[mask > 0] = GREEN
    turn = np.radians(tilt)
    across = np.array([np.cos(turn), np.sin(turn)]) * 12
    eyes = [tuple(np.array([64.5, 80.5]) - across), tuple(np.array([64.5, 80.5]) + across)]
    return bust_of(image, face=mask > 0, person=mask > 0, eyes=eyes)


def scenes(**options):
    settings = SceneSettings(**{"degraded": 0, "empty": 0, "whole": 0, "masked": 0} | options)
    backgrounds = [np.full((200, 300, 3), 200, np.uint8)]
    return FaceScenes(
        busts=[([painted_bust()], 1.0)], backgrounds=backgrounds, settings=settings, seed=3
    )


def test_a_tilted_faces_size_is_measured_upright():
    upright, tilted = painted_bust(), painted_bust(tilt=35)
    assert tilted.roll_degrees == pytest.approx(35, abs=1)
    expected = upright_size(upright.outline, upright.roll_degrees)
    assert upright_size(tilted.outline, tilted.roll_degrees) == pytest.approx(expected, abs=3)
    assert middle_of(tilted.outline, tilted.roll_degrees) == pytest.approx((64.5, 80.5), abs=1.5)


def test_a_picture_with_hardly_any_face_gives_no_bust():
    image = np.zeros((64, 64, 3), np.uint8)
    face = np.zeros((64, 64), bool)
    face[:5, :5] = True
    assert bust_of(image, face=face, person=face) is None


def test_the_chin_is_estimated_from_eyes_and_mouth():
    labels = np.zeros((100, 100), np.uint8)
    labels[30:34, 30:70], labels[60:64, 40:60] = 4, 5
    assert chin_below(labels, eyes=[4], mouth=[5]) == pytest.approx(81, abs=3)
    labels[labels == 5] = 0
    assert chin_below(labels, eyes=[4], mouth=[5]) is None


@pytest.mark.parametrize("index", range(8))
def test_the_boxes_of_a_view_contain_the_green_faces(index):
    view, faces, uncertain = scenes(upside=1.0, smallest=0.3).scene(index)
    assert view.shape == (224, 384, 3)
    red, middle, blue = (view[..., channel].astype(int) for channel in range(3))
    green = (middle > 1.6 * np.maximum(red, blue) + 5).astype(np.uint8)
    for face in faces:
        if face.visible < 0.97:  # partly hidden, or cut by the edge
            continue
        left, top, right, bottom = (round(edge) for edge in face.box)
        inside = green[top:bottom, left:right]
        assert inside.mean() > 0.5  # an oval fills .79 of its box, a rotated one less
        assert np.ptp(np.nonzero(inside)[0]) == pytest.approx(bottom - top, abs=4)
        assert np.ptp(np.nonzero(inside)[1]) == pytest.approx(right - left, abs=4)
    for face in (*faces, *uncertain):
        left, top, right, bottom = (round(edge) for edge in face.box)
        green[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3] = 0
    assert green.sum() < 60  # no green is missed, except what is nearly hidden


@pytest.mark.parametrize("index", range(4))
def test_a_mask_hides_the_lower_part_of_a_face_that_still_counts(index):
    bare, faces, _ = scenes(smallest=0.3, largest=0.5).scene(index)
    masked, same, _ = scenes(smallest=0.3, largest=0.5, masked=1.0).scene(index)
    # drawing also uses random numbers, so only a view's first face stays where it was
    assert [face.box for face in faces[:1]] == [face.box for face in same[:1]]
    whole = [face for face in same if face.visible > 0.97 and abs(face.roll_degrees) < 20]
    for face in whole:
        left, top, right, bottom = (round(edge) for edge in face.box)
        shown = masked[top:bottom, left:right].astype(int)
        green = shown[..., 1] > 1.6 * np.maximum(shown[..., 0], shown[..., 2]) + 5
        third = len(green) // 3
        assert green[:third].mean() > 0.45
        assert green[-third:].mean() < 0.3
    assert not np.array_equal(bare, masked)


def test_a_view_is_a_function_of_its_index():
    first, again = scenes()[5], scenes()[5]
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], scenes()[6][0])


def test_a_target_peaks_at_the_centre_of_each_face_and_ignores_uncertain_ones():
    _, faces, _ = scenes(smallest=0.2).scene(1)
    target = target_map(faces, [], height=224, width=384)
    assert np.count_nonzero(target[..., 0] == 1000) == len(faces)
    for face in faces:
        row, column = int(face.y / STRIDE), int(face.x / STRIDE)
        cell = target[row, column]
        assert cell[0] == 1000
        assert 2 ** (cell[2] / 100) == pytest.approx(face.size, rel=0.02)
        assert column + 0.5 + cell[5] / 100 == pytest.approx(face.x / STRIDE, abs=0.02)
    nothing = target_map([], faces, height=224, width=384)
    assert not nothing[..., 0].any()
    assert (nothing[..., 1] == 0).any()
