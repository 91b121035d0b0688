"""How long to wait before trying again: longer after each failure."""

from __future__ import annotations

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 10.0
"""Seconds to wait before an attempt: doubles from the first value up to the second."""


def retry_delay(failures: int, *, first_seconds: float = FIRST_DELAY_SECONDS) -> float:
    """Return the seconds to wait after so many failures in a row, at least one."""
    return float(min(LONGEST_DELAY_SECONDS, first_seconds * 2 ** max(0, failures - 1)))
