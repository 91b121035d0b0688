"""Measure which of several functions is fastest on this machine, by alternating runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

TURNS = 6

CLEAR_GAIN = 1.25
"""How many times as fast as the other precision INT8 must be for `auto` to take it.

INT8 flickers a little more, and a choice between near equals would differ from run to run.
"""


def fastest_in_turns(
    candidates: Mapping[str, Callable[[], object]], *, turns: int = TURNS
) -> dict[str, float]:
    """Return the shortest time of each function in milliseconds.

    They are called in turns, with one uncounted turn first, and each one's best time counts, so
    that a busy moment does not decide.

    Args:
        candidates: the functions by name.
        turns: how many calls of each are counted.
    """
    fastest = dict.fromkeys(candidates, float("inf"))
    for turn in range(turns + 1):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            if turn:
                fastest[name] = min(fastest[name], (time.perf_counter() - start) * 1e3)
    return fastest
