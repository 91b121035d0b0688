"""What of a still picture is searched and examined, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.schedule import Schedule
from rtseg.faces.still_search import StillSearch
from rtseg.frames import Box
from rtseg.geometry.crop import box_around
from rtseg.settings import FaceSettings

PICTURE = np.zeros((720, 1280, 3), np.uint8)


def at(place: int, score: float = 0.2, *, aside: float = 0.0) -> FaceDetection:
    """A detection at one of many places that are far apart."""
    x, y = 60 + 120 * (place % 10) + aside, 60 + 120 * (place // 10)
    return FaceDetection(box=box_around(x, y, 60, 80), score=score)


class Finder:
    """Finds the given faces: first in the whole picture, then in parts of it."""

    def __init__(self, first: Sequence[FaceDetection], closer: Sequence[FaceDetection]) -> None:
        self.results = [list(first), list(closer)]
        self.known: list[Sequence[Box]] = []

    def __call__(
        self, picture: Any, infer: Any, *, regions: Any, known: Sequence[Box] = ()
    ) -> list[FaceDetection]:
        assert regions
        self.known.append(known)
        return self.results[len(self.known) - 1]

    def reset(self) -> None:
        """Nothing to forget."""


class Examiner:
    """Confirms what is at some places: those of the first at once, the others if rotated."""

    def __init__(self, *upright: FaceDetection, lying: Sequence[FaceDetection] = ()) -> None:
        self.upright, self.lying = upright, lying
        self.examined: list[FaceDetection] = []
        self.turned_places: list[FaceDetection] = []

    def __call__(self, detections: Sequence[FaceDetection], _infer: Any) -> list[Any]:
        self.examined += detections
        return [self._candidate(one, self.upright) for one in detections]

    def turned(self, detections: Sequence[FaceDetection], _infer: Any) -> list[Any]:
        self.turned_places += detections
        return [self._candidate(one, self.lying) for one in detections]

    def _candidate(self, one: FaceDetection, real: Sequence[FaceDetection]) -> Any:
        if not any(one.box.overlap(other.box) > 0.5 for other in real):
            return SimpleNamespace(detection=FaceDetection(box=one.box, score=0.3))
        candidate = SimpleNamespace(
            detection=FaceDetection(box=one.box, score=0.9), parsed=SimpleNamespace(face=one.box)
        )
        candidate.with_whole_face = lambda _found: candidate  # nothing is covered
        return candidate


def search(
    examiner: Examiner,
    first: Sequence[FaceDetection],
    closer: Sequence[FaceDetection] = (),
    *,
    max_faces: int = 4,
    min_score: float = 0.5,
    fine: bool = False,
) -> tuple[list[Box], Finder]:
    finder = Finder(first, closer)
    schedule = Schedule(every=12, aspect=384 / 224, stretch=False, fine=fine)
    settings = FaceSettings(max_faces=max_faces, min_score=min_score)
    still = StillSearch(finder, schedule, examiner, settings)  # type: ignore[arg-type]
    infer: Any = None
    return [face.detection.box for face in still(PICTURE, infer, infer)], finder


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
