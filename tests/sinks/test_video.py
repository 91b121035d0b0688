"""Video outputs: identical times, copied streams, colours, and what survives failures."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.errors import SettingError, SinkError
from rtseg.frames import Image
from rtseg.media.info import ColourTags
from rtseg.settings import EncodeSettings, ReadSettings
from rtseg.sinks.video import VideoSink
from tests.sinks.written import write_video
from tests.support.clips import (
    convert,
    copied_packets,
    frame_times,
    picture,
    read_frames,
)

TIME_BASES = [
    Fraction(1, 25),
    Fraction(1, 30),
    Fraction(1001, 30000),
    Fraction(1, 1000),
    Fraction(1, 100),
    Fraction(1, 90000),
    Fraction(1, 11988),
    Fraction(1, 1_000_000),
    Fraction(1, 1_000_000_000),
    Fraction(1, 196611),
    Fraction(7, 1000),
]


def uneven_ticks(time_base: Fraction, start: Fraction) -> tuple[list[int], list[int]]:
    """Sixteen times, 17 to 150 ms apart, in whole ticks."""
    steps = np.random.default_rng(5).integers(17, 150, 16)
    durations = [max(1, round(Fraction(int(step), 1000) / time_base)) for step in steps]
    first = round(start / time_base)
    return [first + sum(durations[:i]) for i in range(16)], durations


@pytest.mark.parametrize("start", [Fraction(0), Fraction(852, 1000), Fraction(100_000)])
@pytest.mark.parametrize("time_base", TIME_BASES, ids=str)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_frame_is_at_the_identical_time(
    tmp_path: Path, suffix: str, time_base: Fraction, start: Fraction
) -> None:
    ticks, durations = uneven_ticks(time_base, start)
    path = tmp_path / f"out{suffix}"
    write_video(path, ticks, time_base=time_base, durations=durations, preset="ultrafast")
    wanted = [tick * time_base for tick in ticks]
    frames = read_frames(path)
    times = [frame.pts_seconds for frame in frames]
    last = frames[-1].duration or 0
    if suffix == ".mkv":
        assert len(times) == len(wanted)
        worst = max(abs(a - b) for a, b in zip(times, wanted, strict=True))
        assert worst <= Fraction(1, 2000)
        assert abs(last * frames[-1].time_base - durations[-1] * time_base) <= Fraction(1, 1000)
    else:
        assert times == wanted
        assert last * frames[-1].time_base == durations[-1] * time_base


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "hevc"), (".mp4", "av1"), (".mp4", "vp9"), (".mkv", "ffv1"), (".webm", "auto")],
)
def test_every_codec_keeps_times_and_pictures(tmp_path: Path, suffix: str, codec: str) -> None:
    ticks, _ = uneven_ticks(Fraction(1, 1000), Fraction(852, 1000))
    path = tmp_path / f"out{suffix}"
    preset = {"hevc": "ultrafast", "av1": "12"}.get(codec)
    # Without durations the muxer has to rely on the times alone.
    write_video(path, ticks, time_base=Fraction(1, 1000), codec=codec, preset=preset)
    frames = read_frames(path)
    assert [frame.pts_seconds for frame in frames] == [Fraction(tick, 1000) for tick in ticks]
    for i, frame in enumerate(frames):
        assert np.abs(frame.image.astype(int) - picture(i)).mean() < 8, i


def test_frames_before_zero_are_shifted_to_zero(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        path = tmp_path / f"early{suffix}"
        write_video(path, [-10, -5, 0, 7])
        assert frame_times(path) == [Fraction(tick, 25) for tick in (0, 5, 10, 17)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_last_frame_without_a_duration_gets_the_usual_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_video(path, [0, 40, 80], time_base=Fraction(1, 1000), preset="ultrafast")
    last = read_frames(path)[-1]
    assert (last.duration or 0) * last.time_base == Fraction(1, 25)


COLOURS = np.array(
    [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (20, 20, 20), (210, 160, 130)], np.uint8
)


def colour_bars(width: int = 32, height: int = 64) -> Image:
    return np.repeat(np.repeat(COLOURS[None], width, 1), height, 0)


@pytest.mark.parametrize(
    ("matrix", "full_range"),
    [(1, False), (1, True), (5, False), (6, True), (9, False), (2, None), (2, True)],
)
@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_colours_are_kept(tmp_path: Path, codec: str, matrix: int, full_range: bool | None) -> None:
    tags = ColourTags(primaries=1, transfer=1, matrix=matrix, full_range=full_range)
    for number, scale in enumerate((1, 8)):  # below and above the size at which the rule changes
        path = tmp_path / f"{number}.mkv"
        image = colour_bars(32 * scale)
        write_video(path, [0, 1], images=[image, image], colour=tags, codec=codec)
        pixels = read_frames(path)[1].image
        centres = pixels[32, 16 * scale :: 32 * scale].astype(int)
        assert np.abs(centres - COLOURS).max() <= (0 if codec == "ffv1" else 5), centres
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        if codec == "h264":
            assert frame.colorspace == matrix
            # H.264 cannot leave the range unspecified if it states anything else.
            assert frame.color_range == (2 if full_range else 1)
        assert (frame.color_primaries, frame.color_trc) == (1, 1)


@pytest.mark.parametrize(
    ("suffix", "codec", "size"),
    [
        (".mp4", "h264", (66, 50)),
        (".mp4", "hevc", (66, 50)),
        (".mp4", "av1", (65, 49)),
        (".webm", "vp9", (65, 49)),
        (".mkv", "ffv1", (65, 49)),
    ],
)
def test_odd_sizes_are_kept(tmp_path: Path, suffix: str, codec: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"odd{suffix}"
    images = [picture(i, 65, 49) for i in range(3)]
    write_video(path, [0, 1, 2], images=images, codec=codec, crf=None)
    frames = read_frames(path)
    assert frames[0].image.shape == (size[1], size[0], 3)
    for frame, wanted in zip(frames, images, strict=True):
        assert np.abs(frame.image[:49, :65].astype(int) - wanted).mean() < 8
        if size[0] > 65:
            assert np.abs(frame.image[:49, 65].astype(int) - wanted[:, 64]).mean() < 12


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9", "ffv1"])
def test_tiny_pictures_are_written_or_refused(tmp_path: Path, codec: str) -> None:
    for width, height in ((1, 1), (2, 2), (3, 30), (16, 16)):
        path = tmp_path / f"{width}.mkv"
        images = [np.full((height, width, 3), 99, np.uint8)] * 2
        try:
            write_video(path, [0, 1], images=images, codec=codec)
        except SinkError as error:
            assert f"{width}x{height} is too small for" in str(error)  # noqa: PT017
            assert codec in ("hevc", "av1", "ffv1")
        else:
            assert np.abs(read_frames(path)[1].image.astype(int) - 99).max() <= 3


def test_transparency_is_kept_where_supported(tmp_path: Path) -> None:
    rgba = np.dstack([picture(0), np.full((48, 64), 255, np.uint8)])
    rgba[:24, :, 3] = 0
    for name, codec in (("a.webm", "vp9"), ("a.mkv", "ffv1")):
        assert VideoSink(str(tmp_path / name), settings=EncodeSettings(codec=codec)).has_alpha
        write_video(tmp_path / name, [3, 4, 5], images=[rgba] * 3, codec=codec)
        decoder = "libvpx-vp9" if codec == "vp9" else "ffv1"
        context: Any = av.CodecContext.create(decoder, "r")
        with av.open(str(tmp_path / name)) as container:
            stream = container.streams.video[0]
            context.extradata = stream.codec_context.extradata
            context.width, context.height = 64, 48
            packet = next(container.demux(stream))
            assert packet.pts * packet.time_base == Fraction(3, 25)
            (frame,) = context.decode(packet) or context.decode(None)
        alpha = frame.reformat(format="rgba").to_ndarray()[..., 3]
        assert alpha[:20].max() < 20
        assert alpha[28:].min() > 235
    assert not VideoSink(str(tmp_path / "a.mp4")).has_alpha


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("o.webm", {"codec": "h264"}, r"`codec`: \.webm cannot hold h264; allowed in \.webm: av1"),
        ("o.mp4", {"codec": "ffv1"}, r"ffv1 goes into \.mkv"),
        ("o.mov", {"codec": "vp9"}, r"\.mov cannot hold vp9"),
        ("o.avi", {}, r"\.avi is not a supported video format; allowed: \.mp4"),
        ("o.mp4", {"crf": 55}, "`crf`: 55 is out of range for h264; allowed: 0 to 51"),
        ("o.mkv", {"codec": "ffv1", "crf": 3}, "ffv1 is lossless"),
        ("o.mp4", {"preset": "quick"}, "`preset`: 'quick' is unknown to h264; allowed: ultrafast"),
        ("o.mp4", {"codec": "av1", "preset": "veryfast"}, "allowed: 0, 1"),
        ("o.mkv", {"codec": "ffv1", "preset": "1"}, "none; omit it"),
    ],
)
def test_impossible_settings_are_refused(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingError, match=says):
        VideoSink(name, settings=EncodeSettings(**settings))


def test_frames_that_go_back_in_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="is not later than the one before"):
        write_video(tmp_path / "out.mp4", [5, 5])


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_gap_too_long_for_mp4_is_refused(tmp_path: Path, suffix: str) -> None:
    nanosecond = Fraction(1, 1_000_000_000)
    second = 1_000_000_000
    with pytest.raises(SinkError, match=r"11\.0 s without a frame .* write \.mkv"):
        write_video(tmp_path / f"o{suffix}", [0, second, 12 * second], time_base=nanosecond)
    fits = [0, 2 * second, 3 * second, 5 * second]
    write_video(tmp_path / f"p{suffix}", fits, time_base=nanosecond)
    assert frame_times(tmp_path / f"p{suffix}") == [Fraction(t, second) for t in fits]
    with pytest.raises(SinkError, match=r"2\.1 s without a frame"):
        write_video(tmp_path / f"s{suffix}", [0, (1 << 31) - 1], time_base=nanosecond)
    longest = [0, (1 << 31) - 2]
    write_video(tmp_path / f"r{suffix}", longest, time_base=nanosecond)
    assert frame_times(tmp_path / f"r{suffix}") == [Fraction(t, second) for t in longest]
    hours = [0, 3600, 90_000]
    write_video(tmp_path / f"q{suffix}", hours, time_base=Fraction(1))
    assert frame_times(tmp_path / f"q{suffix}") == hours


def test_encoders_are_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for codec in ("h264", "hevc", "av1", "vp9"):
        write_video(tmp_path / f"{codec}.mp4", [0, 1, 2], codec=codec)
    assert capfd.readouterr() == ("", "")


def test_memory_use_stays_constant(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    write_video(tmp_path / "warm.mp4", list(range(50)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(4):
        write_video(tmp_path / f"{number}.mp4", list(range(300)), preset="ultrafast")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 40 * 1024


@pytest.mark.parametrize("name", ["stage-speech.mp4", "asl-book.mkv", "two-heads-turning.gif"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_real_clips_are_written(
    development_data: Path, tmp_path: Path, name: str, suffix: str
) -> None:
    source = development_data / "clips" / name
    output = tmp_path / f"out{suffix}"
    begun = time.perf_counter()
    convert(source, output, read=ReadSettings(keep_timestamps=True))
    assert time.perf_counter() - begun < 60
    before, after = frame_times(source), frame_times(output)
    sound, copied = copied_packets(source), copied_packets(output)
    assert [p[0] for p in copied] == [p[0] for p in sound]
    if suffix == ".mp4":
        assert after == before
        assert copied == sound
    else:
        assert len(after) == len(before)
        assert max(abs(a - b) for a, b in zip(after, before, strict=True)) <= Fraction(1, 2000)
