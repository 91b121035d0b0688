"""The box of a face that is partly covered, from frame to frame."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.frames import Box
from rtseg.labels import HELEN
from tests.faces.stage import Stage, Suggests
from tests.support.painted import COLOURS, paint, scene


def masked(x, y, height):
    """A head whose face is covered below the eyes: (picture, the whole face's labelled box)."""
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, x, y, height)
    rows, columns = np.nonzero(np.isin(labels, HELEN.face))
    face = Box(
        left=float(columns.min()),
        top=float(rows.min()),
        right=float(columns.max() + 1),
        bottom=float(rows.max() + 1),
    )
    labels[round(face.top + 0.55 * face.height) :] = 0
    return COLOURS[labels], face


def tilted_mask(degrees):
    """The same, rotated clockwise about its centre."""
    image, face = masked(320, 180, 150)
    matrix = cv2.getRotationMatrix2D((319.5, 179.5), -degrees, 1)
    image = cv2.warpAffine(image, matrix, (640, 360), flags=cv2.INTER_NEAREST)
    angles = np.linspace(0, 2 * np.pi, 90)
    (x, y), outline = face.centre, np.array([np.cos(angles), np.sin(angles), 0 * angles])
    outline = outline * [[face.width / 2], [face.height / 2], [0]] + [[x], [y], [1]]
    xs, ys = matrix @ outline
    return image, Box(left=xs.min(), top=ys.min(), right=xs.max(), bottom=ys.max())


class TestMasked:
    @pytest.mark.parametrize("degrees", [-40, 45, 100])
    def test_a_tilted_face_that_is_partly_covered_stays_as_it_was_found(self, degrees):
        image, face = tilted_mask(degrees)
        stage = Stage(
            finder=Suggests(FaceDetection(box=face, score=0.9, roll_degrees=degrees)),
            detect_every=1000,
        )
        for _ in range(20):  # only the first picture is searched
            (shown,) = stage.show(image=image)
            assert shown.crop.roll_degrees == pytest.approx(degrees, abs=6)
            assert shown.face.overlap(face) > 0.7

    def test_the_box_of_a_masked_face_goes_down_to_the_chin_as_the_finder_says(self):
        image, face = masked(320, 180, 150)
        stage = Stage(finder=Suggests(FaceDetection(box=face, score=0.9)))
        for _ in range(5):  # mostly without a search
            (shown,) = stage.show(image=image)
            assert shown.face.bottom == pytest.approx(face.bottom, abs=5)
            assert shown.face.overlap(face) > 0.85
        for _ in range(12):  # the mask is taken off
            (shown,) = stage.show((320, 180, 150))
        assert shown.face.bottom == pytest.approx(face.bottom, abs=3)

    def test_a_mask_that_is_put_on_shortens_the_box_until_the_next_search_only(self):
        image, face = masked(320, 180, 150)
        stage = Stage(finder=Suggests(FaceDetection(box=face, score=0.9)), detect_every=3)
        for _ in range(4):
            (before,) = stage.show((320, 180, 150))
        for _ in range(12):
            (shown,) = stage.show(image=image)
        assert shown.track_id == before.track_id
        assert shown.face.bottom == pytest.approx(face.bottom, abs=5)

    def test_an_unsure_finder_does_not_lengthen_a_followed_face(self):
        image, face = masked(320, 180, 150)
        long = replace(face, bottom=face.bottom + 40)
        stage = Stage(finder=Suggests(FaceDetection(box=long, score=0.3)), detect_every=3)
        stage.follower.finder = ParsingFinder(HELEN, aspect=1.0)
        for _ in range(4):
            stage.show(image=scene(360, 640, (320, 180, 150))[0])
        stage.follower.finder = Suggests(FaceDetection(box=long, score=0.3))
        for _ in range(12):
            (shown,) = stage.show(image=image)
        assert shown.face.bottom < face.top + 0.7 * face.height

    def test_in_a_still_a_closer_search_tells_how_much_is_covered(self):
        image, face = masked(320, 180, 150)
        short = replace(face, bottom=face.top + 0.55 * face.height)

        class Searches(Suggests):
            """Sees the whole face only when it searches more closely."""

            def __call__(self, picture, infer, *, regions, known=()):
                box = short if len(self.found) == 0 else face
                self.found.append(box)
                return [FaceDetection(box=box, score=0.9)]

        stage = Stage(finder=Searches())
        stage.follower.schedule.fine, stage.follower.schedule.aspect = False, 16 / 9
        stage.image = image
        (shown,) = stage.follower.step(image, stage.infer_crops, seconds=0.0, exhaustive=True)
        assert len(stage.follower.finder.found) == 2
        assert shown.face.overlap(face) > 0.85
