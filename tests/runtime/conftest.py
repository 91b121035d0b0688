"""Check that no test of a pipeline leaves a thread behind."""

import threading
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _leave_no_thread_behind() -> Iterator[None]:
    before = threading.enumerate()
    yield
    assert threading.enumerate() == before
