"""Sound and subtitles beside the video: copied, converted or dropped, always in sync."""

from __future__ import annotations

import io
import logging
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.errors import SinkError
from rtseg.settings import ReadSettings
from tests.sinks.codecs_of import codec_of
from tests.support.clips import MakeClip, convert, copied_packets, frame_times
from tests.support.sound import lag_seconds, make_sound_clip

HALF_A_MILLISECOND = 0.0005


def check_in_step(source: Path, output: Path, *, tolerance: float = 0.004, **how: Any) -> None:
    """Check the number of frames, and that the sound is where it was beside them."""
    assert len(frame_times(source)) == len(frame_times(output))
    before, after = lag_seconds(source, **how), lag_seconds(output, **how)
    assert abs(before - after) < tolerance, (before, after)


COPIED = [
    ("a.ts", "aac", "stereo", 48000, ".mp4"),
    ("a.ts", "aac", "mono", 22050, ".mov"),
    ("a.ts", "aac", "5.1", 48000, ".mkv"),
    ("a.ts", "ac3", "5.1(side)", 48000, ".mp4"),
    ("a.ts", "eac3", "stereo", 48000, ".mp4"),
    ("a.ts", "mp2", "stereo", 48000, ".mp4"),
    ("a.mpg", "mp2", "stereo", 48000, ".mkv"),
    ("a.avi", "pcm_s16le", "stereo", 48000, ".mp4"),
    ("a.avi", "pcm_s16le", "mono", 8000, ".mov"),
    ("a.mkv", "pcm_s24le", "stereo", 48000, ".mp4"),
    ("a.mkv", "pcm_s16le", "5.1", 48000, ".mp4"),
    ("a.mkv", "libopus", "stereo", 48000, ".mp4"),
    ("a.mkv", "flac", "7.1", 48000, ".mp4"),
    ("a.mkv", "libopus", "mono", 48000, ".webm"),
    ("a.flv", "aac", "stereo", 44100, ".mp4"),
    ("a.mov", "pcm_alaw", "mono", 8000, ".mkv"),
    ("a.avi", "pcm_mulaw", "mono", 8000, ".mkv"),
    ("a.avi", "adpcm_ms", "stereo", 44100, ".mkv"),
    ("a.wmv", "wmav2", "stereo", 44100, ".mkv"),
    ("a.mov", "alac", "stereo", 44100, ".mp4"),
    ("a.mov", "pcm_s16be", "stereo", 48000, ".mov"),
]


@pytest.mark.parametrize(("name", "codec", "layout", "rate", "suffix"), COPIED)
def test_supported_streams_are_copied(
    tmp_path: Path, name: str, codec: str, layout: str, rate: int, suffix: str
) -> None:
    source = make_sound_clip(tmp_path / name, codec, layout=layout, rate=rate)
    output = tmp_path / f"out{suffix}"
    convert(source, output)
    before, after = ([p[0] for p in copied_packets(path)] for path in (source, output))
    if name.endswith(".ts") and codec == "aac":
        before = [data[7:] for data in before]  # without the ADTS header
    assert b"".join(after) == b"".join(before)
    check_in_step(source, output)


def test_latm_is_unpacked(tmp_path: Path) -> None:
    options = {"mpegts_flags": "latm"}
    latm = make_sound_clip(tmp_path / "latm.ts", muxer_options=options)
    assert codec_of(latm) == "aac_latm"
    adts = make_sound_clip(tmp_path / "adts.ts")
    for suffix in (".mp4", ".mkv"):
        output = tmp_path / f"out{suffix}"
        convert(latm, output)
        wanted = [data[7:] for data, *_ in copied_packets(adts)]
        assert [data for data, *_ in copied_packets(output)] == wanted
        check_in_step(latm, output)


TRANSCODED = [
    ("a.mp4", "aac", "stereo", 48000, ".webm", "opus"),
    ("a.mp4", "aac", "mono", 44100, ".webm", "opus"),
    ("a.ts", "ac3", "5.1(side)", 48000, ".webm", "opus"),
    ("a.ts", "aac", "stereo", 22050, ".webm", "opus"),
    ("a.avi", "pcm_s16le", "stereo", 48000, ".webm", "opus"),
    ("a.mkv", "flac", "7.1", 96000, ".webm", "opus"),
    ("a.mkv", "flac", "quad", 48000, ".webm", "opus"),
    ("a.mov", "pcm_alaw", "mono", 8000, ".mp4", "aac"),
    ("a.avi", "adpcm_ms", "stereo", 44100, ".mov", "aac"),
    ("a.wmv", "wmav2", "stereo", 44100, ".mp4", "aac"),
    ("a.avi", "pcm_u8", "mono", 11025, ".mp4", "aac"),
    ("a.vob", "pcm_dvd", "stereo", 48000, ".mp4", "aac"),
    ("a.mkv", "libopus", "stereo", 48000, ".mov", "aac"),
]


@pytest.mark.parametrize(("name", "codec", "layout", "rate", "suffix", "wanted"), TRANSCODED)
def test_unsupported_streams_are_transcoded_in_sync(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    codec: str,
    layout: str,
    rate: int,
    suffix: str,
    wanted: str,
) -> None:
    source = make_sound_clip(tmp_path / name, codec, layout=layout, rate=rate)
    output = tmp_path / f"out{suffix}"
    with caplog.at_level(logging.INFO, "rtseg"):
        convert(source, output)
    assert codec_of(output) == wanted
    (line,) = [record.message for record in caplog.records if "converted to" in record.message]
    assert "cannot hold the" in line
    # FFmpeg's DVD writer loses a packet of 10 ms.
    check_in_step(source, output, tolerance=0.04 if codec == "pcm_dvd" else 0.004)


@pytest.mark.parametrize("suffix", [".webm", ".mp4"])
@pytest.mark.parametrize(
    "how",
    [
        {"start": 0.7},
        {"seconds": 0.9},
        {"seconds": 2.0, "pictures": 20},
        {"pauses": [(0.5, 1.1)]},
        {"video_start": 1.0},
        {"start": 3.0, "video_start": 2.0},
    ],
    ids=str,
)
def test_transcoded_sound_keeps_its_time(tmp_path: Path, how: dict[str, Any], suffix: str) -> None:
    source = make_sound_clip(tmp_path / "in.mkv", **how)
    output = tmp_path / f"out{suffix}"
    convert(source, output, audio="transcode")
    seconds = how.get("seconds", 2.0)
    before, after = (lag_seconds(path, seconds=seconds) for path in (source, output))
    assert abs(before - after) < 0.004
    assert frame_times(output)[0] == 0 or how.get("video_start", 0) > how.get("start", 0)


def test_damaged_packets_of_sound_become_silence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_sound_clip(tmp_path / "in.mkv", "ac3")
    data = bytearray(source.read_bytes())
    for content, *_ in copied_packets(source)[20:26]:
        place = data.index(content)
        data[place : place + len(content)] = bytes(len(content))
    source.write_bytes(data)
    output = tmp_path / "out.webm"
    convert(source, output)
    assert "damaged packets with silence" in caplog.text
    check_in_step(source, output)


def test_lossless_sound_stays_lossless_in_matroska(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mkv", "pcm_s16le", layout="stereo")
    convert(source, tmp_path / "out.mkv", audio="transcode")
    assert codec_of(tmp_path / "out.mkv") == "flac"
    samples = []
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as container:
            frames = [f.to_ndarray().reshape(-1) for f in container.decode(audio=0)]
            samples.append(np.concatenate(frames))
    np.testing.assert_array_equal(samples[0], samples[1])


def test_several_tracks_of_sound_stay_apart(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.ts", languages=("eng", "deu", "fra"))
    for suffix in (".mp4", ".webm"):
        output = tmp_path / f"out{suffix}"
        convert(source, output)
        with av.open(str(output)) as container:
            assert [s.language for s in container.streams.audio] == ["eng", "deu", "fra"]
        for track in range(3):
            check_in_step(source, output, track=track, seed=3 + track)


def test_audio_can_be_left_out_or_transcoded(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mp4")
    convert(source, tmp_path / "none.mp4", audio="none")
    with av.open(str(tmp_path / "none.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    convert(source, tmp_path / "new.mp4", audio="transcode")
    old, new = copied_packets(source), copied_packets(tmp_path / "new.mp4")
    assert [p[0] for p in old] != [p[0] for p in new]
    check_in_step(source, tmp_path / "new.mp4")


def test_required_copying_is_refused_at_the_start(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mp4")
    with pytest.raises(SinkError, match=r"cannot hold the aac .*write \.mp4, .*`audio` transcode"):
        convert(source, tmp_path / "out.webm", audio="copy")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


class Standard:
    def __init__(self) -> None:
        self.buffer = io.BytesIO()

    def isatty(self) -> bool:
        return False


@pytest.mark.parametrize("codec", ["aac", "ac3"])
def test_broadcast_sound_goes_to_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    source = make_sound_clip(tmp_path / "in.ts", codec)
    standard = Standard()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", standard)
        convert(source, "-")
    output = tmp_path / "piped.mkv"
    output.write_bytes(standard.buffer.getvalue())
    assert codec_of(output) == codec
    check_in_step(source, output)


def test_a_part_is_transcoded_in_sync(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mp4", seconds=4, pictures=100)
    convert(source, tmp_path / "out.webm", read=ReadSettings(start=1, end=3))
    assert frame_times(tmp_path / "out.webm")[0] == 0
    lag = lag_seconds(tmp_path / "out.webm", seconds=4)
    assert abs(lag - (lag_seconds(source, seconds=4) - 1)) < 0.004


def test_metadata_is_kept_or_dropped(
    make_clip: MakeClip, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tags = {"title": "Home", "location": "+48.8577+002.295/", "com.apple.quicktime.model": "Phone"}
    source = make_clip(
        "in.mov",
        audio="aac",
        metadata=tags,
        muxer_options={"movflags": "use_metadata_tags"},
        chapters=[(0, 0.4, "one")],
    )
    for suffix in (".mp4", ".mkv"):
        convert(source, tmp_path / f"kept{suffix}", metadata="keep")
        with caplog.at_level(logging.INFO, "rtseg"):
            convert(source, tmp_path / f"bare{suffix}", metadata="drop")
        assert "location" in caplog.text
        with av.open(str(tmp_path / f"kept{suffix}")) as container:
            assert container.metadata["title"] == "Home"
        data = (tmp_path / f"bare{suffix}").read_bytes()
        for value in tags.values():
            assert value.encode() not in data
        with av.open(str(tmp_path / f"bare{suffix}")) as container:
            assert container.streams.audio[0].language == "fra"
            assert len(container.chapters()) == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("channels", [3, 9, 16])
def test_unusual_channel_counts_never_cost_the_pictures(
    tmp_path: Path, channels: int, suffix: str
) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        video: Any = container.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "bgr0"
        sound: Any = container.add_stream("pcm_s16le", rate=48000)
        sound.layout = {3: "2.1"}.get(channels, f"{channels}C")
        samples = np.random.default_rng(1).integers(-99, 99, (1, channels * 1920), np.int16)
        for number in range(12):
            frame = av.VideoFrame(64, 48, "bgr0")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
            piece: Any = av.AudioFrame.from_ndarray(samples, format="s16", layout=sound.layout.name)
            piece.sample_rate, piece.pts, piece.time_base = 48000, 1920 * number, Fraction(1, 48000)
            container.mux(sound.encode(piece))
        container.mux(video.encode(None))
    output = tmp_path / f"out{suffix}"
    convert(source, output)
    assert len(frame_times(output)) == 12


def test_a_packet_that_the_muxer_rejects_costs_only_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from rtseg.sinks.copied_stream import CopiedStream

    whole = CopiedStream.packets
    count = 0

    def broken(self: CopiedStream, packet: Any, *, shift_seconds: Fraction) -> list[Any]:
        nonlocal count
        count += 1
        made = whole(self, packet, shift_seconds=shift_seconds)
        if count == 40:
            for copy in made:  # It is shown before it is decoded, which no muxer accepts.
                copy.pts = copy.dts - 10_000
        return made

    monkeypatch.setattr(CopiedStream, "packets", broken)
    source = make_sound_clip(tmp_path / "in.mp4")
    convert(source, tmp_path / "out.mp4")
    assert len(frame_times(tmp_path / "out.mp4")) == 50
    assert "1 damaged packets of audio could not be written" in caplog.text
    assert len(copied_packets(tmp_path / "out.mp4")) == len(copied_packets(source)) - 1


def test_a_dv_camcorder_file_is_converted(tmp_path: Path) -> None:
    """DV: 720x576 and two channels of PCM that state no layout."""
    source = tmp_path / "in.dv"
    with av.open(str(source), "w", format="dv") as container:
        video: Any = container.add_stream("dvvideo", rate=25)
        video.width, video.height, video.pix_fmt = 720, 576, "yuv420p"
        sound: Any = container.add_stream("pcm_s16le", rate=48000)
        sound.layout = "stereo"
        samples = np.random.default_rng(1).integers(-9000, 9000, (1, 2 * 1920), np.int16)
        for number in range(10):
            frame = av.VideoFrame(720, 576, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
            piece: Any = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
            piece.sample_rate, piece.pts, piece.time_base = 48000, 1920 * number, Fraction(1, 48000)
            container.mux(sound.encode(piece))
    for suffix in (".mp4", ".mov", ".mkv"):
        output = tmp_path / f"out{suffix}"
        convert(source, output)
        assert len(frame_times(output)) == 10
        before, after = (b"".join(p[0] for p in copied_packets(f)) for f in (source, output))
        assert after == before
        if suffix != ".mkv":
            with av.open(str(output)) as container:
                assert container.streams.audio[0].layout.name == "stereo"


@pytest.mark.parametrize(
    ("name", "codec", "rate", "suffix"),
    [
        ("a.wmv", "wmav1", 44100, ".mov"),
        ("a.flv", "adpcm_swf", 44100, ".mov"),
        ("a.m2ts", "pcm_bluray", 48000, ".mp4"),
    ],
)
def test_a_stream_that_a_container_cannot_play_back_is_transcoded(
    tmp_path: Path, name: str, codec: str, rate: int, suffix: str
) -> None:
    """These muxers write a header without an error that nothing can read."""
    source = make_sound_clip(tmp_path / name, codec, rate=rate)
    output = tmp_path / f"out{suffix}"
    convert(source, output)
    assert codec_of(output) == "aac"
    check_in_step(source, output)
