"""Network outputs that succeed, and HLS. For failures see tests/reliability."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import OutputExistsError, SettingError, SinkError
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from rtseg.sinks.protocols import PROTOCOLS, shown_output, with_query
from rtseg.sinks.stream import StreamSink
from tests.support.clips import MakeClip, read_frames
from tests.support.receivers import Received, free_port, receive, receiving, send_clip

FRAMES = 25


@pytest.mark.parametrize("scheme", ["rtmp", "tcp", "udp"])
def test_every_frame_arrives_at_its_time_with_its_sound(scheme: str, make_clip: MakeClip) -> None:
    clip = make_clip(ticks=tuple(range(FRAMES)), audio="aac", audio_seconds=1.0)
    url = f"{scheme}://127.0.0.1:{free_port()}" + ("/live/x" if scheme == "rtmp" else "")
    sink = open_sink(url, threads=1)
    assert isinstance(sink, StreamSink)
    with receiving(url) as received:
        send_clip(clip, sink)
    assert received.streams == ["h264", "aac"]
    assert np.allclose(received.times, np.arange(FRAMES) / 25, atol=0.0011), "no frame is lost"
    assert received.times == received.decode_times, "no B-frames"
    assert len(received.sound) >= 40, "a second of AAC is 47 packets"
    assert abs(received.sound[0]) < 0.05
    assert sink.dropped == 0
    assert sink.describe() == url.replace("/live/x", "/live/***")


def test_a_file_is_sent_in_real_time(make_clip: MakeClip) -> None:
    import time

    url = f"tcp://127.0.0.1:{free_port()}"
    with receiving(url):
        sink = open_sink(url, threads=1)
        assert sink.wants_real_time
        begun = time.monotonic()
        send_clip(make_clip(ticks=tuple(range(FRAMES))), sink, with_sound=False)
        assert time.monotonic() - begun > (FRAMES - 1) / 25


def test_unsupported_sound_is_dropped_with_a_message(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    clip = make_clip("clip.mkv", audio="libopus", ticks=tuple(range(5)))
    url = f"rtmp://127.0.0.1:{free_port()}/live/x"
    with receiving(url) as received:
        send_clip(clip, open_sink(url, threads=1))
    assert received.streams == ["h264"]
    assert "sent without sound: RTMP does not carry opus; it carries aac, mp3" in caplog.text


def test_an_hls_folder_contains_every_frame(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(ticks=tuple(range(130)), audio="aac", audio_seconds=5.2)
    output = tmp_path / "out" / "live.m3u8"
    send_clip(clip, open_sink(str(output), settings=EncodeSettings(crf=5), threads=1))
    received = Received()
    receive(str(output), into=received)
    assert len(received.times) == 130
    assert received.longest_group <= 2.0
    assert len(received.sound) > 230
    text = output.read_text()
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert text.count("#EXTINF") == 3
    assert sorted(path.name for path in output.parent.iterdir()) == [
        "live-000000.ts",
        "live-000001.ts",
        "live-000002.ts",
        "live.m3u8",
    ]
    from rtseg.settings import ReadSettings

    frames = read_frames(output, settings=ReadSettings(allow_nested_urls=True))
    for before, after in zip(read_frames(clip), frames, strict=True):
        assert np.abs(before.image.astype(int) - after.image).mean() < 4


def test_existing_files_are_not_damaged(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(ticks=tuple(range(10)))
    output = tmp_path / "live.m3u8"
    earlier = tmp_path / "live-000007.ts"
    earlier.write_bytes(b"from another day")
    output.write_text("mine")
    with pytest.raises(OutputExistsError, match="`overwrite` replaces it"):
        send_clip(clip, open_sink(str(output), threads=1))
    assert output.read_text() == "mine"
    send_clip(clip, open_sink(str(output), settings=EncodeSettings(overwrite=True), threads=1))
    assert "live-000008.ts" in output.read_text()
    assert earlier.read_bytes() == b"from another day"


def test_a_camera_keeps_the_last_segments_only(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(ticks=tuple(range(40)), time_base=Fraction(1, 2))
    output = tmp_path / "live.m3u8"
    sink = open_sink(str(output), threads=1)
    send_clip(clip, sink, live=True)
    assert isinstance(sink, StreamSink)
    assert sink.dropped == 0
    text = output.read_text()
    assert text.count("#EXTINF") == 6
    assert len(list(tmp_path.glob("live-*.ts"))) < 9


def test_a_missing_folder_or_a_full_disk_is_reported(make_clip: MakeClip, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be written"):
        send_clip(make_clip(), open_sink(str(tmp_path / "file" / "live.m3u8")))


def test_unsupported_settings_are_refused() -> None:
    with pytest.raises(SettingError, match=r"live streams are H\.264"):
        open_sink("rtmp://host/live", settings=EncodeSettings(codec="av1"))


def test_udp_packets_fit_an_ethernet_frame_by_default() -> None:
    udp = PROTOCOLS["udp"]
    assert with_query("udp://h:1", udp) == "udp://h:1?pkt_size=1316"
    assert with_query("udp://h:1?ttl=4", udp) == "udp://h:1?ttl=4&pkt_size=1316"
    assert with_query("udp://h:1?pkt_size=188", udp) == "udp://h:1?pkt_size=188"
    assert with_query("tcp://h:1", PROTOCOLS["tcp"]) == "tcp://h:1"


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("rtmp://host/live2/abcd-1234", "rtmp://host/live2/***"),
        ("rtmps://maria:s3cret@host:443/app/key?token=1", "rtmps://host:443/app/***"),
        ("rtmp://host/live", "rtmp://host/live"),
        ("rtsp://maria:s3cret@host/live/camera", "rtsp://host/live/camera"),
        ("out/live.m3u8", "out/live.m3u8"),
    ],
)
def test_a_stream_key_is_hidden(output: str, shown: str) -> None:
    assert shown_output(output) == shown
