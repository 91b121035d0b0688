"""What of a still picture is searched and examined, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.closer_looks import CloserLooks
from rtseg.faces.schedule import Schedule
from rtseg.faces.still_search import StillSearch
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around
from rtseg.settings import FaceSettings
from tests.faces.test_following_beside import candidate

PICTURE = np.zeros((720, 1280, 3), np.uint8)
SURE, NONE = 0.9, 0.05
"""Probabilities of what is no doubtful place."""


def at(place: int, score: float = 0.05, *, aside: float = 0.0) -> FaceDetection:
    """A detection at one of many places that are far apart."""
    x, y = 60 + 120 * (place % 10) + aside, 60 + 120 * (place // 10)
    return FaceDetection(box=box_around(x, y, 60, 80), score=score)


class Finder:
    """Finds the given faces: first in the whole picture, then in parts of it, then from close by.

    Attributes:
        known: the known faces of the first two searches.
        looks: the regions of each search from close by.
    """

    def __init__(
        self,
        first: Sequence[FaceDetection],
        closer: Sequence[FaceDetection],
        from_close_by: Sequence[FaceDetection],
    ) -> None:
        self.results = [list(first), list(closer)]
        self.from_close_by = list(from_close_by)
        self.known: list[Sequence[Box]] = []
        self.looks: list[list[Crop]] = []

    def __call__(
        self, picture: Any, infer: Any, *, regions: Sequence[Crop], known: Sequence[Box] = ()
    ) -> list[FaceDetection]:
        assert regions
        if regions[0].box.height < 300:  # smaller than any part of the picture
            self.looks.append(list(regions))
            return self.from_close_by
        self.known.append(known)
        return self.results[len(self.known) - 1]

    def reset(self) -> None:
        """Nothing to forget."""


class Examiner:
    """Confirms what is at some places: those of the first at once, the others if rotated.

    Args:
        upright, lying: the places.
        scores: the probabilities that crops give other places.
        leads_to: where the labels show a face in the crops around other places.
    """

    def __init__(
        self,
        *upright: FaceDetection,
        lying: Sequence[FaceDetection] = (),
        scores: Sequence[tuple[FaceDetection, float]] = (),
        leads_to: Box | None = None,
    ) -> None:
        self.upright, self.lying, self.scores = upright, lying, scores
        self.leads_to = leads_to
        self.examined: list[FaceDetection] = []
        self.turned_places: list[FaceDetection] = []

    def __call__(
        self, detections: Sequence[FaceDetection], _infer: Any
    ) -> list[FaceCandidate | None]:
        self.examined += detections
        return [self._candidate(one, self.upright) for one in detections]

    def turned(
        self, detections: Sequence[FaceDetection], _infer: Any
    ) -> list[FaceCandidate | None]:
        self.turned_places += detections
        return [self._candidate(one, self.lying) for one in detections]

    def _candidate(self, one: FaceDetection, real: Sequence[FaceDetection]) -> FaceCandidate:
        score, box = NONE, self.leads_to or one.box
        for other, probability in [*self.scores, *((face, SURE) for face in real)]:
            if one.box.overlap(other.box) > 0.5:
                score = probability
                box = one.box if probability == SURE else box
        shown = candidate(box, sure=0.9)
        return replace(shown, detection=replace(shown.detection, score=score))


def search(
    examiner: Examiner,
    first: Sequence[FaceDetection],
    closer: Sequence[FaceDetection] = (),
    *,
    from_close_by: Sequence[FaceDetection] = (),
    max_faces: int = 4,
    min_score: float = 0.5,
    fine: bool = False,
) -> tuple[list[Box], Finder]:
    finder = Finder(first, closer, from_close_by)
    schedule = Schedule(every=12, aspect=384 / 224, stretch=False, fine=fine)
    settings = FaceSettings(max_faces=max_faces, min_score=min_score)
    still = StillSearch(finder, schedule, examiner, settings)  # type: ignore[arg-type]
    infer: Any = None
    result = still(PICTURE, infer, infer)
    assert result.found == list(first)
    return [face.detection.box for face in result.confirmed], finder


def test_faces_of_the_whole_picture_and_of_parts_of_it_are_found() -> None:
    faces, finder = search(Examiner(at(0), at(5)), [at(0), at(3)], [at(5)])
    assert faces == [at(0).box, at(5).box]
    assert finder.known == [(), [at(0).box]]


def test_parts_are_not_searched_once_as_many_faces_are_found_as_are_followed() -> None:
    faces, finder = search(Examiner(at(0), at(1)), [at(0), at(1)], [at(5)], max_faces=2)
    assert len(faces) == 2
    assert len(finder.known) == 1
    # nor if everything was searched at once
    _, finder = search(Examiner(), [at(0)], fine=True)
    assert len(finder.known) == 1


def test_only_what_looks_likelier_or_is_new_in_a_part_is_examined_again() -> None:
    examiner = Examiner(at(0))
    first = [at(0, 0.9), at(1, 0.4), at(2, 0.4), at(3, 0.4)]
    closer = [
        at(0, 0.95, aside=3),  # a face already
        at(1, 0.3, aside=3),
        at(2, 0.4, aside=3),
        at(3, 0.5, aside=3),  # likelier than it was
        at(4, 0.1),  # new, although less likely than others
    ]
    search(examiner, first, closer)
    assert examiner.examined == [*first, closer[3], closer[4]]


@pytest.mark.parametrize("max_faces", [1, 4])
def test_only_eight_more_places_than_faces_are_examined_and_eight_in_parts(max_faces: int) -> None:
    examiner = Examiner()
    many, more = [at(place) for place in range(20)], [at(place) for place in range(30, 50)]
    search(examiner, many, more, max_faces=max_faces)
    assert examiner.examined == many[: max_faces + 8] + more[:8]


def test_the_two_likeliest_doubtful_places_are_examined_rotated() -> None:
    lying = at(7)
    examiner = Examiner(at(0), lying=[lying])
    first = [at(0, 0.98), at(1, 0.8), at(2, 1e-5)]
    faces, _ = search(examiner, first, [at(7, 0.95), at(8, 0.9), at(1, 0.85, aside=3)])
    assert faces == [at(0).box, lying.box]
    assert examiner.turned_places == [at(7, 0.95), at(8, 0.9)]


def test_neither_faces_nor_the_hopeless_nor_one_place_twice_are_examined_rotated() -> None:
    examiner = Examiner(at(0))
    beside = at(0, 0.95, aside=25)  # of the face, but its own crop shows none
    first = [at(0, 0.98), beside, at(1, 0.9), at(1, 0.8, aside=3), at(2, 1e-5)]
    search(examiner, first)
    assert examiner.turned_places == [at(1, 0.9)]


@pytest.mark.parametrize(("least", "count"), [(0.9, 1), (0.91, 0)])
def test_the_least_score_of_a_face_suffices(least: float, count: int) -> None:
    faces, _ = search(Examiner(at(0)), [at(0)], min_score=least)
    assert len(faces) == count


@pytest.mark.parametrize(
    ("score", "first", "from_close_by", "is_face"),
    [
        (0.7, 0.5, [], False),  # nothing is there from close by
        (0.7, 0.5, [at(0, 0.05)], False),
        (0.7, 0.5, [at(0, 0.9)], True),
        (0.2, 0.5, [at(0, 0.99)], True),
        (0.2, 0.5, [at(0, 0.3)], False),
        (0.2, 0.5, [at(5, 0.99)], False),  # it sees something else
        (0.7, 0.01, [at(0, 0.9)], False),  # both looks count
        (0.2, 0.95, [at(0, 0.3)], True),
    ],
)
def test_both_looks_at_a_doubtful_place_decide(
    score: float, first: float, from_close_by: Sequence[FaceDetection], is_face: bool
) -> None:
    examiner = Examiner(scores=[(at(0), score)])
    faces, _ = search(examiner, [at(0, first)], from_close_by=from_close_by)
    assert faces == ([at(0).box] if is_face else [])


def test_all_doubtful_places_are_looked_at_in_one_search_with_the_faces_large() -> None:
    examiner = Examiner(scores=[(at(0), 0.6), (at(3), 0.3), (at(5), 0.7)])
    _, finder = search(examiner, [at(0), at(3), at(4)], [at(5)])
    (look,) = finder.looks
    assert [region.box.centre for region in look] == [
        pytest.approx(place.box.centre) for place in (at(0), at(3), at(5))
    ]
    assert {round(region.box.height) for region in look} == {208}  # three times their size


@pytest.mark.parametrize("probability", [0.87, 0.13])
def test_what_is_certain_is_not_looked_at_again(probability: float) -> None:
    _, finder = search(Examiner(scores=[(at(0), probability)]), [at(0)])
    assert finder.looks == []


def test_a_place_that_leads_to_a_certain_face_is_not_looked_at_again() -> None:
    scores = [(at(3), 0.4)]
    assert search(Examiner(at(0), scores=scores), [at(0), at(3)])[1].looks != []
    examiner = Examiner(at(0), scores=scores, leads_to=at(0).box)
    assert search(examiner, [at(0), at(3)])[1].looks == []


def test_a_finder_that_is_the_labelling_network_is_not_asked_again() -> None:
    faces, finder = search(Examiner(scores=[(at(0), 0.7)]), [at(0)], fine=True)
    assert faces == [at(0).box]
    assert finder.looks == []


def test_what_is_no_face_from_close_by_is_examined_rotated() -> None:
    examiner = Examiner(lying=[at(0)], scores=[(at(1), 0.7)])
    faces, _ = search(examiner, [at(0, 0.9), at(1, 0.9)])
    assert faces == [at(0).box]
    assert examiner.turned_places == [at(0, 0.9), at(1, 0.9)]


@pytest.mark.parametrize(("size", "is_looked_at"), [(180, True), (200, False)])
def test_what_is_large_in_the_picture_cannot_be_seen_more_closely(
    size: int, is_looked_at: bool
) -> None:
    large = FaceDetection(box=box_around(600, 300, size, size), score=0.5)
    with pytest.MonkeyPatch.context() as patched:
        searched: list[Sequence[Box]] = []

        def look(_self: Any, _picture: Any, _infer: Any, places: Sequence[Box]) -> list[float]:
            searched.append(places)
            return [0.9] * len(places)

        patched.setattr(CloserLooks, "__call__", look)
        search(Examiner(scores=[(large, 0.7)]), [large])
    assert (large.box in searched[0]) == is_looked_at
