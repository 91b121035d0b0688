"""Damaged files, odd names, pipes and servers: what can be read is read, the rest is one line."""

from __future__ import annotations

import io
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SourceError, TruncatedError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings
from rtseg.sources.video import VideoSource
from tests.sources.read import times_of
from tests.support.clips import MakeClip, frame_times, read_frames


@pytest.mark.parametrize("share", [0.15, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["cut.mkv", "cut.mp4"])
def test_a_truncated_file_delivers_its_frames(make_clip: MakeClip, name: str, share: float) -> None:
    noise = np.random.default_rng(3)
    path = make_clip(
        name,
        ticks=range(30),
        images=[noise.integers(0, 255, (48, 64, 3)).astype(np.uint8) for _ in range(30)],
        muxer_options={"movflags": "faststart"} if name.endswith("mp4") else {},
        options={"preset": "ultrafast", "crf": "30"},
    )
    whole = frame_times(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    frames: list[Frame] = []
    with VideoSource(str(path), threads=1) as source, pytest.raises(TruncatedError) as error:
        frames.extend(item for item in source if isinstance(item, Frame))
    assert "is truncated after" in str(error.value)
    assert "\n" not in str(error.value)
    assert (len(frames) >= 30 * share - 6) if share > 0.2 else True
    assert times_of(frames) == whole[: len(frames)]


def test_a_file_without_its_index_is_refused(make_clip: MakeClip) -> None:
    path = make_clip("no-moov.mp4", ticks=range(30))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SourceError, match="before its index was written"):
        VideoSource(str(path))


def test_bit_flips_do_not_end_a_run(make_clip: MakeClip) -> None:
    path = make_clip("flipped.mkv", ticks=range(40), options={"preset": "ultrafast", "g": "10"})
    data = bytearray(path.read_bytes())
    for seed in range(12):
        damaged = data.copy()
        noise = np.random.default_rng(seed)
        for position in noise.integers(2000, len(data) - 300, 20):
            damaged[position] ^= 1 << int(noise.integers(8))
        path.write_bytes(damaged)
        try:
            frames = read_frames(path)
        except SourceError as error:
            assert "\n" not in str(error)  # noqa: PT017  (either outcome is fine)
            continue
        assert times_of(frames) == sorted(set(times_of(frames)))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.mp4", None, "no such file"),
        ("text.mp4", b"this is not a video\n" * 50, "found text"),
        ("notes.txt", b"this is not a video\n" * 50, "is text, not a video"),
        ("random.mp4", bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8)), "unknown"),
        ("empty.mp4", b"", "is empty"),
    ],
)
def test_bad_files_are_reported_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=says) as error:
        VideoSource(str(path))
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        VideoSource(str(tmp_path))


@pytest.mark.parametrize(
    "name", ["with space.mp4", "ünïcode-人.mp4", "-dash.mp4", "a:b.mp4", "100%d.mp4", "[x].mp4"]
)
def test_odd_names_are_read(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = make_clip("plain.mp4").rename(tmp_path / name)
    monkeypatch.chdir(path.parent)
    assert len(read_frames(name)) == 12
    assert len(read_frames(f"file://{path.as_posix()}".replace("%", "%25"))) == 12


class FakeStandardInput:
    def __init__(self, buffer: io.IOBase) -> None:
        self.buffer = buffer


def test_standard_input_from_a_pipe_is_read(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_clip("pipe.mkv").read_bytes()
    read_end, write_end = os.pipe()

    def feed() -> None:
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(read_end, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", FakeStandardInput(pipe))
        frames = read_frames("-")
    feeder.join()
    assert len(frames) == 12


def test_standard_input_from_a_file_is_read(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its index is at the end, so only a file can be read.
    with make_clip("seekable.mp4").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", FakeStandardInput(file))
        assert len(read_frames("-")) == 12


def test_standard_input_in_memory_without_video_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", FakeStandardInput(io.BytesIO(b"no video" * 99)))
    with pytest.raises(SourceError, match="standard input: sent nothing that FFmpeg can read"):
        VideoSource("-")


def test_a_silent_pipe_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    try:
        with os.fdopen(read_end, "rb") as pipe:
            monkeypatch.setattr(sys, "stdin", FakeStandardInput(pipe))
            begun = time.monotonic()
            with pytest.raises(SourceError, match=r"sent nothing for 0\.3 s"):
                VideoSource("-", settings=ReadSettings(timeout=0.3))
            assert time.monotonic() - begun < 5
    finally:
        os.close(write_end)


@contextmanager
def server(answer: bytes) -> Iterator[int]:
    """A loopback server that sends this to every client, then stays silent."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    client, _ = listening.accept()
                    held.append(client)
                    client.sendall(answer)
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for client in held:
                client.close()


def test_a_server_that_never_answers_times_out_without_revealing_secrets() -> None:
    with server(b"") as port:
        begun = time.monotonic()
        with pytest.raises(SourceError, match=r"did not answer within 0\.5 s") as error:
            VideoSource(
                f"http://maria:s3cret@127.0.0.1:{port}/v.mp4?token=t0ken",
                settings=ReadSettings(timeout=0.5),
            )
        assert time.monotonic() - begun < 5
    text = repr(error.value) + str(error.value.__cause__) + str(error.value.__context__)
    assert f"http://127.0.0.1:{port}/v.mp4" in text
    for secret in ("maria", "s3cret", "t0ken"):
        assert secret not in str(error.value)


def test_a_server_that_stalls_in_the_middle_times_out(make_clip: MakeClip) -> None:
    data = make_clip("stall.ts", ticks=range(200)).read_bytes()
    half = data[: len(data) // 2]
    head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)
    with server(head + half) as port:
        settings = ReadSettings(timeout=1.0)
        with (
            VideoSource(f"http://127.0.0.1:{port}/v.ts", settings=settings) as source,
            pytest.raises(SourceError, match="sent nothing for 1 s"),
        ):
            for _ in source:
                pass
