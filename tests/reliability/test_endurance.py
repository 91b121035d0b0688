"""Long-term behaviour: constant memory, no lost handles, Ctrl-C at any moment."""

from __future__ import annotations

import gc
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reliability.command import start
from tests.support.clips import MakeClip, convert, frame_times, parts_of, read_frames

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def growth(action: Callable[[], object], *, times: int) -> tuple[float, int]:
    """MB and file handles that repetitions cost after a warm-up."""
    for _ in range(5):
        action()
    gc.collect()
    memory, files = resident_mb(), open_files()
    for _ in range(times):
        action()
    gc.collect()
    return resident_mb() - memory, open_files() - files


@linux
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [15, pytest.param(300, marks=pytest.mark.slow)])
def test_opening_and_closing_leaks_nothing(make_clip: MakeClip, tmp_path: Path, times: int) -> None:
    path = make_clip(ticks=range(3), audio="aac")
    megabytes, files = growth(
        lambda: convert(path, tmp_path / "out.mp4", overwrite=True), times=times
    )
    assert megabytes < 20
    assert files == 0


@linux
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_20000_frames_leak_nothing(make_clip: MakeClip, tmp_path: Path) -> None:
    path = make_clip("long.mp4", ticks=range(5000))
    convert(path, tmp_path / "warm.mp4")
    before = resident_mb()
    for number in range(4):
        convert(path, tmp_path / f"out{number}.mp4")
    assert resident_mb() - before < 20


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("times", [3, pytest.param(200, marks=pytest.mark.slow)])
def test_ctrl_c_at_any_moment(make_clip: MakeClip, tmp_path: Path, times: int) -> None:
    """The file is complete or does not exist yet; never a traceback, never a hang."""
    clip = make_clip("in.mkv", ticks=range(400))
    moments = random.Random(times)
    for number in range(times):
        out = tmp_path / f"out{number}.mp4"
        with start("video", clip, "-o", out, seconds=0.01) as process:
            end = time.monotonic() + 30
            while not parts_of(out) and process.poll() is None and time.monotonic() < end:
                time.sleep(0.005)
            time.sleep(moments.uniform(0.1, 1.5))
            process.send_signal(signal.SIGINT)
            begun = time.monotonic()
            _, errors = process.communicate(timeout=30)
            assert time.monotonic() - begun < 10
        assert "Traceback" not in errors, errors
        assert process.returncode in (0, 130), errors
        if out.exists():
            assert frame_times(out)
            assert len(read_frames(out)) == len(frame_times(out))
        assert not parts_of(out)
