"""Sound, subtitles and chapters beside a written video are copied, in step."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from rtseg.errors import SinkError
from rtseg.settings import ReadSettings
from rtseg.sinks.video import VideoSink
from tests.support.clips import (
    NO_LABELS,
    MakeClip,
    convert,
    copied_packets,
    frame_times,
)


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
