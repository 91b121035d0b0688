"""Videos from a pipe: what can be read as it arrives, and what must be stored in a file first."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.errors import SourceError, TruncatedError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, convert, frame_times

SMALL = 1 << 16
"""What FFmpeg reads ahead anyway; only a larger file needs its index first."""


class FakeStandardInput:
    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer


@contextmanager
def piped(data: bytes, monkeypatch: pytest.MonkeyPatch, *, pieces: int = 65536) -> Iterator[None]:
    """Make standard input a pipe that delivers these bytes."""
    read_end, write_end = os.pipe()

    def feed() -> None:
        try:
            with os.fdopen(write_end, "wb", buffering=0) as pipe:
                for begin in range(0, len(data), pieces):
                    pipe.write(data[begin : begin + pieces])
        except BrokenPipeError:
            pass  # the test stopped reading

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(read_end, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", FakeStandardInput(pipe))
        yield
    feeder.join()


def noisy(make_clip: MakeClip, name: str) -> Path:
    """A clip that is large enough, with sound."""
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (96, 128, 3)).astype(np.uint8) for _ in range(40)]
    clip = make_clip(name, ticks=range(40), images=images, audio="aac", audio_seconds=1.0)
    assert clip.stat().st_size > 4 * SMALL
    return clip


def frames_of_input(**settings: Any) -> list[Frame]:
    with VideoSource("-", settings=ReadSettings(**settings), threads=1) as source:
        return [item for item in source if isinstance(item, Frame)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv", ".webm", ".ts"])
@pytest.mark.parametrize("pieces", [65536, 7])
def test_every_output_of_rtseg_can_be_piped_back(
    make_clip: MakeClip,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    pieces: int,
) -> None:
    written = tmp_path / f"own{suffix}"
    if pieces == 7:
        convert(make_clip("in.mkv", ticks=range(5)), written)
    else:
        convert(noisy(make_clip, "in.mkv"), written)
    with piped(written.read_bytes(), monkeypatch, pieces=pieces):
        frames = frames_of_input()
    assert len(frames) == len(frame_times(written))


def test_an_index_at_the_end_is_waited_for(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As most programs write mp4."""
    clip = noisy(make_clip, "in.mp4")
    with piped(clip.read_bytes(), monkeypatch):
        frames = frames_of_input()
    assert [frame.pts_seconds for frame in frames] == frame_times(clip)


def test_an_index_at_the_beginning_is_not_waited_for(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = noisy(make_clip, "in.mkv")
    fast = clip.with_name("fast.mp4")
    import av

    with (
        av.open(str(clip)) as source,
        av.open(str(fast), "w", options={"movflags": "faststart"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)

    def refuse() -> Any:
        raise AssertionError("kept in a file, and could be read as it comes")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with piped(fast.read_bytes(), monkeypatch):
        assert len(frames_of_input()) == 40


def test_a_truncated_pipe_is_reported(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    data = noisy(make_clip, "in.mp4").read_bytes()
    with piped(data[: len(data) // 2], monkeypatch), pytest.raises((SourceError, TruncatedError)):
        frames_of_input()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 11, 40])
def test_a_nearly_empty_input_is_refused(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    data = make_clip("in.mp4").read_bytes()[:length]
    with piped(data, monkeypatch), pytest.raises(SourceError, match="standard input"):
        frames_of_input()


def test_a_full_temporary_folder_is_reported(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with (
        piped(noisy(make_clip, "in.mp4").read_bytes(), monkeypatch),
        pytest.raises(SourceError, match=r"No space left on device; .*TMPDIR"),
    ):
        frames_of_input()
