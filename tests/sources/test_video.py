"""Video inputs: times, colours, geometry, and messages about bad input."""

from __future__ import annotations

import io
import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.errors import NoVideoError, SourceError, TruncatedError
from rtseg.frames import Frame, Packet
from rtseg.settings import ReadSettings
from rtseg.sources.video import VideoSource
from tests.support.clips import MakeClip, frame_times, picture, read_frames


def times_of(frames: list[Frame]) -> list[Fraction]:
    return [frame.pts_seconds for frame in frames]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.mov", "clip.avi", "clip.ts"])
def test_every_frame_comes_in_order_at_its_time(make_clip: MakeClip, name: str) -> None:
    path = make_clip(name)
    with VideoSource(str(path), threads=1) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert source.info.name == name
        assert (source.info.width, source.info.height) == (64, 48)
        assert not source.info.is_live
        assert source.info.frame_rate == 25
    assert [frame.index for frame in frames] == list(range(12))
    steps = {b - a for a, b in zip(times_of(frames), times_of(frames)[1:], strict=False)}
    assert steps == {Fraction(1, 25)}
    for i, frame in enumerate(frames):
        assert frame.image.dtype == np.uint8
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - picture(i)).mean() < 6, i
        assert not frame.discontinuity
        assert not frame.is_corrupt
        assert abs(frame.captured_ns - time.monotonic_ns()) < 60e9


def test_variable_frame_rate_late_start_and_reordered_frames_are_kept(make_clip: MakeClip) -> None:
    ticks = [852, 885, 919, 1200, 1201, 1900, 1933, 4000]
    durations = [33, 34, 281, 1, 699, 33, 2067, 150]
    path = make_clip(
        "vfr.mkv",
        ticks=ticks,
        durations=durations,
        time_base=Fraction(1, 1000),
        options={"bf": "3", "preset": "medium"},
    )
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        assert any(a.pts > b.pts for a, b in itertools.pairwise(packets))
    frames = read_frames(path)
    assert times_of(frames) == [Fraction(tick, 1000) for tick in ticks]
    assert frames[-1].duration == 150


def test_times_that_do_not_increase_are_corrected(make_clip: MakeClip, tmp_path: Path) -> None:
    one = make_clip("one.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + one.read_bytes())
    frames = read_frames(joined)
    assert len(frames) == 24
    steps = [b - a for a, b in zip(times_of(frames), times_of(frames)[1:], strict=False)]
    assert all(step > 0 for step in steps)
    assert max(steps) <= Fraction(2, 25)


def test_avi_files_use_decoding_times(make_clip: MakeClip) -> None:
    frames = read_frames(make_clip("b.avi", options={"bf": "2", "preset": "veryfast"}))
    assert len(frames) == 12
    steps = [b - a for a, b in itertools.pairwise(times_of(frames))]
    assert set(steps[2:]) == {Fraction(1, 25)}
    assert sum(steps) <= Fraction(12, 25)


def test_a_stream_without_times_is_given_some(make_clip: MakeClip) -> None:
    frames = read_frames(make_clip("bare.h264", muxer="h264", options={"bf": "0"}))
    assert len(frames) == 12
    steps = {b - a for a, b in zip(times_of(frames), times_of(frames)[1:], strict=False)}
    assert steps == {Fraction(1, 25)}


PATCHES = np.array(
    [
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)],
        [(0, 0, 0), (200, 160, 130), (90, 40, 60), (30, 200, 220)],
    ],
    np.uint8,
)


def patches(size: int = 16) -> np.ndarray:
    return np.kron(PATCHES, np.ones((size, size, 1), np.uint8))


def assert_patches(image: np.ndarray, *, tolerance: int = 4) -> None:
    size = image.shape[0] // 2
    centres = image[size // 2 :: size, size // 2 :: size]
    assert np.abs(centres.astype(int) - PATCHES).max() <= tolerance, centres.tolist()


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(
    ("tag", "matrix"), [(1, "bt709"), (5, "bt601"), (6, "bt601"), (9, "bt2020nc"), (2, "bt601")]
)
def test_colours_follow_matrix_and_range(
    make_clip: MakeClip, tag: int, matrix: str, full: bool, pixel_format: str
) -> None:
    path = make_clip(
        "colours.mkv",
        ticks=[0, 1],
        raw=[in_yuv(patches(), matrix, full=full, pixel_format=pixel_format) for _ in range(2)],
        codec="ffv1",
        pixel_format=pixel_format,
        stream={"colorspace": tag, "color_range": 2 if full else 1},
    )
    with VideoSource(str(path), threads=1) as source:
        assert source.info.colour.matrix == tag
        assert source.info.colour.full_range is full
        frames = [item for item in source if isinstance(item, Frame)]
    assert_patches(frames[1].image)


def test_an_untagged_large_video_is_bt709(make_clip: MakeClip) -> None:
    large = patches(360)
    path = make_clip(
        "large.mkv",
        ticks=[0],
        raw=[in_yuv(large, "bt709", full=False, pixel_format="yuv420p")],
        codec="libx264",
        stream={"colorspace": 2},
    )
    assert_patches(read_frames(path)[0].image)


def in_yuv(
    image: np.ndarray, matrix: str, *, full: bool, pixel_format: str = "yuv420p"
) -> av.VideoFrame:
    """RGB in YUV by the definition of BT.601, BT.709 and BT.2020, not by the code under test."""
    red, blue = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020nc": (0.2627, 0.0593)}[
        matrix
    ]
    r, g, b = (image[..., i] / 255 for i in range(3))
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = (b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)
    bits = 10 if "10" in pixel_format else 8
    unit = 1 << (bits - 8)
    top = (1 << bits) - 1
    planes = [luma * top if full else (16 + 219 * luma) * unit]
    planes += [128 * unit + part * (top if full else 224 * unit) for part in chroma]
    if "420" in pixel_format:
        planes = [planes[0], *(plane[::2, ::2] for plane in planes[1:])]
    height, width = image.shape[:2]
    frame = av.VideoFrame(width, height, pixel_format)
    dtype = "<u2" if bits > 8 else "u1"
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.clip(np.rint(values), 0, top).astype(dtype)
        padded = np.zeros((rows.shape[0], plane.line_size // rows.itemsize), dtype)
        padded[:, : rows.shape[1]] = rows
        plane.update(padded.tobytes())
    return frame


@pytest.mark.parametrize(
    ("degrees", "hflip", "upright"),
    [
        (0, False, lambda image: image),
        (-90, False, lambda image: np.rot90(image, -1)),
        (90, False, lambda image: np.rot90(image, 1)),
        (180, False, lambda image: np.rot90(image, 2)),
        (0, True, lambda image: image[:, ::-1]),
    ],
)
def test_rotation_is_applied_once(
    make_clip: MakeClip, degrees: int, hflip: bool, upright: object
) -> None:
    images = [patches()] * 3
    path = make_clip(
        "turned.mp4",
        ticks=[0, 1, 2],
        images=images,
        rotation=degrees,
        hflip=hflip,
        options={"qp": "1"},
        stream={"sample_aspect_ratio": Fraction(4, 3)},
    )
    wanted = upright(patches())  # type: ignore[operator]
    with VideoSource(str(path), threads=1) as source:
        frames = [item for item in source if isinstance(item, Frame)]
        assert (source.info.height, source.info.width) == wanted.shape[:2]
        turned = degrees in (90, -90)
        assert source.info.sample_aspect_ratio == (Fraction(3, 4) if turned else Fraction(4, 3))
    centres = frames[2].image[8::16, 8::16].astype(int)
    assert np.abs(centres - wanted[8::16, 8::16]).max() < 10


def test_odd_sizes_and_a_single_pixel_are_read(make_clip: MakeClip) -> None:
    for width, height in ((65, 49), (1, 1), (2, 2), (3, 200)):
        path = make_clip("odd.mkv", width=width, height=height, codec="ffv1", pixel_format="bgr0")
        frames = read_frames(path)
        assert len(frames) == 12
        assert frames[0].image.shape == (height, width, 3)


def test_a_palette_gif_is_read(make_clip: MakeClip) -> None:
    ticks = [0, 8, 17, 40]
    path = make_clip(
        "p.gif", ticks=ticks, time_base=Fraction(1, 100), codec="gif", pixel_format="rgb8"
    )
    frames = read_frames(path)
    assert times_of(frames) == [Fraction(tick, 100) for tick in ticks]
    assert frames[3].image[20, 16].min() > 200


def test_a_change_of_size_is_letterboxed_and_marked(make_clip: MakeClip, tmp_path: Path) -> None:
    small = make_clip("small.ts", width=64, height=48, codec="mpeg2video")
    wide = make_clip("wide.ts", width=96, height=32, codec="mpeg2video")
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + wide.read_bytes())
    frames = read_frames(both)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    changes = [frame.index for frame in frames if frame.discontinuity]
    assert len(changes) == 1
    after = frames[changes[0]].image
    assert after[:10].max() == 0
    assert after[24].mean() > 20


def test_a_cover_picture_is_not_taken_for_the_video(make_clip: MakeClip) -> None:
    assert len(read_frames(make_clip("covered.mp4", cover=True))) == 12
    only_sound = make_clip("song.mp4", video=False, audio="aac", cover=True)
    with pytest.raises(NoVideoError, match=r"song\.mp4: holds no video .*aac.*cover picture"):
        VideoSource(str(only_sound))


def test_an_audio_file_has_no_video(make_clip: MakeClip) -> None:
    with pytest.raises(NoVideoError, match="holds no video"):
        VideoSource(str(make_clip("sound.mkv", video=False, audio="libopus")))


def test_packets_come_between_the_frames_in_order(make_clip: MakeClip) -> None:
    path = make_clip("sound.mp4", audio="aac", muxer_options={"max_interleave_delta": "0"})
    with VideoSource(str(path), with_streams=True, threads=1) as source:
        (stream,) = source.info.streams
        assert (stream.kind, stream.codec, stream.language) == ("audio", "aac", "fra")
        items = list(source)
    packets = [item for item in items if isinstance(item, Packet)]
    assert sum(isinstance(item, Frame) for item in items) == 12
    assert [p.time_seconds for p in packets] == sorted(p.time_seconds for p in packets)
    assert all(p.stream_index == stream.index and p.size_bytes > 0 for p in packets)
    assert packets[0].time_seconds == Fraction(-1024, 48000)


def test_start_and_end_shift_times_to_zero(make_clip: MakeClip) -> None:
    path = make_clip(
        "long.mp4",
        ticks=range(100),
        audio="aac",
        audio_seconds=4,
        chapters=[(0, 1.5, "one"), (1.5, 4, "two")],
        options={"g": "25", "preset": "veryfast"},
    )
    whole = read_frames(path)
    settings = ReadSettings(start=1.01, end=2.0)
    with VideoSource(str(path), settings=settings, with_streams=True, threads=1) as source:
        items = list(source)
        assert [c.title for c in source.info.chapters] == ["one", "two"]
        assert source.info.duration_seconds == pytest.approx(0.99, abs=0.05)
    frames = [item for item in items if isinstance(item, Frame)]
    assert times_of(frames) == [Fraction(i, 25) for i in range(24)]
    for frame, wanted in zip(frames, whole[26:50], strict=True):
        np.testing.assert_array_equal(frame.image, wanted.image)
    packets = [item for item in items if isinstance(item, Packet)]
    length = Fraction(1024, 48000)
    # The first frame was at 1.04 s, which is not a multiple of a packet's length.
    assert 0 <= packets[0].time_seconds < length
    assert (Fraction(26, 25) + packets[0].time_seconds) % length == 0
    assert Fraction(24, 25) - 2 * length < packets[-1].time_seconds < Fraction(24, 25)


@pytest.mark.parametrize(
    ("start", "end", "first", "count"), [(1.0, 2.0, 25, 25), (0.0, 0.5, 0, 13), (3.5, None, 88, 12)]
)
@pytest.mark.parametrize("name", ["a.ts", "a.mkv", "a.mp4", "a.mov", "a.gif"])
def test_a_part_of_any_container_can_be_read(
    make_clip: MakeClip, name: str, start: float, end: float | None, first: int, count: int
) -> None:
    how: dict[str, Any] = {"options": {"g": "25", "bf": "2", "preset": "veryfast"}}
    if name == "a.gif":
        how = {"codec": "gif", "pixel_format": "rgb8"}
    if name == "a.ts":
        # Its clock starts far from zero, so seconds count from its beginning.
        how["muxer_options"] = {"output_ts_offset": "5000"}
    path = make_clip(name, ticks=range(100), **how)
    part = read_frames(path, settings=ReadSettings(start=start, end=end))
    assert len(part) == count
    whole = read_frames(path)
    assert times_of(part)[0] == (0 if name != "a.gif" or start else whole[0].pts_seconds)
    np.testing.assert_array_equal(part[0].image, whole[first].image)
    np.testing.assert_array_equal(part[-1].image, whole[first + count - 1].image)


def test_a_start_after_the_end_is_refused(make_clip: MakeClip) -> None:
    with pytest.raises(NoVideoError, match=r"no frame is in the requested part.*`start` 99"):
        VideoSource(str(make_clip()), settings=ReadSettings(start=99))


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


def test_real_time_plays_by_the_clock(make_clip: MakeClip) -> None:
    path = make_clip(ticks=range(8), time_base=Fraction(1, 20))
    with VideoSource(str(path), real_time=True) as source:
        assert source.info.is_live
        arrived = [item.captured_ns for item in source if isinstance(item, Frame)]
    assert 0.33 < (arrived[-1] - arrived[0]) / 1e9 < 3


def test_close_from_another_thread_ends_a_run(make_clip: MakeClip) -> None:
    path = make_clip(ticks=[0, 100], time_base=Fraction(1))
    source = VideoSource(str(path), real_time=True, threads=1)
    timer = threading.Timer(0.3, source.close)
    timer.start()
    begun = time.monotonic()
    assert len(list(source)) == 1
    assert time.monotonic() - begun < 5
    timer.join()
    source.close()
    assert list(source) == []


def test_of_two_videos_the_default_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams: list[Any] = []
        for width in (96, 64):
            stream: Any = container.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, 48, "bgr0"
            streams.append(stream)
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for i in range(3):
            for stream in streams:
                image = av.VideoFrame.from_ndarray(picture(i, stream.width), format="rgb24")
                container.mux(stream.encode(image.reformat(format="bgr0")))
        for stream in streams:
            container.mux(stream.encode(None))
    assert [frame.image.shape for frame in read_frames(path)] == [(48, 64, 3)] * 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hollow.mp4", "holds no video"),
        ("hollow.mkv", "is truncated before the first picture"),
    ],
)
def test_a_video_stream_without_a_picture_is_refused(tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(SourceError, match=f"{name}: {says}"):
        VideoSource(str(path))


def test_the_same_file_twice_gives_the_same_frames(make_clip: MakeClip) -> None:
    path = make_clip(ticks=range(30))
    for one, other in zip(read_frames(path), read_frames(path), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_many_opens_leave_no_file_open(make_clip: MakeClip) -> None:
    path = make_clip()
    folder = Path("/proc/self/fd")
    if not folder.exists():
        pytest.skip("needs /proc")
    read_frames(path)
    before = len(list(folder.iterdir()))
    for _ in range(20):
        VideoSource(str(path)).close()
        read_frames(path)
    assert len(list(folder.iterdir())) <= before + 1


def test_vp9_with_alpha_is_read_as_rgb(make_clip: MakeClip) -> None:
    path = make_clip("alpha.webm", codec="libvpx-vp9", pixel_format="yuva420p", ticks=[0, 1, 2])
    assert [frame.image.shape for frame in read_frames(path)] == [(48, 64, 3)] * 3


@pytest.mark.parametrize(
    ("name", "count"),
    [("stage-speech.mp4", 275), ("asl-book.mkv", 109), ("two-heads-turning.gif", 56)],
)
def test_real_clips_are_read(development_data: Path, name: str, count: int) -> None:
    path = development_data / "clips" / name
    times = times_of(read_frames(path))
    assert len(times) == count
    assert times == frame_times(path)
