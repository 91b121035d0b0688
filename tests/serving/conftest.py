"""A server of streams, and what its outputs kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from rtseg.serving import guarded_output, source_stream
from rtseg.serving.stream_server import (
    StreamServer,
)
from rtseg.sinks.registry import SinkOptions, register_sink
from tests.serving.served import wait
from tests.support.live_sources import Kept
from tests.support.painted import PaintedBackend


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StreamServer]:
    monkeypatch.setattr(source_stream, "FIRST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(guarded_output, "FIRST_RETRY_SECONDS", 0.05)
    backend = PaintedBackend(input_height=96, input_width=96)
    with StreamServer(backend, most_streams=6) as server:
        yield server
    assert not backend.is_closed, "the backend is whoever's that opened it"
    wait(lambda: not [one for one in threading.enumerate() if one.name.startswith("rtseg-")])


@pytest.fixture
def kept() -> dict[str, list[Kept]]:
    """The sinks made for `kept://NAME`, one for each time it was opened."""
    made: dict[str, list[Kept]] = {}

    def make(output: str, _options: SinkOptions) -> Kept:
        sink = Kept()
        made.setdefault(output.removeprefix("kept://"), []).append(sink)
        return sink

    register_sink(make, schemes=("kept",))
    return made
