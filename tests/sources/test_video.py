"""Video inputs: times, colours, geometry, and messages about bad input."""

from __future__ import annotations

import itertools
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.errors import NoVideoError, SourceError
from rtseg.frames import Frame, Packet
from rtseg.settings import ReadSettings
from rtseg.sources.video import VideoSource
from tests.sources.read import times_of
from tests.support.clips import MakeClip, frame_times, picture, read_frames


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


@pytest.mark.parametrize(
    ("name", "count"),
    [("stage-speech.mp4", 275), ("asl-book.mkv", 109), ("two-heads-turning.gif", 56)],
)
def test_real_clips_are_read(development_data: Path, name: str, count: int) -> None:
    path = development_data / "clips" / name
    times = times_of(read_frames(path))
    assert len(times) == count
    assert times == frame_times(path)
