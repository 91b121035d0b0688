"""One person keeps one id, however little labels show, and nobody takes over another's."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.frames import Box
from rtseg.geometry.crop import box_around
from tests.faces.stage import Stage, Suggests, ids
from tests.support.painted import COLOURS, PARTS, paint

X, Y, TALL = 320, 180, 150
BALD = tuple(part for part in PARTS if part != 10)
LOWER = (7, 8, 9)  # the mouth
HALF_A_SECOND = 15

Head = tuple[float, float]


def shown(*heads: Head, parts: tuple[int, ...] = BALD) -> np.ndarray:
    labels = np.zeros((360, 640), np.uint8)
    for x, y in heads:
        paint(labels, x, y, TALL, parts=parts)
    return COLOURS[labels]


def below(image: np.ndarray, y: float) -> np.ndarray:
    """What a picture shows below a row."""
    part = image.copy()
    part[: round(y)] = COLOURS[0]
    return part


def above(image: np.ndarray, y: float) -> np.ndarray:
    part = image.copy()
    part[round(y) :] = COLOURS[0]
    return part


def face_at(x: float, y: float) -> Box:
    return box_around(x, y + 0.08 * TALL, 0.6 * TALL, 0.84 * TALL)


def seen(*heads: Head, score: float = 0.95) -> list[FaceDetection]:
    return [FaceDetection(box=face_at(x, y), score=score) for x, y in heads]


def followed(*heads: Head) -> tuple[Stage, Suggests]:
    """A stage that has followed bald heads for a while, and its finder."""
    finder = Suggests(*seen(*heads))
    stage = Stage(finder=finder, fine=False, detect_every=3)
    for _ in range(12):
        faces = stage.show(image=shown(*heads))
    assert len(faces) == len(heads)
    return stage, finder


def id_at(faces, x: float) -> int | None:
    """The id of the face whose box is about as wide as a face there; None if there is none."""
    return next((face.track_id for face in faces if face.face.overlap(face_at(x, Y)) > 0.5), None)


def test_a_lost_face_of_which_labels_show_a_part_is_the_same_one_where_the_finder_sees_it() -> None:
    stage, finder = followed((X, Y))
    finder.found = []
    assert stage.show() == ()
    finder.found = seen((X, Y))
    chin = below(shown((X, Y)), Y + 0.25 * TALL)
    faces = [stage.show(image=chin) for _ in range(4)]
    assert [ids(some) for some in faces] == [{1}] * 4
    assert [id_at(some, X) for some in faces] == [1] * 4
    assert ids(stage.show(image=shown((X, Y)))) == {1}


def test_a_face_of_which_labels_show_one_part_then_another_is_one() -> None:
    stage, _ = followed((X, Y))
    whole = shown((X, Y))
    parts = below(whole, Y + 0.2 * TALL), above(whole, Y + 0.0 * TALL)
    for index in range(30):
        faces = stage.show(image=parts[index // 2 % 2] if index % 5 else whole * 0)
        assert ids(faces) <= {1}
    assert ids(stage.show(image=whole)) == {1}


def test_somebody_new_beside_a_lost_face_that_the_finder_still_sees_gets_a_new_id() -> None:
    stage, finder = followed((X, Y))
    beside = X + 0.9 * TALL
    finder.found = seen((X, Y), score=0.5) + seen((beside, Y))
    for _ in range(6):
        faces = stage.show(image=shown((beside, Y)))
        assert ids(faces) <= {2}
    assert ids(faces) == {2}
    finder.found = seen((X, Y), (beside, Y))
    faces = stage.show(image=shown((X, Y), (beside, Y)))
    assert (id_at(faces, X), id_at(faces, beside)) == (1, 2)


def test_who_is_gone_may_have_moved_there() -> None:
    stage, finder = followed((X, Y))
    finder.found = []
    stage.show()
    beside = X + 0.9 * TALL
    finder.found = seen((beside, Y))
    assert ids(stage.show(image=shown((beside, Y)))) == {1}


@pytest.mark.parametrize("gap", [HALF_A_SECOND - 3, HALF_A_SECOND + 6])
def test_a_head_that_shows_hair_alone_for_longer_than_a_face_may_be_lost_keeps_its_id(
    gap: int,
) -> None:
    finder = Suggests(*seen((X, Y)))
    stage = Stage(finder=finder, fine=False, detect_every=3)
    head = shown((X, Y), parts=tuple(PARTS))
    for _ in range(12):
        stage.show(image=head)
    finder.found = []
    behind = shown((X, Y), parts=(1, 10))
    behind[(behind == COLOURS[1]).all(-1)] = COLOURS[10]
    for _ in range(gap):
        assert ids(stage.show(image=behind)) == {1}
    finder.found = seen((X, Y))
    assert ids(stage.show(image=head)) == {1}
