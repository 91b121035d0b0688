"""Measure which of several choices is fastest on this machine, by alternating runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

TURNS = 6


def fastest_in_turns(
    candidates: Mapping[str, Callable[[], object]], *, turns: int = TURNS
) -> dict[str, float]:
    """The least milliseconds of each of several calls.

    They are called in turns, once more than is counted, and the best of each counts: a busy moment
    does not decide.

    Args:
        candidates: the calls by name.
        turns: how many of each are counted.
    """
    fastest = dict.fromkeys(candidates, float("inf"))
    for turn in range(turns + 1):
        for name, call in candidates.items():
            start = time.perf_counter()
            call()
            if turn:
                fastest[name] = min(fastest[name], (time.perf_counter() - start) * 1e3)
    return fastest
