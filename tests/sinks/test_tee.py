"""Several outputs served by one sink, each closed exactly once."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.errors import SinkError
from rtseg.sinks.base import Sink
from rtseg.sinks.memory import MemorySink
from rtseg.sinks.tee import TeeSink
from tests.sinks.drawn import HEIGHT, WIDTH, info, item, picture, write_run


class CountingSink(Sink):
    """Counts calls, and fails on request."""

    def __init__(self, *, fails_at=None, wants_pixels=True, has_alpha=False, events=()):
        self.fails_at, self.events = fails_at, events
        self.wants_pixels, self.has_alpha = wants_pixels, has_alpha
        self.calls = []
        self.pictures = []

    def _note(self, what):
        self.calls.append(what)
        if what == self.fails_at:
            raise SinkError(f"fails at {what}")

    def open(self, info, *, width, height):
        self._note("open")

    def write(self, frame, segmentation, picture):
        self.pictures.append(picture)
        self._note("write")

    def copy(self, packet):
        self._note("copy")

    def poll(self):
        return self.events

    def close(self, outcome):
        self._note(f"close {outcome}")


def open_(sink):
    sink.open(info(), width=WIDTH, height=HEIGHT)


def test_everything_reaches_every_sink_in_order():
    sinks = [MemorySink(), MemorySink(pictures=True)]
    write_run(TeeSink(sinks), 3)
    for sink in sinks:
        assert [frame.index for frame in sink.frames] == [0, 1, 2]
        assert np.array_equal(sink.pictures[2], picture(2))
        assert sink.size == (WIDTH, HEIGHT)
        assert sink.outcome == "finished"


def test_pixels_go_only_to_sinks_that_want_them():
    plain, data = CountingSink(), CountingSink(wants_pixels=False, has_alpha=True)
    both = TeeSink([plain, data])
    assert both.wants_pixels
    assert not both.has_alpha, "only sinks that want pixels count"
    assert not TeeSink([data]).wants_pixels
    assert not TeeSink().wants_pixels
    write_run(both, 1)
    assert plain.pictures[0] is not None
    assert data.pictures == [None]


def test_transparency_becomes_black_for_sinks_without_it():
    plain, clear = CountingSink(), CountingSink(has_alpha=True)
    both = TeeSink([plain, clear])
    assert both.has_alpha
    write_run(both, 1, channels=4)
    shown = picture(0, 4)
    assert np.array_equal(clear.pictures[0], shown)
    expected = shown[..., :3] * (shown[..., 3:] / 255.0)
    assert np.abs(plain.pictures[0] - expected).max() <= 1


@pytest.mark.parametrize("fails_at", ["open", "write", "copy", "close finished"])
def test_each_sink_is_closed_exactly_once_whatever_fails(fails_at):
    sinks = [CountingSink(), CountingSink(fails_at=fails_at), CountingSink()]
    both = TeeSink(sinks)

    def run():
        open_(both)
        both.write(*item(0))
        both.copy(None)
        both.close("finished")

    with pytest.raises(SinkError, match=f"fails at {fails_at}"):
        run()
    both.close("failed")
    both.close("failed")
    for sink in sinks:
        closes = [call for call in sink.calls if call.startswith("close")]
        assert len(closes) == (1 if "open" in sink.calls else 0)


def test_of_several_errors_while_closing_the_first_is_raised():
    first, second = CountingSink(fails_at="close failed"), CountingSink(fails_at="close failed")
    both = TeeSink([CountingSink(), first, second])
    open_(both)
    with pytest.raises(SinkError) as caught:
        both.close("failed")
    assert caught.traceback[-2].frame.f_locals["self"] is first
    assert second.calls == ["open", "close failed"]


def test_a_recording_can_start_and_stop_during_the_run():
    window, recording = CountingSink(wants_pixels=False), MemorySink()
    both = TeeSink([window])
    open_(both)
    both.write(*item(0))
    assert not both.wants_pixels
    both.add(recording, info(), width=WIDTH, height=HEIGHT)
    assert both.wants_pixels
    both.write(*item(1))
    both.remove(recording)
    assert not both.wants_pixels
    assert recording.outcome == "finished"
    both.write(*item(2))
    both.close("finished")
    assert [frame.index for frame in recording.frames] == [1]
    with pytest.raises(SinkError, match="not being written"):
        both.remove(recording)


def test_a_recording_that_cannot_start_is_closed_and_the_run_continues():
    window, recording = CountingSink(), CountingSink(fails_at="open")
    both = TeeSink([window])
    open_(both)
    with pytest.raises(SinkError):
        both.add(recording, info(), width=WIDTH, height=HEIGHT)
    assert recording.calls == ["open", "close failed"]
    both.write(*item(0))
    both.close("finished")
    assert window.calls == ["open", "write", "close finished"]
    assert recording.calls == ["open", "close failed"]


def test_events_of_all_sinks_are_collected():
    both = TeeSink([CountingSink(events=("pause",)), CountingSink(events=("quit", "hud"))])
    open_(both)
    assert both.poll() == ("pause", "quit", "hud")
    both.close("finished")
