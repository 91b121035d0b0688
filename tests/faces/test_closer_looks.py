"""What a finder makes of places from close by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from rtseg.faces.base import FaceDetection
from rtseg.faces.closer_looks import CloserLooks
from rtseg.faces.schedule import Schedule
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around

PICTURE = np.zeros((720, 1280, 3), np.uint8)
HERE, THERE, NOWHERE = (box_around(x, 300, 60, 80) for x in (100, 400, 900))


class Finder:
    """Finds the same in every region, and remembers these."""

    def __init__(self, *found: tuple[Box, float]) -> None:
        self.found = [FaceDetection(box=box, score=score) for box, score in found]
        self.searches: list[Sequence[Crop]] = []

    def __call__(
        self, picture: Any, infer: Any, *, regions: Sequence[Crop], known: Sequence[Box] = ()
    ) -> list[FaceDetection]:
        self.searches.append(regions)
        return self.found

    def reset(self) -> None:
        """Nothing to forget."""


def looks(finder: Finder, *, aspect: float = 384 / 224, **options: float) -> CloserLooks:
    schedule = Schedule(every=12, aspect=aspect, stretch=False, fine=False)
    return CloserLooks(finder, schedule, **options)


def scores(finder: Finder, *places: Box) -> list[float]:
    infer: Any = None
    return looks(finder)(PICTURE, infer, places)


def test_each_place_has_the_best_score_of_what_is_found_there() -> None:
    beside = box_around(106, 304, 60, 80)
    finder = Finder((THERE, 0.9), (beside, 0.4), (HERE, 0.3))
    assert scores(finder, HERE, NOWHERE, THERE) == [0.4, 0.0, 0.9]


def test_all_places_are_searched_at_once_each_in_the_middle_of_a_region() -> None:
    finder = Finder()
    scores(finder, HERE, THERE)
    (regions,) = finder.searches
    assert [region.box.centre for region in regions] == [
        pytest.approx(HERE.centre),
        pytest.approx(THERE.centre),
    ]


def test_without_a_place_nothing_is_searched() -> None:
    finder = Finder()
    assert scores(finder) == []
    assert finder.searches == []


def test_a_region_is_as_many_times_as_high_as_its_place_is_large() -> None:
    infer: Any = None
    for sizes in (2.0, 3.0):
        finder = Finder()
        looks(finder, aspect=1.5, sizes=sizes)(PICTURE, infer, [box_around(300, 300, 40, 90)])
        box = finder.searches[0][0].box
        assert (box.width, box.height) == pytest.approx((90 * sizes, 60 * sizes))
