"""Video outputs: identical times, copied streams, colours, and what survives failures."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.errors import OutputExistsError, SettingError, SinkError
from rtseg.frames import Frame, Image
from rtseg.media.info import ColourTags, SourceInfo
from rtseg.settings import EncodeSettings, ReadSettings
from rtseg.sinks import disk_space
from rtseg.sinks.video import VideoSink
from tests.support.clips import (
    NO_LABELS,
    MakeClip,
    convert,
    copied_packets,
    frame_times,
    part_of,
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

UNTAGGED = ColourTags()


def frame_at(pts: int, time_base: Fraction, index: int, **more: Any) -> Frame:
    return Frame(image=picture(index), index=index, pts=pts, time_base=time_base, **more)


def write_video(
    output: Path | str,
    ticks: list[int],
    *,
    time_base: Fraction = Fraction(1, 25),
    durations: list[int] | None = None,
    images: list[Image] | None = None,
    colour: ColourTags = UNTAGGED,
    aspect: Fraction = Fraction(1),
    outcome: Any = "finished",
    **settings: Any,
) -> VideoSink:
    images = images or [picture(i) for i in range(len(ticks))]
    height, width = images[0].shape[:2]
    info = SourceInfo(
        name="test",
        width=width,
        height=height,
        time_base=time_base,
        colour=colour,
        sample_aspect_ratio=aspect,
    )
    sink = VideoSink(str(output), settings=EncodeSettings(**settings), threads=1)
    sink.open(info, width=width, height=height)
    for i, (pts, image) in enumerate(zip(ticks, images, strict=True)):
        duration = durations[i] if durations else None
        frame = frame_at(pts, time_base, i, duration=duration)
        sink.write(frame, NO_LABELS, image)
    sink.close(outcome)
    return sink


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


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_whole_file_is_kept(make_clip: MakeClip, tmp_path: Path, suffix: str) -> None:
    source = make_clip(
        "in.mp4",
        ticks=[3, 4, 6, 9, 15, 16, 17],
        time_base=Fraction(1, 20),
        options={"bf": "2", "preset": "medium"},
        audio="aac",
        audio_start=2048,
        metadata={"title": "A title", "artist": "Nobody"},
        chapters=[(0, 0.5, "one"), (0.5, 0.9, "two")],
        stream={
            "color_primaries": 6,
            "color_trc": 6,
            "colorspace": 6,
            "color_range": 1,
            "sample_aspect_ratio": Fraction(8, 9),
        },
    )
    output = tmp_path / f"out{suffix}"
    convert(source, output, read=ReadSettings(keep_timestamps=True))
    exact = suffix != ".mkv"
    before, after = copied_packets(source), copied_packets(output)
    assert [packet[0] for packet in after] == [packet[0] for packet in before]
    for old, new in zip(before, after, strict=True):
        assert abs(old[1] - new[1]) <= (0 if exact else Fraction(1, 2000))
    assert frame_times(output) == frame_times(source)
    with av.open(str(output)) as container:
        assert container.metadata.get("title") == "A title"
        chapters = container.chapters()
        assert [chapter["metadata"]["title"] for chapter in chapters] == ["one", "two"]
        assert chapters[1]["start"] * chapters[1]["time_base"] == Fraction(1, 2)
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert audio.language == "fra"
        assert audio.disposition == av.stream.Disposition.default
        assert video.sample_aspect_ratio == Fraction(8, 9)
        frame = next(container.decode(video))
        tags = (frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range)
        assert tags == (6, 6, 6, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_last_frame_without_a_duration_gets_the_usual_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write_video(path, [0, 40, 80], time_base=Fraction(1, 1000), preset="ultrafast")
    last = read_frames(path)[-1]
    assert (last.duration or 0) * last.time_base == Fraction(1, 25)


def test_audio_that_starts_before_zero_shifts_nothing(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", audio="aac")
    assert copied_packets(source)[0][1] < 0
    for suffix in (".mp4", ".mkv"):
        output = tmp_path / f"out{suffix}"
        convert(source, output)
        assert frame_times(output)[0] == 0
        assert abs(copied_packets(output)[0][1] - Fraction(-1024, 48000)) <= Fraction(1, 2000)


@pytest.mark.parametrize("start", [12345, 12347])
def test_audio_that_starts_late_keeps_its_time(
    make_clip: MakeClip, tmp_path: Path, start: int
) -> None:
    """Even if the start is not a whole number of the picture's ticks."""
    source = make_clip("in.mp4", audio="aac", audio_start=start, ticks=range(25))
    convert(source, tmp_path / "out.mp4")
    before, after = copied_packets(source), copied_packets(tmp_path / "out.mp4")
    assert before == after


def test_opus_and_subtitles_into_webm_and_matroska(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.webm", codec="libvpx-vp9", audio="libopus")
    convert(source, tmp_path / "out.webm")
    before, after = copied_packets(source), copied_packets(tmp_path / "out.webm")
    assert before == after
    lines = [(0.1, 0.3, "hello"), (0.32, 0.45, "world")]
    titled = make_clip("titled.mkv", subtitles=lines, audio="aac")
    convert(titled, tmp_path / "titled-out.mkv")
    kept = copied_packets(tmp_path / "titled-out.mkv", "subtitle")
    assert [packet[0] for packet in kept] == [b"hello", b"world"]
    assert kept == copied_packets(titled, "subtitle")
    with av.open(str(tmp_path / "titled-out.mkv")) as container:
        assert container.streams.subtitles[0].language == "deu"


def test_no_audio_drops_the_other_streams(make_clip: MakeClip, tmp_path: Path) -> None:
    convert(make_clip("in.mp4", audio="aac"), tmp_path / "out.webm", audio="none")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert [stream.type for stream in container.streams] == ["video"]


@pytest.mark.parametrize(
    ("how", "suffix", "says"),
    [
        ({"audio": "aac"}, ".webm", r"\.webm: cannot hold the aac audio \(fra\).*\.mp4, .*\.mkv"),
        ({"subtitles": [(0, 1, "hi")]}, ".mp4", r"cannot hold the subrip subtitles.*\.mkv"),
    ],
)
def test_streams_that_cannot_be_copied_are_refused_before_the_start(
    make_clip: MakeClip, tmp_path: Path, how: dict[str, Any], suffix: str, says: str
) -> None:
    source = make_clip("in.mkv", **how)
    with pytest.raises(SinkError, match=says):
        convert(source, tmp_path / f"out{suffix}", audio="copy", subtitles="copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv"]


def test_copied_packets_are_unchanged(make_clip: MakeClip, tmp_path: Path) -> None:
    """Two outputs of one run get the same packets."""
    from rtseg.frames import Packet
    from rtseg.sources.video import VideoSource

    path = make_clip("in.mp4", audio="aac")
    with VideoSource(str(path), with_streams=True) as source:
        sinks = [VideoSink(str(tmp_path / name)) for name in ("a.mkv", "b.mp4")]
        for sink in sinks:
            sink.open(source.info, width=64, height=48)
        for item in source:
            for sink in sinks:
                if isinstance(item, Packet):
                    sink.copy(item)
                else:
                    sink.write(item, NO_LABELS, item.image)
        for sink in sinks:
            sink.close("finished")
    assert copied_packets(tmp_path / "b.mp4") == copied_packets(path)


def test_start_and_end_stay_in_sync(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("in.mp4", ticks=range(75), audio="aac", audio_seconds=3)
    convert(source, tmp_path / "out.mp4", read=ReadSettings(start=1, end=2))
    assert frame_times(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(25)]
    before = {content: time for content, time, _ in copied_packets(source)}
    after = copied_packets(tmp_path / "out.mp4")
    assert len(after) == sum(1 <= time < 2 for time in before.values())
    for content, moved, _ in after:
        assert moved == before[content] - 1


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


def test_frames_that_go_back_in_time_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="is not later than the one before"):
        write_video(tmp_path / "out.mp4", [5, 5])


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
