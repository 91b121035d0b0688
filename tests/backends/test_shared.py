"""One backend for several streams: joined batches, separate results, separate errors."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.backends.shared import SharedBackend
from rtseg.errors import BackendError, SettingError
from tests.support.painted import PaintedBackend, model


class Slow(Backend):
    """Returns each crop's first pixel; it fails at pixel value 13, and has a bug at 14."""

    name, device, precision = "slow", "cpu", "exact"

    def __init__(self, seconds: float = 0.02, max_batch: int = 8) -> None:
        self.model = model()
        self.max_batch = max_batch
        self.batches: list[int] = []
        self.at_once = 0
        self._seconds = seconds

    def infer(self, crops: Crops) -> ProbabilityBatch:
        self.at_once += 1
        assert self.at_once == 1, "two calls at once"
        time.sleep(self._seconds)
        self.at_once -= 1
        firsts = crops[:, 0, 0, 0]
        if (firsts == 14).any():
            raise ZeroDivisionError
        if (firsts == 13).any():
            raise BackendError("the device failed at 13")
        self.batches.append(len(crops))
        out = np.zeros((len(crops), 4, 4, 2), np.float32)
        out[...] = firsts[:, None, None, None]
        return out

    def close(self) -> None:
        raise AssertionError("it is whoever's that opened it")


def crops(*values: int) -> Crops:
    out = np.zeros((len(values), 256, 256, 3), np.uint8)
    out[:] = np.array(values, np.uint8)[:, None, None, None]
    return out


def ask_together(shared: SharedBackend, *questions: Crops) -> list[object]:
    """Call from one thread each; return the results' values, or the errors."""
    got: list[object] = [None] * len(questions)
    gate = threading.Barrier(len(questions))

    def ask(index: int) -> None:
        gate.wait(5)
        try:
            got[index] = [int(value) for value in shared.infer(questions[index])[:, 0, 0, 0]]
        except Exception as error:  # noqa: BLE001  compared by the test
            got[index] = error

    threads = [
        threading.Thread(target=ask, args=(index,), daemon=True) for index in range(len(questions))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return got


def test_simultaneous_requests_form_one_batch() -> None:
    backend = Slow()
    shared = SharedBackend(backend, expected=lambda: 3, longest_wait_seconds=2.0)
    assert ask_together(shared, crops(1), crops(2, 3), crops(4)) == [[1], [2, 3], [4]]
    assert backend.batches == [4]
    assert (shared.batches, shared.crops) == (1, 4)


def test_a_batch_is_no_larger_than_the_device_supports() -> None:
    backend = Slow(max_batch=2)
    shared = SharedBackend(backend, expected=lambda: 3, longest_wait_seconds=0.5)
    assert sorted(map(str, ask_together(shared, crops(1), crops(2), crops(3)))) == [
        "[1]",
        "[2]",
        "[3]",
    ]
    assert sorted(backend.batches) == [1, 2]
    # a request larger than one batch is split by the backend itself
    assert ask_together(shared, crops(1, 2, 3)) == [[1, 2, 3]]


def test_a_single_stream_does_not_wait() -> None:
    shared = SharedBackend(Slow(0.0), expected=lambda: 1, longest_wait_seconds=5.0)
    began = time.monotonic()
    shared.infer(crops(1))
    assert time.monotonic() - began < 2.0


def test_the_wait_for_an_absent_stream_is_short() -> None:
    shared = SharedBackend(Slow(0.0), expected=lambda: 2, longest_wait_seconds=0.01)
    began = time.monotonic()
    shared.infer(crops(1))
    assert 0.009 < time.monotonic() - began < 2.0


def test_requests_during_a_batch_form_the_next_one() -> None:
    backend = Slow(0.2)
    shared = SharedBackend(backend, expected=lambda: 1)
    first = threading.Thread(target=shared.infer, args=(crops(1),), daemon=True)
    first.start()
    time.sleep(0.05)
    assert ask_together(shared, crops(2), crops(3), crops(4)) == [[2], [3], [4]]
    first.join(5)
    assert backend.batches == [1, 3]


@pytest.mark.parametrize(("value", "kind"), [(13, BackendError), (14, ZeroDivisionError)])
def test_an_error_reaches_only_its_own_stream(value: int, kind: type[Exception]) -> None:
    shared = SharedBackend(Slow(), expected=lambda: 3, longest_wait_seconds=2.0)
    one, bad, other = ask_together(shared, crops(1), crops(value), crops(3))
    assert (one, other) == ([1], [3])
    assert isinstance(bad, kind)
    assert ask_together(shared, crops(7)) == [[7]]


def test_wrong_crops_are_refused_before_they_join_a_batch() -> None:
    shared = SharedBackend(Slow(), expected=lambda: 2, longest_wait_seconds=1.0)
    wrong = np.zeros((1, 8, 8, 3), np.uint8)
    good, bad = ask_together(shared, crops(1), wrong)
    assert good == [1]
    assert isinstance(bad, SettingError)


def test_results_equal_those_of_the_backend_alone() -> None:
    backend = PaintedBackend()
    shared = SharedBackend(backend, expected=lambda: 2, longest_wait_seconds=1.0)
    rng = np.random.default_rng(0)
    questions = [rng.integers(0, 256, (2, 256, 256, 3)).astype(np.uint8) for _ in range(2)]
    got: dict[int, ProbabilityBatch] = {}

    def ask(index: int) -> None:
        got[index] = shared.infer(questions[index])

    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    for index, question in enumerate(questions):
        assert np.array_equal(got[index], backend.infer(question))
        assert got[index].base is None, "it does not keep the whole batch"
    assert shared.name == "painted"
    shared.close()
    assert not backend.is_closed
