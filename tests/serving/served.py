"""Streams from fake sources, and what is kept of their outputs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import av

from rtseg.serving.stream_server import (
    SourceStream,
    StreamDefinition,
)


def wait(until: Callable[[], object], *, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.005)


def goes_on(stream: SourceStream) -> None:
    """Wait for a few more frames."""
    before = stream.statistics.frames
    wait(lambda: stream.statistics.frames > before + 3)


def one(name: str, source: object, *outputs: str, **changes: object) -> StreamDefinition:
    made: StreamDefinition = StreamDefinition(
        name=name,
        source=source,  # type: ignore[arg-type]
        outputs=outputs,
        **changes,  # type: ignore[arg-type]
    )
    return made


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
