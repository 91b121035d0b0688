"""Heads that are tilted, lie down, turn round or turn away are found and followed."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from rtseg.faces.track import planned_roll
from rtseg.frames import Box
from rtseg.geometry.crop import CROP_FACTOR, Crop, wrapped
from rtseg.labels import HELEN
from tests.faces.stage import Stage, at, tilted
from tests.support.painted import COLOURS, paint


class TestRoll:
    @pytest.mark.parametrize("degrees", [-60, -30, 30, 60])
    def test_the_crop_of_a_tilted_head_is_rotated(self, degrees):
        stage = Stage()
        image, labels = tilted(320, 180, 150, degrees)
        for _ in range(4):
            (face,) = stage.show(image=image)
        assert face.crop.roll_degrees == pytest.approx(degrees, abs=6)
        rows, columns = np.nonzero(labels)
        assert face.head.left == pytest.approx(columns.min(), abs=6)
        assert face.head.right == pytest.approx(columns.max() + 1, abs=6)
        assert face.head.top == pytest.approx(rows.min(), abs=6)
        assert face.head.bottom == pytest.approx(rows.max() + 1, abs=6)
        assert face.crop.box.height == pytest.approx(CROP_FACTOR * 150, rel=0.1)

    @pytest.mark.parametrize("degrees", [-10, -5, 5, 10])
    def test_a_slightly_tilted_head_has_an_upright_crop(self, degrees):
        stage = Stage()
        for _ in range(5):
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            assert face.crop.is_upright

    def test_a_head_that_lies_down_and_gets_up_is_followed(self):
        stage = Stage(detect_every=1000)
        rolls = []
        for index in range(120):
            degrees = 90 * math.sin(math.pi * index / 119)
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            assert face.track_id == 1
            assert stage.crop_count == 1 or index == 0
            rolls.append(face.crop.roll_degrees - degrees)
        assert np.abs(rolls).max() < 22
        assert face.crop.is_upright

    def test_a_head_that_turns_right_round_is_followed(self):
        stage = Stage(detect_every=1000)
        for index in range(150):
            degrees = 3 * index
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            assert abs(wrapped(face.crop.roll_degrees - degrees)) < 22

    def test_a_trembling_head_does_not_rotate_the_crop(self):
        stage = Stage()
        crops = []
        for index in range(40):
            degrees = 30 + 2 * math.sin(index * 2.3)
            (face,) = stage.show(image=tilted(320, 180, 150, degrees)[0])
            crops.append(face.crop)
        assert len(set(crops[15:])) == 1

    @pytest.mark.parametrize("degrees", [-90, 90])
    def test_a_head_on_its_side_is_found(self, degrees):
        image, _ = tilted(320, 180, 150, degrees)
        stage = Stage()
        faces = [stage.show(image=image) for _ in range(6)]
        assert len(faces[-1]) == 1
        assert faces[-1][0].crop.roll_degrees == pytest.approx(degrees, abs=10)

    def test_cells_on_a_rotated_head_are_foreign_to_its_neighbour(self):
        left = tilted(240, 180, 180, 0)[1]
        right = tilted(400, 180, 140, 50)[1]
        labels = np.where(left > 0, left, right)
        stage = Stage()
        for _ in range(4):
            faces = stage.show(image=COLOURS[labels])
        assert len(faces) == 2
        upright = next(face for face in faces if face.crop.is_upright)
        assert upright.foreign is not None
        assert np.flatnonzero(upright.foreign.any(0)).min() > upright.foreign.shape[1] / 2

    def test_an_unknown_roll_leaves_the_crop_unchanged(self):
        crop = Crop(box=Box(left=0, top=0, right=10, bottom=10), roll_degrees=40)
        assert planned_roll(None, crop) == 40
        assert planned_roll(37, crop) == 40
        assert planned_roll(50, crop) == 50
        assert planned_roll(11, crop) == 11  # a slightly smaller angle keeps it rotated
        assert planned_roll(8, crop) == 0
        assert planned_roll(14, replace(crop, roll_degrees=0)) == 0
        assert planned_roll(16, replace(crop, roll_degrees=0)) == 16


def turned_away(x, y, height):
    """A head from behind, with hair everywhere."""
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, x, y, height)
    labels[labels > 0] = HELEN.hair[0]
    return COLOURS[labels]


class TestTurnedAway:
    def test_a_followed_head_that_turns_away_keeps_its_track(self):
        stage = Stage()
        for _ in range(4):
            (face,) = stage.show((320, 180, 150))
        for index in range(40):  # longer than the limit for an absence
            (away,) = stage.show(image=turned_away(320 + index, 180, 150))
            assert away.track_id == face.track_id
        assert at(away) == pytest.approx((359, 180), abs=8)
        assert away.face.centre[0] == pytest.approx(face.face.centre[0] + 39, abs=8)
        (back,) = stage.show((361, 180, 150))
        assert back.track_id == face.track_id

    def test_a_head_that_enters_from_behind_is_not_found(self):
        stage = Stage()
        for _ in range(6):
            assert stage.show(image=turned_away(320, 180, 150)) == ()

    def test_a_head_that_has_left_is_lost(self):
        stage = Stage()
        for _ in range(4):
            stage.show((320, 180, 150))
        for _ in range(4):
            assert len(stage.show(image=turned_away(320, 180, 150))) == 1
        assert stage.show() == ()
        # and hair that stays in place is not a head
        labels = np.zeros((360, 640), np.uint8)
        cv2.ellipse(labels, (320, 180), (14, 60), 0, 0, 360, HELEN.hair[0], -1)
        stage = Stage()
        for _ in range(4):
            stage.show((320, 180, 150))
        assert stage.show(image=COLOURS[labels]) == ()
