"""A followed face stays where only a finder sees it, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.seen_only import CLEARLY_SEEN, seen_only
from rtseg.faces.track import Track
from rtseg.faces.tracker import KEPT_SCORE
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from tests.faces.test_following_beside import candidate

FACE, BESIDE = box_around(300, 300, 80, 100), box_around(460, 300, 80, 100)
HEAD = box_around(300, 285, 110, 150)
MAPS = {1: np.zeros((64, 64, 11), np.float32)}


def track(*, is_present: bool = True) -> Track:
    return Track(
        track_id=1,
        head=HEAD,
        crop=Crop(box=box_around(300, 300, 200, 200)),
        score=0.9,
        seen_seconds=0.0,
        is_present=is_present,
    )


def seen(score: float = 0.9, box: Box = FACE) -> FaceDetection:
    x, y = box.centre
    return FaceDetection(box=box, score=score, head=box_around(x, y - 15, 110, 150))


def kept(
    *detections: FaceDetection,
    candidates: tuple[FaceCandidate, ...] = (),
    is_present: bool = True,
    is_unsure: bool = True,
) -> list[FaceCandidate]:
    return seen_only(
        [track(is_present=is_present)],
        candidates,
        detections,
        unsure={1: FACE} if is_unsure else {},
        maps=MAPS,
    )


def shown(box: Box, *, track_id: int | None, **changes: bool) -> FaceCandidate:
    made = candidate(box, sure=0.9)
    return replace(made, detection=replace(made.detection, track_id=track_id, **changes))


def test_the_face_is_where_the_finder_sees_it_with_nothing_labelled() -> None:
    (face,) = kept(seen(0.8, BESIDE), seen(CLEARLY_SEEN + 0.01))
    assert face.detection.box == FACE
    assert face.detection.head == HEAD
    assert face.detection.track_id == 1
    assert face.detection.score == KEPT_SCORE
    assert face.crop == track().crop
    assert face.probabilities is MAPS[1]
    assert not face.parsed.cells.any()


def test_it_is_as_far_away_as_labels_may_have_led_but_no_farther() -> None:
    astray, nearer = box_around(380, 300, 80, 100), box_around(250, 300, 80, 100)
    assert [face.detection.box for face in kept(seen(box=astray))] == [astray]
    (face,) = kept(seen(0.99, astray), seen(0.8, nearer))
    assert face.detection.box == nearer


@pytest.mark.parametrize(
    "detections",
    [(), (seen(CLEARLY_SEEN - 0.01),), (seen(0.9, BESIDE),)],
)
def test_it_is_not_where_the_finder_does_not_see_it_clearly(
    detections: tuple[FaceDetection, ...],
) -> None:
    assert kept(*detections) == []


def test_neither_is_a_face_that_was_lost_before_or_that_is_not_in_doubt() -> None:
    assert kept(seen(), is_present=False) == []
    assert kept(seen(), is_unsure=False) == []


@pytest.mark.parametrize(
    "other",
    [
        shown(FACE, track_id=1),  # its labels show it after all
        shown(box_around(368, 300, 80, 100), track_id=1),  # or elsewhere in its crop
        shown(FACE, track_id=None),  # a crop around the place shows it
        shown(FACE, track_id=2),  # another track has it
    ],
)
def test_nor_one_that_something_else_shows(other: FaceCandidate) -> None:
    second = replace_id(track(), 2)
    found = seen_only(
        [track(), second], [other], [seen()], unsure={1: FACE}, maps=MAPS | {2: MAPS[1]}
    )
    assert found == []


def test_a_crop_around_the_place_that_shows_a_neighbours_face_again_does_not_hide_it() -> None:
    both = Box(left=255, top=250, right=505, bottom=350)
    second = replace_id(track(), 2)
    second.head = box_around(460, 285, 110, 150)
    others = [shown(BESIDE, track_id=2), shown(both, track_id=None)]
    found = seen_only(
        [track(), second], others, [seen()], unsure={1: FACE}, maps=MAPS | {2: MAPS[1]}
    )
    assert [face.detection.track_id for face in found] == [1]


def test_hair_does_not_outdo_the_face_where_that_was_seen_last_but_elsewhere_it_does() -> None:
    hair = shown(box_around(330, 280, 80, 100), track_id=1, is_turned_away=True)
    (face,) = kept(seen(), candidates=(hair,))
    assert face.detection.box == FACE
    assert not face.detection.is_turned_away
    near = box_around(370, 300, 80, 100)
    assert kept(seen(box=near), candidates=(hair,)) == []
    assert len(kept(seen(box=near))) == 1


def replace_id(one: Track, track_id: int) -> Track:
    one.track_id = track_id
    return one


def test_what_is_labelled_beside_it_in_its_crop_is_other_peoples() -> None:
    neighbour = shown(BESIDE, track_id=1)
    (face,) = kept(seen(), candidates=(replace_score(neighbour, 0.1),))
    assert face.all_parsed == [neighbour.parsed]


def replace_score(one: FaceCandidate, score: float) -> FaceCandidate:
    return replace(one, detection=replace(one.detection, score=score))
