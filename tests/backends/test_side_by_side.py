"""Several streams on a processor run the network at once, each on a core of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from rtseg.backends.base import Backend
from rtseg.backends.fallback import FallbackBackend
from rtseg.backends.shared import SharedBackend
from rtseg.backends.side_by_side import Lane, SideBySideBackend
from rtseg.errors import BackendError, SettingError
from rtseg.frames import Image, Probabilities
from tests.backends.test_shared import Slow, ask_together, crops

SECONDS = 10.0


class Lanes:
    """Lanes that return each crop's first pixel, once as many crops as expected are in progress."""

    def __init__(self, together: int) -> None:
        self.gate = threading.Barrier(together)
        self.fails = False

    def lane(self) -> Lane:
        result = np.zeros((64, 64, 11), np.float32)  # one for all calls, as a real lane has

        def run(crop: Image) -> Probabilities:
            if self.fails:
                raise RuntimeError("the device\n failed")
            result[:] = crop[0, 0, 0]
            self.gate.wait(SECONDS)
            return result

        return run


class Wide(Slow):
    """A backend that can run side by side."""

    def __init__(self, make: Callable[[Backend, int], Backend | None]) -> None:
        super().__init__()
        self._make = make

    def side_by_side(self, count: int) -> Backend | None:
        return self._make(self, count)

    def close(self) -> None:
        """It may be closed here."""


def beside(lanes: Lanes, count: int) -> SideBySideBackend:
    return SideBySideBackend(Slow(), [lanes.lane() for _ in range(count)])


def test_callers_do_not_wait_for_each_other() -> None:
    backend = Slow()
    shared = SharedBackend(backend, expected=lambda: 3, side_by_side=beside(Lanes(3), 3))
    # the barrier opens only if all three are in the network at the same time
    assert ask_together(shared, crops(1), crops(2), crops(4)) == [[1], [2], [4]]
    assert (shared.batches, shared.crops) == (3, 3)
    assert backend.batches == []


def test_callers_beyond_the_lanes_wait_for_one() -> None:
    shared = SharedBackend(Slow(), expected=lambda: 4, side_by_side=beside(Lanes(2), 2))
    assert ask_together(shared, *map(crops, (1, 2, 3, 4))) == [[1], [2], [3], [4]]


def test_a_single_caller_has_the_whole_processor() -> None:
    backend = Slow()
    shared = SharedBackend(backend, expected=lambda: 1, side_by_side=beside(Lanes(2), 2))
    assert shared.infer(crops(7))[0, 0, 0, 0] == 7
    assert backend.batches == [1]


def test_a_failure_side_by_side_is_left_to_the_backend() -> None:
    """It may have another run-time to continue with."""
    backend, lanes = Slow(), Lanes(1)
    shared = SharedBackend(backend, expected=lambda: 2, side_by_side=beside(lanes, 2))
    assert shared.infer(crops(3))[0, 0, 0, 0] == 3
    assert backend.batches == []
    lanes.fails = True
    assert shared.infer(crops(5))[0, 0, 0, 0] == 5
    lanes.fails = False
    assert shared.infer(crops(6))[0, 0, 0, 0] == 6
    assert backend.batches == [1, 1], "for good"


def test_wrong_crops_and_a_closed_backend_are_reported() -> None:
    wide = beside(Lanes(1), 2)
    with pytest.raises(SettingError, match="crops must be uint8"):
        wide.infer(crops(1)[:, :8])
    assert wide.infer(crops()).shape[0] == 0
    assert wide.infer(crops(9))[0, 0, 0, 0] == 9, "a lane is given back"
    wide.close()
    wide.close()
    for _ in range(3):
        with pytest.raises(BackendError, match="is closed"):
            wide.infer(crops(1))


def test_a_fallback_offers_what_its_backend_does() -> None:
    wide = FallbackBackend(Wide(lambda _, count: beside(Lanes(1), count)), [])
    assert isinstance(wide.side_by_side(2), SideBySideBackend)
    assert FallbackBackend(Slow(), []).side_by_side(2) is None
