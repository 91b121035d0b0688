"""Video files after failures: existing ones, full disks, killed writers, closed pipes."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from rtseg.errors import OutputExistsError, SinkError
from rtseg.media.info import SourceInfo
from rtseg.sinks import disk_space
from rtseg.sinks.video import VideoSink
from tests.sinks.written import frame_at, write_video
from tests.support.clips import (
    NO_LABELS,
    MakeClip,
    convert,
    copied_packets,
    frame_times,
    part_of,
    picture,
)


def test_existing_files_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    path.write_text("mine")
    sink = VideoSink(str(path))
    with pytest.raises(OutputExistsError, match="`overwrite`"):
        sink.open(
            SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 25)),
            width=64,
            height=48,
        )
    sink.close("failed")
    assert path.read_text() == "mine"
    write_video(path, [0, 1], overwrite=True)
    assert len(frame_times(path)) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_a_failed_run_keeps_a_valid_part(tmp_path: Path, suffix: str) -> None:
    sink = write_video(tmp_path / f"out{suffix}", list(range(9)), outcome="failed")
    part = part_of(tmp_path / f"out{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
    assert len(frame_times(part)) == 9
    assert sink.describe() == str(part)


def test_a_run_without_a_frame_leaves_nothing(tmp_path: Path) -> None:
    info = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 25))
    for outcome in ("finished", "failed"):
        sink = VideoSink(str(tmp_path / "out.mp4"))
        sink.open(info, width=64, height=48)
        sink.close(outcome)  # type: ignore[arg-type]
        assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    info = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 25))
    for name in ("file/out.mp4", "/proc/none/out.mp4"):
        sink = VideoSink(str(tmp_path / name))
        with pytest.raises(SinkError, match="cannot be written"):
            sink.open(info, width=64, height=48)
        sink.close("failed")


@pytest.mark.skipif(os.name == "nt", reason="an open file keeps its folder")
def test_a_folder_that_is_removed_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "INTERVAL_SECONDS", 0)
    info = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 25))
    sink = VideoSink(str(tmp_path / "folder" / "out.mp4"))
    sink.open(info, width=64, height=48)
    sink.write(frame_at(0, info.time_base, 0), NO_LABELS, picture(0))
    shutil.rmtree(tmp_path / "folder")
    with pytest.raises(SinkError, match="was removed while it was written"):
        sink.write(frame_at(1, info.time_base, 1), NO_LABELS, picture(1))
    with contextlib.suppress(SinkError):
        sink.close("failed")


WRITER = """
import sys, time
from fractions import Fraction
import numpy as np
from rtseg.frames import Frame
from rtseg.settings import EncodeSettings
from rtseg.sinks import disk_space
from rtseg.sinks.video import VideoSink
from rtseg.media.info import SourceInfo
info = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 30), frame_rate=Fraction(30))
sink = VideoSink(sys.argv[1], settings=EncodeSettings(overwrite=True), threads=1)
sink.open(info, width=64, height=48)
for i in range(10**6):
    image = np.full((48, 64, 3), i % 250, np.uint8)
    sink.write(Frame(image=image, index=i, pts=i + 26, time_base=Fraction(1, 30)), None, image)
    if i == 149:
        print("written", flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_killed_writer_loses_at_most_the_last_second(tmp_path: Path, suffix: str) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / f"out{suffix}")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.send_signal(signal.SIGKILL)
    times = frame_times(part_of(tmp_path / f"out{suffix}"))
    assert len(times) >= 150 - 30
    tolerance = Fraction(1, 2000) if suffix in (".mkv", ".webm") else 0
    for i, instant in enumerate(times):
        assert abs(instant - Fraction(i + 26, 30)) <= tolerance


FULL = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
from fractions import Fraction
import numpy as np
from rtseg.errors import SinkError
from rtseg.frames import Frame
from rtseg.sinks import disk_space
from rtseg.sinks.video import VideoSink
from rtseg.media.info import SourceInfo
info = SourceInfo(name="t", width=64, height=48, time_base=Fraction(1, 30), frame_rate=Fraction(30))
sink = VideoSink(sys.argv[1], threads=1)
sink.open(info, width=64, height=48)
noise = np.random.default_rng(0)
try:
    for i in range(1000):
        image = noise.integers(0, 255, (48, 64, 3)).astype(np.uint8)
        sink.write(Frame(image=image, index=i, pts=i, time_base=Fraction(1, 30)), None, image)
except SinkError as error:
    print(i, error)
    sink.close("failed")
"""


@pytest.mark.skipif(os.name == "nt", reason="needs file-size limits")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_keeps_what_was_written(tmp_path: Path, suffix: str) -> None:
    command = [sys.executable, "-c", FULL, str(tmp_path / f"out{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    count, _, message = done.stdout.partition(" ")
    part = part_of(tmp_path / f"out{suffix}")
    assert "writing failed after" in message
    assert str(part) in message
    assert [path.name for path in tmp_path.iterdir()] == [part.name]
    assert len(frame_times(part)) >= int(count) - 45


class Standard:
    def __init__(self, buffer: Any, *, terminal: bool = False) -> None:
        self.buffer = buffer
        self.isatty = lambda: terminal


def test_standard_output_is_a_matroska_stream(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip("in.mp4", audio="aac")
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Standard(written))
    convert(source, "-")
    path = tmp_path / "piped"
    path.write_bytes(written.getvalue())
    assert frame_times(path) == frame_times(source)
    assert [p[0] for p in copied_packets(path)] == [p[0] for p in copied_packets(source)]


def test_a_reader_that_exits_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.RawIOBase):
        def write(self, data: Any) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Standard(Gone()))
    with pytest.raises(SinkError, match="the program reading it has ended"):
        write_video("-", list(range(60)))


def test_nothing_is_written_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Standard(io.BytesIO(), terminal=True))
    with pytest.raises(SinkError, match="is a terminal"):
        write_video("-", [0])
