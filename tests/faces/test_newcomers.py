"""Which places of a stream are confirmed, and which followed faces are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import CandidateExaminer, FaceCandidate
from rtseg.faces.newcomers import NEW_A_FRAME, Newcomers
from rtseg.frames import Box
from rtseg.geometry.crop import box_around
from tests.faces.test_following_beside import candidate

FACE, ELSEWHERE = box_around(300, 300, 80, 100), box_around(600, 300, 80, 100)
HEAD = box_around(300, 280, 110, 150)


class Shows:
    """An examiner whose crops show the same at every place."""

    def __init__(self, score: float | None, *, best_score: float | None = None) -> None:
        self.score, self.best_score = score, best_score
        self.places: list[Box] = []

    def __call__(
        self, detections: Sequence[FaceDetection], *_args: Any, **_options: Any
    ) -> list[FaceCandidate | None]:
        self.places += [detection.box for detection in detections]
        if self.score is None:
            return [None] * len(detections)
        found: list[FaceCandidate | None] = []
        for detection in detections:
            shown = candidate(detection.box, sure=0.9)
            scored = replace(shown.detection, score=self.score)
            found.append(replace(shown, detection=scored, best_score=self.best_score))
        return found

    turned = __call__


def newcomers(score: float | None = None, *, best_score: float | None = None) -> Newcomers:
    examine = cast(CandidateExaminer, Shows(score, best_score=best_score))
    return Newcomers(examine, min_score=0.5)


def seen(box: Box = FACE, *, score: float = 0.9) -> FaceDetection:
    return FaceDetection(box=box, score=score, head=HEAD)


def confirmed(made: Newcomers, *, lost: Sequence[Box] = ()) -> list[FaceCandidate]:
    faces, _ = made.confirmed(
        [seen()],
        lambda crops: [],
        known=[],
        lost=lost,
        beside=[],
        is_anyone_followed=bool(lost),
    )
    return faces


def vague(track_id: int, box: Box = FACE) -> FaceCandidate:
    """What a followed face's crop shows if its parts are hardly visible."""
    shown = candidate(box, sure=0.78, parts=0.33)
    return replace(shown, detection=replace(shown.detection, track_id=track_id))


def test_a_new_place_is_confirmed_from_the_least_score_on() -> None:
    assert confirmed(newcomers(0.45)) == []
    (face,) = confirmed(newcomers(0.55))
    assert face.detection.score == pytest.approx(0.55)


def test_where_a_face_was_just_lost_less_will_do() -> None:
    assert len(confirmed(newcomers(0.45), lost=[FACE])) == 1
    assert confirmed(newcomers(0.45), lost=[ELSEWHERE]) == []
    assert confirmed(newcomers(0.2), lost=[FACE]) == []


def test_the_crop_that_shows_a_face_best_counts() -> None:
    assert len(confirmed(newcomers(0.3, best_score=0.6))) == 1
    assert confirmed(newcomers(0.3, best_score=0.4)) == []


def test_a_followed_face_is_kept_where_the_finder_sees_it() -> None:
    (kept,) = newcomers().kept([vague(1)], [seen()], unsure={1: FACE})
    assert vague(1).detection.score < 0.3 <= kept.detection.score
    assert kept.detection.head == HEAD
    assert kept.detection.track_id == 1


def test_its_face_is_where_the_finder_sees_it_and_not_the_part_that_labels_show() -> None:
    part = vague(1, box_around(310, 330, 30, 20))
    (kept,) = newcomers().kept([part], [seen()], unsure={1: FACE})
    assert kept.parsed.face == kept.detection.box == FACE


@pytest.mark.parametrize(
    ("box", "score", "is_followed"),
    [
        (box_around(390, 300, 180, 100), 0.9, False),  # half of it and somebody beside it
        (box_around(375, 300, 80, 100), 0.9, False),  # somebody beside it
        (box_around(375, 300, 80, 100), 0.6, True),  # the finder may be wrong about where it is
        (box_around(320, 300, 80, 100), 0.9, True),
    ],
)
def test_its_labels_are_not_followed_elsewhere_while_the_finder_clearly_sees_it(
    box: Box, score: float, is_followed: bool
) -> None:
    shown = candidate(box, sure=0.9)
    shown = replace(shown, detection=replace(shown.detection, track_id=1, score=0.8))
    other = replace(shown, detection=replace(shown.detection, track_id=2))
    kept = newcomers().kept([shown, other], [seen(score=score)], unsure={1: FACE})
    assert [one.detection.score >= 0.3 for one in kept] == [is_followed, True]
    assert all(one.parsed.promise > 0.3 for one in kept)  # somebody beside may be examined


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_lost_face_is_where_the_finder_sees_it_if_labels_show_a_part(is_lost: bool) -> None:
    class ShowsAPart(Shows):
        def __call__(self, *args: Any, **options: Any) -> list[FaceCandidate | None]:
            (found,) = super().__call__(*args, **options)
            assert found is not None
            part = box_around(300, 330, 30, 20)
            detection = replace(found.detection, box=part)
            return [replace(found, detection=detection, parsed=replace(found.parsed, face=part))]

    made = Newcomers(cast(CandidateExaminer, ShowsAPart(0.6)), min_score=0.5)
    (face,) = confirmed(made, lost=[FACE] if is_lost else [])
    assert (face.detection.box == FACE) == is_lost


@pytest.mark.parametrize(("score", "stays"), [(0.9, True), (0.5, False)])
def test_it_stays_for_as_long_as_the_finder_is_certain(score: float, stays: bool) -> None:
    """However little its labels show: many vague looks alone would count against it."""
    made = newcomers()
    shown = [replace(vague(1), parsed=replace(vague(1).parsed, sure=0.5))]
    for _ in range(30):
        (kept,) = made.kept(shown, [seen(score=score)], unsure={1: FACE})
    assert (kept.detection.score >= 0.3) == stays


@pytest.mark.parametrize("is_examined", [True, False])
def test_of_a_frames_crops_at_a_place_the_one_that_shows_a_face_best_counts(
    is_examined: bool,
) -> None:
    """The crop of a followed face may show a part of it alone, which says little of the face."""
    poor = candidate(box_around(300, 330, 20, 20), sure=0.25, parts=0.33)
    poor = replace(poor, detection=replace(poor.detection, track_id=1))
    made = newcomers(0.45)
    for _ in range(2):
        assert made.kept([poor], [seen(score=0.4)], unsure={1: FACE}) == [poor]
        made.confirmed(
            [seen(score=0.4)],
            lambda crops: [],
            known=[] if is_examined else [FACE],
            lost=[FACE],
            beside=[],
            is_anyone_followed=True,
        )
    assert (made.evidence.weigh(FACE, 0.45) > 0.4) == is_examined


@pytest.mark.parametrize(
    ("detections", "unsure"),
    [
        ([], {1: FACE}),  # the finder sees nothing
        ([seen(ELSEWHERE)], {1: FACE}),  # or something else
        ([seen(score=0.1)], {1: FACE}),  # or hardly anything
        ([seen()], {2: FACE}),  # another face is in doubt
    ],
)
def test_otherwise_it_is_as_its_labels_say(
    detections: list[FaceDetection], unsure: dict[int, Box]
) -> None:
    shown = [vague(1)]
    assert newcomers().kept(shown, detections, unsure=unsure) == shown


def test_what_a_finder_and_the_labels_saw_of_a_followed_face_counts_later() -> None:
    made = newcomers()
    for _ in range(3):
        made.seen_again(FACE, 0.95, [seen(ELSEWHERE), seen()])
    assert made.evidence.weigh(FACE, 0.3) > 0.5
    made = newcomers()
    made.seen_again(FACE, 0.95, [seen(ELSEWHERE)])
    assert made.evidence.weigh(FACE, 0.3) == pytest.approx(0.3)


def test_it_counts_against_a_place_if_the_finder_sees_nothing_from_close_by() -> None:
    made = newcomers()
    made.evidence.weigh(FACE, 0.4)
    made.searched_closely([FACE], [seen()])
    assert made.evidence.is_promising(FACE)
    for _ in range(3):
        made.searched_closely([FACE], [seen(ELSEWHERE)])
    assert not made.evidence.is_promising(FACE)


def examined_at(made: Newcomers, *, frames: Sequence[int], scores: Sequence[float]) -> list[int]:
    """In which frames a place is examined that a finder sees in some, with a score in each."""
    shows = cast(Shows, made.examine)
    at = []
    for frame in range(max(frames) + 1):
        made.next_frame()
        before = len(shows.places)
        scored = [seen(score=scores[frames.index(frame)])] if frame in frames else []
        made.confirmed(
            scored, lambda crops: [], known=[], lost=[], beside=[], is_anyone_followed=True
        )
        at += [frame] * (len(shows.places) > before)
    return at


def test_a_place_that_a_finder_sees_clearly_now_does_not_wait_for_what_it_hardly_saw() -> None:
    frames = [0, 20, 40, 80, 84]
    assert examined_at(newcomers(None), frames=frames, scores=[0.1] * 4 + [0.9]) == frames
    assert examined_at(newcomers(None), frames=frames, scores=[0.1] * 5) == frames[:-1]


class Crowd:
    """Fourteen faces beside each other, which a finder sees in the first frame alone.

    Args:
        score: of the finder.
        found: whether the finder sees them in the first frame; else it sees nobody.
    """

    def __init__(self, *, score: float = 0.9, found: bool = True) -> None:
        self.shows = Shows(0.9)
        self.made = Newcomers(cast(CandidateExaminer, self.shows), min_score=0.5)
        self.faces = [
            seen(box_around(100 * index, 300, 60, 80), score=score) for index in range(14)
        ]
        self.known: list[Box] = []
        self.examined: list[int] = []
        self.step(self.faces if found else [])

    def step(self, detections: Sequence[FaceDetection] = (), *, has_room: bool = True) -> None:
        before = len(self.shows.places)
        self.made.next_frame()
        faces, _ = self.made.confirmed(
            detections,
            lambda crops: [],
            known=self.known,
            lost=[],
            beside=[],
            is_anyone_followed=bool(self.known),
            has_room=has_room,
        )
        self.known += [face.parsed.face for face in faces]
        self.examined.append(len(self.shows.places) - before)


def test_two_are_examined_in_a_frame_and_the_others_wait_for_the_next_frames() -> None:
    crowd = Crowd()
    for _ in range(7):
        crowd.step()
    assert crowd.examined == [NEW_A_FRAME] * 7 + [0]
    assert crowd.known == [face.box for face in crowd.faces]


def test_they_wait_for_so_long_only_as_they_are_where_they_were_seen() -> None:
    crowd = Crowd(found=False)
    crowd.step(crowd.faces + [seen(box_around(100 * index, 600, 60, 80)) for index in range(14)])
    for _ in range(20):
        crowd.step()
    assert crowd.examined[:2] == [0, NEW_A_FRAME]
    assert NEW_A_FRAME < sum(crowd.examined) < 28
    assert crowd.examined[-1] == 0


def test_what_waits_is_forgotten_where_no_more_faces_are_followed() -> None:
    crowd = Crowd()
    crowd.step(has_room=False)
    crowd.step()
    assert crowd.examined[1:] == [0, 0]


def test_what_is_probably_no_face_does_not_wait() -> None:
    crowd = Crowd(score=0.1)
    for _ in range(20):
        crowd.step()
    assert sum(crowd.examined) == 1


def test_what_was_examined_waits_no_more() -> None:
    crowd = Crowd(found=False)
    crowd.shows.score = None
    crowd.step(crowd.faces)
    for _ in range(20):
        crowd.step()
    assert sum(crowd.examined) == len(set(crowd.shows.places)) == len(crowd.faces)


def test_what_waits_is_where_it_was_seen_last() -> None:
    crowd = Crowd()
    waiting = crowd.faces[NEW_A_FRAME]
    moved = replace(waiting, box=box_around(waiting.box.centre[0] + 5, 302, 60, 80))
    crowd.step([moved])
    assert moved.box in crowd.known
    assert waiting.box not in crowd.known


def test_after_a_cut_nobody_waits() -> None:
    crowd = Crowd()
    crowd.made.reset()
    crowd.step()
    assert crowd.examined[1] == 0
    crowd.step(crowd.faces)
    assert crowd.examined[2] == NEW_A_FRAME


def test_what_was_examined_in_the_first_frame_counts_for_later_looks() -> None:
    made = newcomers()
    shown = candidate(FACE, sure=0.9)
    doubtful = replace(shown, detection=replace(shown.detection, score=0.4))
    made.remember([(seen(), doubtful), (seen(ELSEWHERE), None)])
    assert made.evidence.is_promising(FACE)
    assert not made.evidence.is_promising(ELSEWHERE)
    assert made.evidence.weigh(ELSEWHERE, 0.4) == pytest.approx(0.4)
