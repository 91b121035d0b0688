"""A pipe on standard input that is filled at a pace."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.sources.paced import FakeStandardInput


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[bytes], float], None]]:
    read_end, write_end = os.pipe()
    threads: list[threading.Thread] = []

    def fill(pieces: list[bytes], seconds: float) -> None:
        def feed() -> None:
            with os.fdopen(write_end, "wb", buffering=0) as file:
                for piece in pieces:
                    file.write(piece)
                    time.sleep(seconds)

        threads.append(threading.Thread(target=feed))
        threads[0].start()

    with os.fdopen(read_end, "rb") as file:
        monkeypatch.setattr(sys, "stdin", FakeStandardInput(file))
        yield fill
        threads[0].join()
