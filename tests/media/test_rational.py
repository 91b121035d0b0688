"""Rational numbers of any version of PyAV."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import av
import pytest

from rtseg.media.rational import exact


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Fraction(1001, 30000), Fraction(1001, 30000)),
        (None, None),
        # PyAV 19: unset, and what a broken header may state
        (Fraction(0, 1), None),
        (SimpleNamespace(numerator=1, denominator=0), None),
        (SimpleNamespace(numerator=2, denominator=50), Fraction(1, 25)),
    ],
)
def test_a_number_is_exact_or_unset(value: object, expected: Fraction | None) -> None:
    assert exact(value) == expected


def test_pyavs_numbers_become_fractions() -> None:
    frame = av.VideoFrame(16, 16, "yuv420p")
    assert exact(frame.time_base) is None
    frame.time_base = Fraction(1, 90000)
    read = exact(frame.time_base)
    assert type(read) is Fraction
    assert read == Fraction(1, 90000)
