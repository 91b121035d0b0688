"""Faces that touch, and whose labels grow together, are followed one by one."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.frames import Box
from rtseg.geometry.crop import box_around
from tests.faces.stage import Stage, Suggests
from tests.support.painted import COLOURS, PARTS, paint

HEADLESS = tuple(part for part in PARTS if part != 10)
Centre = tuple[float, float]


def grown_together(*centres: Centre, shoulder: bool = False) -> np.ndarray:
    """A picture of bald heads 120 pixels high, with skin everywhere between them."""
    labels = np.zeros((360, 640), np.uint8)
    (x0, y0), (x1, y1) = centres[0], centres[-1]
    labels[round(min(y0, y1)) - 20 : round(max(y0, y1)) + 30, round(x0) : round(x1)] = 1
    if shoulder:
        labels[240:330, 180:460] = 1
        labels[200:240, 300:340] = 1
    for x, y in centres:
        paint(labels, x, y, 120, parts=HEADLESS)
    return COLOURS[labels]


def face_of(x: float, y: float) -> Box:
    """The face of such a head, as painted."""
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, x, y, 120, parts=HEADLESS)
    rows, columns = np.flatnonzero(labels.any(1)), np.flatnonzero(labels.any(0))
    return Box(left=columns[0], top=rows[0], right=columns[-1] + 1, bottom=rows[-1] + 1)


def seen(*centres: Centre, score: float = 0.9) -> list[FaceDetection]:
    return [FaceDetection(box=face_of(*centre), score=score) for centre in centres]


def test_two_touching_heads_stay_two_faces() -> None:
    suggests = Suggests()
    stage = Stage(finder=suggests, detect_every=4)
    ids = set()
    for index in range(30):
        # first apart, then they come together
        centres = [(230 + min(index, 12) * 2.5, 180), (410 - min(index, 12) * 2.5, 180)]
        suggests.found = seen(*centres)
        image = grown_together(*centres) if index >= 12 else None
        if image is None:
            labels = np.zeros((360, 640), np.uint8)
            for x, y in centres:
                paint(labels, x, y, 120, parts=HEADLESS)
            image = COLOURS[labels]
        faces = sorted(stage.show(image=image), key=lambda face: face.head.left)
        assert len(faces) == 2, index
        for face, centre in zip(faces, centres, strict=True):
            assert face.head.overlap(face_of(*centre)) > 0.6, index
        ids.add(tuple(face.track_id for face in faces))
    assert len(ids) == 1


def test_a_face_is_not_followed_over_a_bare_shoulder() -> None:
    centre = (320.0, 150.0)
    suggests = Suggests(*seen(centre))
    stage = Stage(finder=suggests, detect_every=4)
    labels = np.zeros((360, 640), np.uint8)
    paint(labels, *centre, 120, parts=HEADLESS)
    for _ in range(4):
        stage.show(image=COLOURS[labels])
    for _ in range(20):
        (face,) = stage.show(image=grown_together(centre, shoulder=True))
        assert face.head.overlap(face_of(*centre)) > 0.6
        assert face.crop.box.height < 1.8 * 120


def test_what_only_the_labels_show_is_followed_as_they_say() -> None:
    # a finder's box that disagrees about the size does not cut a face
    wrong = FaceDetection(box=box_around(320, 180, 40, 50), score=0.9)
    stage = Stage(finder=Suggests(wrong), detect_every=4)
    for _ in range(12):
        faces = stage.show((320, 180, 120))
    (face,) = faces
    assert face.head.height == pytest.approx(120, abs=8)
