"""Inputs that arrive at the pace of a clock."""

from __future__ import annotations

import io
from fractions import Fraction

TICK = Fraction(1, 25)


class FakeStandardInput:
    def __init__(self, buffer: io.IOBase) -> None:
        self.buffer = buffer
