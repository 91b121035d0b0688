"""Times of decoded pictures: kept where they can be, repaired where they cannot."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from rtseg.sources.timestamps import Timeline

TICK = Fraction(1, 1000)


def picture(pts: int | None, *, dts: int | None = None, duration: int = 0) -> Any:
    return SimpleNamespace(pts=pts, dts=dts, duration=duration)


def placed(*pictures: Any, rate: Fraction | None = Fraction(25)) -> list[int]:
    timeline = Timeline(TICK, rate)
    return [timeline.place(each) for each in pictures]


def test_times_that_increase_are_kept() -> None:
    assert placed(*map(picture, (7, 40, 41, 900, 5000))) == [7, 40, 41, 900, 5000]


def test_a_picture_without_a_time_follows_the_last_one() -> None:
    assert placed(picture(None), picture(None), picture(None)) == [0, 40, 80]
    assert placed(picture(10), picture(None), picture(100)) == [10, 50, 100]
    assert placed(picture(10, duration=33), picture(None), rate=None) == [10, 43]
    assert placed(picture(None, dts=5), picture(None, dts=45)) == [5, 45]


@pytest.mark.parametrize("duration", [0, -7, None])
def test_an_impossible_duration_is_ignored(duration: int | None) -> None:
    assert placed(picture(10, duration=duration), picture(None)) == [10, 50]  # type: ignore[arg-type]


def test_the_step_is_at_least_one_tick() -> None:
    assert placed(picture(3), picture(None), rate=Fraction(5000)) == [3, 4]


@pytest.mark.parametrize(("back", "expected"), [(0, 501), (400, 501), (1000, 501)])
def test_a_small_step_back_becomes_one_tick_forward(back: int, expected: int) -> None:
    timeline = Timeline(TICK, Fraction(25))
    times = []
    for pts in (460, 500, 500 - back, 540):
        times.append(timeline.place(picture(pts)))
        assert not timeline.jumped
    assert times == [460, 500, expected, 540]


def test_a_step_back_of_more_than_a_second_is_a_clock_that_was_set_back() -> None:
    timeline = Timeline(TICK, Fraction(25))
    assert not timeline.jumped, "no picture yet"
    times = [timeline.place(picture(pts)) for pts in (5000, 3999, 4039)]
    assert times == [5000, 5040, 5080]


def test_a_clock_that_is_set_back_continues_from_there() -> None:
    """All times after it move by as much: a stream that was joined on keeps its pace."""
    timeline = Timeline(TICK, Fraction(25))
    times, jumps = [], []
    for pts in (5000, 5040, 0, 40, 90, 130, 1, 41):
        times.append(timeline.place(picture(pts)))
        jumps.append(timeline.jumped)
    assert times == [5000, 5040, 5080, 5120, 5170, 5210, 5211, 5212]
    assert jumps == [False, False, True, False, False, False, False, False]


def test_a_clock_set_back_twice_continues() -> None:
    times = placed(*map(picture, (9000, 9040, 100, 140, 3000, 200, 240)))
    assert times == [9000, 9040, 9080, 9120, 11980, 12020, 12060]


def test_decoding_times_replace_guessed_times() -> None:
    """Two steps back of the presentation times, none of the decoding times: the latter count."""
    frames = [(0, 0), (120, 40), (40, 80), (80, 120), (240, 160), (160, 200), (200, 240)]
    times = placed(*(picture(pts, dts=dts) for pts, dts in frames))
    assert times[-3:] == [160, 200, 240]
    assert times == sorted(set(times))


def test_presentation_times_are_used_unless_they_go_back_more_often() -> None:
    assert placed(picture(10, dts=0), picture(50, dts=40), picture(90, dts=80)) == [10, 50, 90]
    assert placed(picture(None), picture(None), rate=None) == [0, 40], "25 a second if unknown"
