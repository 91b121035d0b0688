"""Errors in any stage of a run from a real file to real files: nothing is left behind."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rtseg.frames import Frame, Segmentation
from rtseg.labels import HELEN
from rtseg.runtime.pipeline import Pipeline
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from rtseg.sinks.json_lines import JsonLinesSink
from rtseg.sinks.labels.images import open_labels_sink
from rtseg.sinks.tee import TeeSink
from rtseg.sources.video import VideoSource
from rtseg.testing import FakeSource
from tests.support.clips import MakeClip, frame_times, part_of

FRAMES = 30


class Stage:
    """Takes a moment, and raises at the `at`-th call."""

    def __init__(self, at: int | None, seconds: float) -> None:
        self._at, self._seconds = at, seconds
        self._count = itertools.count()
        self.raised_at = 0.0

    def __call__(self) -> None:
        time.sleep(self._seconds)
        if next(self._count) == self._at:
            self.raised_at = time.monotonic()
            raise ZeroDivisionError("injected")


def handles() -> set[str]:
    """The files that this process holds open, by name (Linux), except for the system's own."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    targets = set()
    for link in folder.iterdir():
        try:
            targets.add(str(link.readlink()))
        except OSError:
            continue
    return {name for name in targets if name.startswith("/")}


@pytest.mark.parametrize("place", ["capture", "segment", "render", "write"])
@pytest.mark.parametrize("at", [0, 1, 12])
@pytest.mark.parametrize("slow", ["none", "write"])
def test_nothing_is_left_behind(
    make_clip: MakeClip, tmp_path: Path, place: str, at: int, slow: str
) -> None:
    clip = make_clip("in.mkv", ticks=range(FRAMES), audio="aac")
    out = tmp_path / "out"
    stages = {
        name: Stage(at if name == place else None, 0.01 if name == slow else 0.0)
        for name in ("capture", "segment", "render", "write")
    }

    def segment(frame: Frame) -> Segmentation:
        stages["segment"]()
        return Segmentation(labels=frame.image[..., 0] * 0, label_set=HELEN)

    def render(frame: Frame, _segmentation: Segmentation) -> Any:
        stages["render"]()
        return frame.image

    class Staged(TeeSink):
        def write(self, *arguments: Any) -> None:
            stages["write"]()
            super().write(*arguments)

    gc.collect()  # leftovers of earlier tests must not disappear during this one
    before = handles(), set(threading.enumerate())
    with VideoSource(str(clip), with_streams=True, threads=1) as source:
        sink = Staged(
            [
                open_sink(str(out / "a.mp4"), settings=EncodeSettings(), threads=1),
                open_labels_sink(str(out / "a.npz"), overwrite=False),
                JsonLinesSink(str(out / "a.jsonl")),
            ]
        )
        pipeline = Pipeline(
            source=FakeSource(source, before=stages["capture"]),
            segment=segment,
            sink=sink,
            render=render,
            width=source.info.width,
            height=source.info.height,
        )
        with pytest.raises(ZeroDivisionError, match="injected"):
            pipeline.run()
        assert time.monotonic() - stages[place].raised_at < 2.0
    assert pipeline.summary is not None
    frames = pipeline.summary.frames
    gc.collect()
    assert (handles(), set(threading.enumerate())) == before
    # Files with content keep their temporary names; empty ones are removed.
    kept = set(out.iterdir()) if out.exists() else set()
    kinds = ("mp4", "npz", "jsonl") if frames else ()
    assert kept == {part_of(out / f"a.{kind}") for kind in kinds}
    if frames:
        assert len(frame_times(part_of(out / "a.mp4"))) == frames
