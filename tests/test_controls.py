"""What a user may request in the window during a run."""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from rtseg.controls import HELP_LINE, Controls
from rtseg.errors import SinkError
from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.settings import EncodeSettings, ViewSettings
from rtseg.sinks import open_sink
from rtseg.sinks.base import ViewChange
from rtseg.sinks.tee import TeeSink
from rtseg.sources.synthetic import MovingFaceSource

WIDTH, HEIGHT = 160, 120


class View:
    """The part of a view that the controls use."""

    last_picture = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)

    def __init__(self) -> None:
        self.settings = ViewSettings()
        self.effects: tuple[Any, ...] = ()
        self.asked: list[Any] = []

    def next_view(self) -> None:
        self.asked.append("next")

    def change_opacity(self, steps: int) -> None:
        self.asked.append(steps)

    def toggle(self, what: str) -> None:
        self.asked.append(what)


@pytest.fixture
def controls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Controls:
    monkeypatch.chdir(tmp_path)
    source = MovingFaceSource(width=WIDTH, height=HEIGHT, frame_count=60)
    record = functools.partial(open_sink, settings=EncodeSettings(), threads=1, shared=True)
    run: Any = SimpleNamespace(
        source=source, segment=None, sink=TeeSink(), view=View(), width=WIDTH, height=HEIGHT
    )
    return Controls(run, record=record)


def show(controls: Controls, *, first: int, count: int) -> None:
    """Frames as the pipeline would write them."""
    for index in range(first, first + count):
        image = np.full((HEIGHT, WIDTH, 3), 4 * index, np.uint8)
        frame = Frame(index=index, pts=index, time_base=Fraction(1, 30), image=image)
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        controls._sink.write(frame, Segmentation(labels=labels, label_set=HELEN), image)


def test_a_recording_contains_the_frames_between_two_keys(controls: Controls, tmp_path: Path):
    show(controls, first=0, count=5)
    controls.handle("record")
    assert "● recording" in controls.notice()
    show(controls, first=5, count=20)
    controls.handle("record")
    assert "● recording" not in controls.notice()
    show(controls, first=25, count=5)
    (path,) = tmp_path.glob("rtseg-*.mp4")
    assert any("wrote" in line and path.name in line for line in controls.notice())
    with av.open(str(path)) as container:
        greys = [frame.to_ndarray(format="gray").mean() for frame in container.decode(video=0)]
    assert len(greys) == 20
    assert greys == sorted(greys)


def test_a_recording_that_cannot_start_is_reported_and_the_run_continues(controls: Controls):
    def refuse(_name: str) -> Any:
        raise SinkError("the disk is full")

    controls._record = refuse
    controls.handle("record")
    assert "the disk is full" in controls.notice()
    assert "● recording" not in controls.notice()
    show(controls, first=0, count=2)


def test_keys_change_the_view_and_show_help(controls: Controls, tmp_path: Path):
    for event in ("next-view", "more-opacity", "less-opacity", "hud", "legend"):
        controls.handle(event)
    view: Any = controls.view
    assert view.asked == ["next", +1, -1, "hud", "legend"]
    assert HELP_LINE not in controls.notice()
    controls.handle("help")
    assert HELP_LINE in controls.notice()
    controls.handle("snapshot")
    (path,) = tmp_path.glob("rtseg-*.png")
    assert any(path.name in line for line in controls.notice())


def test_a_page_changes_the_view_completely_or_not_at_all(controls: Controls) -> None:
    controls.handle(ViewChange(fields={"view": "mask", "opacity": 0.25}))
    assert controls.view.settings == ViewSettings(view="mask", opacity=0.25)
    controls.handle(ViewChange(fields={"view": "overlay", "opacity": 7.0}))
    assert controls.view.settings == ViewSettings(view="mask", opacity=0.25)
    assert "out of range" in controls.notice()[0]
