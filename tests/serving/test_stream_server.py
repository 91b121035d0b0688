"""Many streams through one backend: fair turns, newest frames, separate faults."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from rtseg.errors import SourceError
from rtseg.frames import Frame, Picture
from rtseg.serving.stream_server import ServerFullError, StreamServer
from tests.serving.served import wait
from tests.support.painted import PaintedBackend, PaintedOnGpu, frame, scene


@pytest.fixture
def server() -> Iterator[StreamServer]:
    backend = PaintedBackend()
    server = StreamServer(backend, most_streams=3)
    yield server
    server.close()
    assert not backend.is_closed, "the backend is whoever's that opened it"


class Received(list[Picture]):
    """The pictures delivered to a stream; `hold` makes the delivery wait."""

    def __init__(self) -> None:
        super().__init__()
        self.indexes: list[int] = []
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, picture: Picture, shown: Frame) -> None:
        self.hold.wait(10)
        self.append(picture)
        self.indexes.append(shown.index)


def picture_of(index: int, x: int = 160) -> Frame:
    image, _ = scene(240, 320, (x, 120, 160))
    return frame(image, index)


def test_a_stream_gets_its_pictures_drawn(server: StreamServer) -> None:
    got = Received()
    stream = server.add("one", deliver=got)
    server.put(stream, lambda: picture_of(0))
    wait(lambda: got)
    assert got[0].shape == (240, 320, 3)
    assert stream.faces == 1
    assert np.abs(got[0].astype(int) - picture_of(0).image).max() >= 0
    wait(lambda: stream.statistics.frames == 1)
    assert stream.statistics.latency_ms > 0


def test_the_newest_frame_wins_and_replaced_ones_are_never_made(server: StreamServer) -> None:
    got = Received()
    stream = server.add("one", deliver=got)
    got.hold.clear()
    made: list[int] = []

    def make(index: int) -> Frame:
        made.append(index)
        return picture_of(index)

    server.put(stream, lambda: make(0))
    wait(lambda: made == [0])
    for index in range(1, 9):
        server.put(stream, lambda index=index: make(index))
    got.hold.set()
    wait(lambda: len(got) == 2)
    assert made == [0, 8]
    assert got.indexes == [0, 8]
    assert stream.statistics.dropped == 7


def test_turns_are_fair(server: StreamServer) -> None:
    """A stream that always has a frame waiting does not keep others from being served."""
    all_got = [Received() for _ in range(3)]
    streams = [server.add(str(i), deliver=got) for i, got in enumerate(all_got)]
    index = 0
    while sum(len(got) for got in all_got) < 30:
        for stream in streams:
            for _ in range(3):
                server.put(stream, lambda index=index: picture_of(index))
                index += 1
        time.sleep(0.002)
    counts = [len(got) for got in all_got]
    assert min(counts) >= 0.6 * max(counts), counts


def test_each_has_its_own_tracker_and_view(server: StreamServer) -> None:
    one, other = Received(), Received()
    first = server.add("one", deliver=one)
    second = server.add("other", deliver=other)
    second.controls.change({"view": "mask"})
    for index in range(3):
        server.put(first, lambda index=index: picture_of(index, x=100))
        server.put(second, lambda index=index: picture_of(index, x=220))
        wait(lambda index=index: len(one) == len(other) == index + 1)
    assert first.segmenter is not second.segmenter
    assert first.view.settings.view == "overlay"
    assert (other[-1][0, 0] == other[-1][0, -1]).all()
    assert not np.array_equal(one[-1], other[-1])


def test_an_error_ends_only_its_own_stream(
    server: StreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    fine, broken = Received(), Received()
    good = server.add("good", deliver=fine)
    bad = server.add("bad", deliver=broken)

    def fail() -> Frame:
        raise SourceError("bad: its picture cannot be read")

    server.put(bad, fail)
    wait(lambda: bad.error is not None)
    assert bad not in server.streams
    server.put(good, lambda: picture_of(0))
    wait(lambda: fine)
    assert good.error is None

    worse = server.add("worse", deliver=broken)

    def crash() -> Frame:
        raise ZeroDivisionError

    server.put(worse, crash)
    wait(lambda: worse.error is not None)
    server.put(good, lambda: picture_of(1))
    wait(lambda: len(fine) == 2)


def test_a_stream_too_many_is_refused_until_another_ends(server: StreamServer) -> None:
    streams = [server.add(str(i), deliver=Received()) for i in range(3)]
    with pytest.raises(ServerFullError, match="3 are served already"):
        server.add("more", deliver=Received())
    server.remove(streams[0])
    server.remove(streams[0])
    server.add("more", deliver=Received())


def test_a_removed_stream_is_not_served(server: StreamServer) -> None:
    got = Received()
    stream = server.add("one", deliver=got)
    server.remove(stream)
    server.put(stream, lambda: picture_of(0))
    time.sleep(0.1)
    assert not got


def test_networks_on_a_gpu_are_prepared_before_any_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    backend, finder = PaintedOnGpu(), PaintedOnGpu(view="finder")
    monkeypatch.setattr("rtseg.serving.stream_server.open_beside", lambda *_: finder)
    with StreamServer(backend):
        assert (backend.warm_ups, finder.warm_ups) == (1, 1)
    assert finder.is_closed
