"""Turn PyAV's rational numbers into fractions, whatever its version."""

from __future__ import annotations

from fractions import Fraction
from typing import Any


def exact(value: Any) -> Fraction | None:
    """A time base, a rate or an aspect ratio of PyAV as a fraction; None where it is unset.

    PyAV 18 has fractions, or None for what is unset. PyAV 19 has a type of its own, which lacks
    some of a fraction's arithmetic, and 0/1 for what is unset.
    """
    if not value or not value.denominator:
        return None
    return Fraction(value.numerator, value.denominator)
