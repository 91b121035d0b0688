"""Subtitles are kept, converted or dropped, and never cost the pictures."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from rtseg.errors import SinkError
from tests.sinks.codecs_of import codec_of
from tests.support.clips import MakeClip, convert

LINES = [(0.1, 0.3, "hello <i>there</i>"), (0.32, 0.45, "world")]


def texts(path: Path) -> list[tuple[str, Fraction]]:
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[0]
        lines = []
        for packet in container.demux(stream):
            if packet.size:
                for event in stream.codec_context.decode2(packet) or ():
                    words = re.sub(r"{.*?}", "", event.dialogue.decode()).strip()
                    if words:
                        lines.append((words, packet.pts * packet.time_base))
        return lines


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "mov_text"), (".mov", "mov_text"), (".mkv", "subrip"), (".webm", "webvtt")],
)
def test_text_subtitles_are_converted(
    make_clip: MakeClip, tmp_path: Path, suffix: str, codec: str
) -> None:
    source = make_clip("in.mkv", subtitles=LINES, audio="aac")
    output = tmp_path / f"out{suffix}"
    convert(source, output)
    assert codec_of(output, "subtitle") == codec
    assert [words for words, _ in texts(output)] == ["hello there", "world"]
    for (_, time), (start, *_rest) in zip(texts(output), LINES, strict=True):
        assert abs(time - Fraction(str(start))) <= Fraction(1, 1000)
    if suffix != ".mov":  # MOV knows few languages
        with av.open(str(output)) as container:
            assert container.streams.subtitles[0].language == "deu"
    back = tmp_path / "back.mkv"
    convert(output, back)
    assert codec_of(back, "subtitle") == ("webvtt" if suffix == ".webm" else "subrip")
    assert [words for words, _ in texts(back)] == ["hello there", "world"]


def ass_clip(path: Path) -> Path:
    header = (
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
        "Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, "
        "MarginR, MarginV, Effect, Text\n"
    )
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "bgr0"
        text: Any = container.add_stream("ass")
        text.codec_context.subtitle_header = header.encode()
        text.time_base = Fraction(1, 1000)
        container.start_encoding()
        for number in range(20):
            frame = av.VideoFrame(64, 48, "bgr0")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        packet: Any = av.Packet(rb"0,0,Default,,0,0,0,,{\an8}up\Nthere")
        packet.pts = packet.dts = 200
        packet.duration, packet.time_base, packet.stream = 300, Fraction(1, 1000), text
        container.mux(packet)
        container.mux(video.encode(None))
    return path


def test_styled_subtitles_become_plain(tmp_path: Path) -> None:
    source = ass_clip(tmp_path / "in.mkv")
    convert(source, tmp_path / "out.mkv")
    assert codec_of(tmp_path / "out.mkv", "subtitle") == "ass"
    convert(source, tmp_path / "out.mp4")
    ((words, time),) = texts(tmp_path / "out.mp4")
    assert words.replace("\\N", "\n").split() == ["up", "there"]
    assert time == Fraction(1, 5)


def bitmap_clip(path: Path) -> Path:
    """A broadcast with sound and DVB subtitles, which are bitmaps."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound: Any = container.add_stream("mp2", rate=48000)
        sound.layout = "stereo"
        subtitles: Any = container.add_mux_stream("dvbsub")
        subtitles.time_base = Fraction(1, 90000)
        for number in range(25):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        for number in range(40):
            silence: Any = av.AudioFrame("s16", "stereo", 1152)
            silence.sample_rate, silence.pts = 48000, 1152 * number
            silence.time_base = Fraction(1, 48000)
            container.mux(sound.encode(silence))
        page: Any = av.Packet(bytes.fromhex("0f10000100020a00" + "0f8000010000" + "ff"))
        page.stream, page.time_base, page.pts, page.dts = subtitles, Fraction(1, 90000), 9000, 9000
        container.mux(page)
        container.mux(video.encode(None))
        container.mux(sound.encode(None))
    return path


@pytest.mark.parametrize(("suffix", "kept"), [(".mkv", True), (".mp4", False), (".webm", False)])
def test_bitmap_subtitles_are_kept_or_dropped_but_never_the_sound(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, kept: bool
) -> None:
    source = bitmap_clip(tmp_path / "in.ts")
    output = tmp_path / f"out{suffix}"
    convert(source, output)
    with av.open(str(output)) as container:
        assert len(container.streams.audio) == 1
        assert len(container.streams.subtitles) == kept
    said = [r.message for r in caplog.records if "dvb_subtitle subtitles" in r.message]
    assert len(said) == (not kept)
    with pytest.raises(SinkError, match="`subtitles` convert"):
        convert(source, tmp_path / "copy.mp4", subtitles="copy")
    convert(source, tmp_path / "none.mkv", subtitles="none")
    with av.open(str(tmp_path / "none.mkv")) as container:
        assert not container.streams.subtitles
        assert container.streams.audio


@pytest.mark.parametrize(
    "line",
    ["GPS (2.3522,48.8566,16) D 1.2m", "[latitude: 48.8566] [longitude: 2.3522]", "GPS:48.8,2.3"],
)
def test_subtitles_that_reveal_the_location_are_dropped_with_the_metadata(
    make_clip: MakeClip, tmp_path: Path, line: str
) -> None:
    source = make_clip("in.mkv", subtitles=[(0.0, 0.2, line), (0.2, 0.4, "hello, GPS fans")])
    for suffix in (".mkv", ".mp4"):
        convert(source, tmp_path / f"kept{suffix}", metadata="keep")
        assert len(texts(tmp_path / f"kept{suffix}")) == 2
        convert(source, tmp_path / f"bare{suffix}", metadata="drop")
        assert [words for words, _ in texts(tmp_path / f"bare{suffix}")] == ["hello, GPS fans"]
        assert line.encode() not in (tmp_path / f"bare{suffix}").read_bytes()
