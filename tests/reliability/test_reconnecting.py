"""Cameras that fail, freeze and return, with sources and devices that do so on purpose."""

from __future__ import annotations

import sys
import threading
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtseg.errors import LostError, SourceError, TruncatedError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.runtime.pipeline import Pipeline
from rtseg.settings import CameraSettings, StreamSettings
from rtseg.sinks.memory import MemorySink
from rtseg.sources import Source, open_source
from rtseg.sources.camera import CameraSource
from rtseg.sources.reconnecting import ReconnectingSource
from rtseg.testing import FakeSource
from tests.support import devices

TICK = Fraction(1, 1000)


def segment(frame: Frame) -> Segmentation:
    return Segmentation(labels=frame.image[..., 0] * 0, label_set=HELEN)


def camera(capture: Any, *, device: int | str = 0, stale_after: float = 0.4) -> ReconnectingSource:
    def connect(closed: threading.Event) -> Source:
        return CameraSource(
            device,
            settings=CameraSettings(),
            timeout_seconds=60,
            silence_seconds=stale_after,
            closed=closed,
            capture=capture,
        )

    return ReconnectingSource(
        connect, settings=StreamSettings(stale_after=stale_after), first_delay_seconds=0.05
    )


@pytest.mark.parametrize(
    "capture",
    [devices.dies_at_frame_40, devices.freezes_at_frame_40, devices.falls_silent_at_frame_40],
)
def test_a_camera_that_dies_freezes_or_falls_silent_comes_back(
    capture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtseg.sources.camera._GRACE_SECONDS", 0.1)
    frames: list[Frame] = []
    with camera(capture) as source:
        for frame in source:
            assert isinstance(frame, Frame)
            frames.append(frame)
            if source.reconnects == 1:
                break
    new = [index for index, frame in enumerate(frames) if frame.discontinuity]
    assert new == [len(frames) - 1]
    assert frames[-2].index - frames[0].index >= 2
    for before, after in pairwise(frames):
        assert after.pts > before.pts
        assert after.index > before.index
    # Noticed within stale_after; the rest is the start of a new process.
    assert frames[-1].captured_ns - frames[-2].captured_ns < 20e9


def test_a_camera_that_is_busy_at_first_is_retried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level("WARNING", "rtseg"),
        camera(devices.is_busy_at_first, device=str(tmp_path / "state")) as source,
    ):
        assert isinstance(next(iter(source)), Frame)
        assert source.reconnects == 1
    assert "cannot be opened; another program may be using it" in caplog.text
    assert "trying again in 0.05 s (1 of 10)" in caplog.text


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/video is Linux's")
def test_a_missing_camera_is_an_error_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SourceError, match="there is no such camera"), caplog.at_level("WARNING"):
        open_source("/dev/video63", stream=StreamSettings())
    assert "trying again" not in caplog.text


def fake(*items: Any, spacing: float | None = None, **options: Any) -> FakeSource:
    """A live source of grey levels and errors. With `spacing`, frames have capture times that many
    seconds apart."""
    captured_ns = None
    if spacing is not None:
        captured_ns = lambda index: 10**9 + round(index * spacing * 1e9)  # noqa: E731
    return FakeSource(
        items, time_base=TICK, ticks=100, is_live=True, captured_ns=captured_ns, **options
    )


class Door:
    """Opens prepared sources one after the other; an error stands for a failure to open."""

    def __init__(self, *sources: Any) -> None:
        self.sources = list(sources)
        self.opened: list[FakeSource] = []

    def __call__(self, closed: threading.Event) -> Source:
        source = self.sources.pop(0) if self.sources else LostError("fake: is gone")
        if isinstance(source, Exception):
            raise source
        self.opened.append(source)
        return source


def reconnecting(door: Door, **settings: Any) -> ReconnectingSource:
    return ReconnectingSource(door, settings=StreamSettings(**settings), first_delay_seconds=0.01)


def levels(source: Source, count: int) -> list[int]:
    items = iter(source)
    return [int(next(items).image[0, 0, 0]) for _ in range(count)]


def test_a_lost_source_is_closed_and_reopened() -> None:
    door = Door(fake(1, 2, LostError("fake: fell silent")), fake(3, 4))
    source = reconnecting(door, max_reconnects=1)
    frames: list[Any] = []
    with pytest.raises(TruncatedError, match="is gone; it did not come back in 1 attempts"):
        frames.extend(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 3, 4]
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.discontinuity for frame in frames] == [False, False, True, False]
    assert frames[3].pts - frames[2].pts == 100
    assert source.reconnects == 1
    assert all(opened.closed.is_set() for opened in door.opened)


def test_a_source_that_fails_at_the_start_is_retried() -> None:
    with reconnecting(Door(LostError("a"), LostError("b"), fake(7))) as source:
        assert levels(source, 1) == [7]
        assert source.reconnects == 1, "a late start is counted, once"
    with reconnecting(Door(fake(7))) as source:
        assert source.reconnects == 0


def test_a_source_that_never_starts_is_given_up() -> None:
    door = Door(*[LostError(f"attempt {number}") for number in range(9)])
    with pytest.raises(LostError, match="attempt 3"):
        reconnecting(door, max_reconnects=3)
    assert len(door.sources) == 9 - 1 - 3, "one attempt, and three more"


@pytest.mark.parametrize("error", [SourceError("no such camera"), SourceError("404")])
def test_a_permanent_error_is_not_retried(error: SourceError) -> None:
    door = Door(error, fake(1))
    with pytest.raises(SourceError, match=str(error)):
        reconnecting(door)
    assert len(door.sources) == 1


def test_a_bug_is_not_hidden_by_retrying() -> None:
    source = reconnecting(Door(fake(1, ZeroDivisionError("bug")), fake(2)))
    with pytest.raises(ZeroDivisionError):
        levels(source, 2)


def test_another_size_is_fitted_into_the_first_size() -> None:
    with reconnecting(Door(fake(50), fake(90, width=16))) as source:
        items = iter(source)
        first, second = next(items), next(items)
    assert isinstance(second, Frame)
    assert second.image.shape == first.image.shape == (6, 8, 3)
    assert second.image.max() == 90


def test_a_frozen_picture_is_noticed_and_a_static_scene_is_accepted() -> None:
    frozen = fake(1, *[2] * 99, spacing=0.1)
    still = fake(*[2] * 90, 9, spacing=0.1)
    with reconnecting(Door(frozen, still), stale_after=2.0) as source:
        items, delivered = iter(source), []
        while source.reconnects == 0:
            delivered.append(next(items))
        # A picture, its copies for two seconds, and the first one after reopening.
        assert len(delivered) == 1 + 21 + 1
        # The same picture after reopening: the scene itself is static.
        assert levels_of(items, 90)[-1] == 9
        assert source.reconnects == 1


def levels_of(items: Any, count: int) -> list[int]:
    return [int(next(items).image[0, 0, 0]) for _ in range(count)]


def test_stale_after_zero_never_treats_a_picture_as_frozen() -> None:
    with reconnecting(Door(fake(*[2] * 50, spacing=10)), stale_after=0.0) as source:
        assert levels(source, 50) == [2] * 50


def test_reconnects_are_counted_and_shown_in_the_picture(caplog: pytest.LogCaptureFixture) -> None:
    door = Door(fake(1, 2), fake(3, 4, interval=0.05))
    source = ReconnectingSource(
        door, settings=StreamSettings(max_reconnects=1), first_delay_seconds=0.5
    )
    sink = MemorySink(pictures=False)
    statuses: set[str] = set()
    pipeline = Pipeline(source=source, segment=segment, sink=sink, render=None, width=8, height=6)
    with pytest.raises(TruncatedError), caplog.at_level("WARNING", "rtseg"):
        pipeline.run(on_progress=lambda _progress: statuses.add(source.status))
    assert pipeline.summary is not None
    assert pipeline.summary.reconnects == 1
    assert pipeline.statistics.reconnects == 1
    assert sink.outcome == "finished"
    assert statuses >= {"", "reconnecting… (1 of 1)"}
    assert "fake: ended; reconnecting in 0.5 s (1 of 1)" in caplog.messages
    assert any(message.startswith("fake: reconnected after") for message in caplog.messages)


def test_a_run_can_be_stopped_while_its_camera_is_away() -> None:
    def connect(closed: threading.Event) -> Source:
        if first:
            return first.pop()
        closed.wait(60)
        raise LostError("fake: was closed")

    first = [fake(1, 2)]
    source = ReconnectingSource(connect, settings=StreamSettings(), first_delay_seconds=0.01)
    pipeline = Pipeline(
        source=source,
        segment=segment,
        sink=MemorySink(pictures=False),
        render=None,
        width=8,
        height=6,
    )
    timer = threading.Timer(0.3, pipeline.stop)
    timer.start()
    begun = time.monotonic()
    assert pipeline.run().ended_by == "stop"
    assert time.monotonic() - begun < 6
    assert not [t for t in threading.enumerate() if t.name.startswith("rtseg-")]


def test_opening_a_hanging_camera_can_be_cancelled(tmp_path: Path) -> None:
    closed = threading.Event()
    threading.Timer(0.3, closed.set).start()
    begun = time.monotonic()
    with pytest.raises(LostError, match="was closed before it opened"):
        CameraSource(
            0,
            settings=CameraSettings(),
            timeout_seconds=60,
            closed=closed,
            capture=devices.hangs_at_once,
        )
    assert time.monotonic() - begun < 10


def test_the_window_shows_reconnecting_instead_of_a_frozen_face() -> None:
    from rtseg.controls import Controls
    from rtseg.sinks import open_sink
    from rtseg.sinks.tee import TeeSink

    shown: list[Any] = []

    source = fake(1)
    run: Any = SimpleNamespace(
        source=source,
        sink=TeeSink(),
        view=SimpleNamespace(effects=()),
        segment=None,
        width=320,
        height=180,
    )
    controls = Controls(run, record=open_sink, show=shown.append)
    controls.show_status()
    assert not shown
    source.status = "reconnecting… (1 of 10)"
    controls.show_status()
    shown.append("a frame that was still under way")
    controls.show_status()
    assert shown[2] is shown[0], "and it is said again over such a frame"
    assert shown[0].shape == (180, 320, 3)
    assert len(np.unique(shown[0])) > 2  # text, not a uniform background
    source.status = "reconnecting… (2 of 10)"
    controls.show_status()
    assert (shown[3] != shown[0]).any()
    source.status = ""
    controls.show_status()
    assert len(shown) == 4
