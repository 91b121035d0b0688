"""What several looks at one place say together."""

from __future__ import annotations

import pytest

from rtseg.faces.evidence import Evidence
from rtseg.geometry.crop import box_around

HERE, NEARBY, THERE = (box_around(x, 100, 40, 50) for x in (100, 106, 300))


def looked(*probabilities: float, every: int = 3, evidence: Evidence | None = None) -> float:
    """The probability after looks at one place, with some frames between them."""
    evidence = evidence or Evidence()
    for probability in probabilities:
        for _ in range(every):
            evidence.next_frame()
        together = evidence.weigh(HERE, probability)
    return together


@pytest.mark.parametrize("probability", [0.06, 0.4, 0.7, 0.999])
def test_the_first_look_at_a_place_counts_as_it_is(probability: float) -> None:
    assert looked(probability) == pytest.approx(probability)


def test_middling_looks_that_agree_are_a_face_at_last() -> None:
    assert looked(0.4) < looked(0.4, 0.4) < looked(*[0.4] * 8)
    assert looked(*[0.4] * 8) > 0.5


@pytest.mark.parametrize("every", [1, 3, 16])
def test_unlikely_looks_are_none_however_many_there_are(every: int) -> None:
    # looks at one thing are alike, so a hundred of them are worth hardly more than a few
    assert looked(*[0.2] * 100, every=every) < 0.45


def test_one_look_does_not_outdo_many_others() -> None:
    assert looked(*[0.1] * 8, 0.7) < 0.5
    assert looked(0.7) > 0.5


def test_a_face_that_turns_towards_the_camera_is_one_within_a_few_looks() -> None:
    assert looked(*[0.0] * 8, *[0.97] * 4) > 0.5


def test_old_looks_fade() -> None:
    evidence = Evidence()
    looked(*[0.1] * 8, evidence=evidence)
    for _ in range(75):
        evidence.next_frame()
    assert evidence.weigh(HERE, 0.7) > 0.5


def test_labels_that_show_nothing_once_do_not_settle_it() -> None:
    assert looked(0.0, 0.95, 0.95) > 0.5
    assert looked(0.0) < 0.1


def test_places_are_weighed_one_by_one_and_known_again_when_they_move() -> None:
    evidence = Evidence()
    looked(*[0.1] * 8, evidence=evidence)
    assert evidence.weigh(THERE, 0.6) == pytest.approx(0.6)
    assert evidence.weigh(NEARBY, 0.7) < 0.5
    evidence.move(NEARBY, box_around(500, 100, 40, 50))
    assert evidence.weigh(box_around(500, 100, 40, 50), 0.7) < 0.5
    assert evidence.weigh(HERE, 0.7) == pytest.approx(0.7)


def test_what_a_look_would_say_is_told_without_counting_it() -> None:
    evidence = Evidence()
    looked(0.4, 0.3, evidence=evidence)
    expected = evidence.expected(HERE, 0.8)
    assert evidence.expected(HERE, 0.8) == expected == evidence.weigh(HERE, 0.8)
    assert evidence.expected(THERE, 0.6) == pytest.approx(0.6)
    assert not evidence.is_promising(THERE)


def test_several_looks_in_one_frame_are_one_visit() -> None:
    """A place is looked at again as soon, whether a look was doubtful and led to another or not."""
    waits = []
    for looks in (1, 3):
        evidence = Evidence()
        for _ in range(4):
            for _ in range(3):
                evidence.next_frame()
            for _ in range(looks):
                evidence.weigh(HERE, 0.3)
        waited = 0
        while not evidence.due():
            evidence.next_frame()
            waited += 1
        waits.append(waited)
    assert waits[0] == waits[1] == 3


def test_a_promising_place_is_due_soon_and_ever_later() -> None:
    evidence = Evidence()
    waits = []
    for _ in range(8):
        evidence.weigh(HERE, 0.2)
        waited = 0
        while not evidence.due():
            evidence.next_frame()
            waited += 1
        waits.append(waited)
    assert waits[0] <= 3
    assert waits == sorted(waits)
    assert waits[-1] > 4 * waits[0]
    assert evidence.due() == [HERE]


def test_a_place_that_was_searched_without_a_look_at_it_is_not_due_in_every_frame() -> None:
    evidence = Evidence()
    evidence.weigh(HERE, 0.4)
    evidence.weigh(THERE, 0.4)
    due = []
    for _ in range(12):
        evidence.next_frame()
        due.append(evidence.due())
        for place in due[-1]:
            if place == HERE:
                evidence.searched(place)
    assert [HERE in places for places in due] == 4 * [False, False, True]
    assert [THERE in places for places in due] == 2 * [False] + 10 * [True]


def test_the_most_promising_place_is_due_first_and_a_hopeless_one_never() -> None:
    evidence = Evidence()
    evidence.weigh(box_around(600, 100, 40, 50), 0.05)
    evidence.weigh(HERE, 0.2)
    evidence.weigh(THERE, 0.4)
    for _ in range(3):
        evidence.next_frame()
    assert evidence.due() == [THERE, HERE]
    assert evidence.is_promising(HERE)
    assert not evidence.is_promising(box_around(600, 100, 40, 50))
    assert not evidence.is_promising(box_around(800, 100, 40, 50))


def test_places_are_forgotten_in_the_end() -> None:
    evidence = Evidence()
    evidence.weigh(HERE, 0.4)
    for _ in range(200):
        evidence.next_frame()
    assert evidence.due() == []
