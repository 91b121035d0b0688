"""Inputs without a clock of their own, such as cameras over HTTP, are timed by arrival."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from rtseg.errors import TruncatedError
from rtseg.settings import ReadSettings, StreamSettings
from rtseg.sources import open_source
from rtseg.sources.video import VideoSource
from tests.reliability.servers import Client, serving
from tests.sources.paced import TICK
from tests.support.clips import MakeClip, picture


def jpegs(count: int) -> list[bytes]:
    context: Any = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuvj420p"
    context.time_base = TICK
    pictures = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
        frame = frame.reformat(format="yuvj420p")
        frame.pts = number
        pictures += [bytes(packet) for packet in context.encode(frame)]
    return pictures


def camera(client: Client, pictures: list[bytes], seconds: float) -> None:
    """The format of an ESP32-CAM and of phones' camera servers."""
    client.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n"
    )
    for data in pictures:
        client.send(b"--frame\r\nContent-Type: image/jpeg\r\n")
        client.send(b"Content-Length: %d\r\n\r\n" % len(data) + data + b"\r\n")
        if client.over.wait(seconds):
            return


def timed(source: Any) -> list[Fraction]:
    times: list[Fraction] = []
    with suppress(TruncatedError):  # A camera never ends, but a test does.
        for item in source:
            times.append(item.pts_seconds)  # noqa: PERF401  (what came before an error counts)
    return times


def check_pace(times: list[Fraction], seconds: float) -> None:
    assert times[0] == 0
    steps = [float(b - a) for a, b in pairwise(times)]
    assert np.median(steps) == pytest.approx(seconds, rel=0.35)
    assert float(times[-1]) == pytest.approx(seconds * len(steps), rel=0.3)


@pytest.mark.parametrize("real_time", [False, True])
def test_a_camera_over_http_is_timed_by_arrival(real_time: bool) -> None:
    pictures = jpegs(16)
    with serving(lambda client: camera(client, pictures, 0.1)) as server:
        stream = StreamSettings(reconnect=False)
        with open_source(server.url("/stream"), real_time=real_time, stream=stream) as source:
            assert source.info.is_live
            times = timed(source)
    assert len(times) >= 15
    check_pace(times, 0.1)


def raw_h264(make_clip: MakeClip, count: int) -> list[bytes]:
    path = make_clip(
        "raw.mkv", ticks=range(count), options={"preset": "ultrafast", "bf": "0", "g": "5"}
    )
    with av.open(str(path)) as container:
        to_annex_b = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
        return [
            bytes(made)
            for packet in container.demux(video=0)
            if packet.size
            for made in to_annex_b.filter(packet)
        ]


def test_raw_h264_over_tcp_is_timed_by_arrival(make_clip: MakeClip) -> None:
    packets = raw_h264(make_clip, 30)

    def answer(client: Client) -> None:
        for data in packets:
            client.send(data)
            client.over.wait(0.06)

    with serving(answer, http=False) as server:
        stream = StreamSettings(reconnect=False)
        with open_source(server.url(scheme="tcp"), stream=stream) as source:
            times = timed(source)
    assert len(times) >= 28
    check_pace(times, 0.06)


def test_a_paced_pipe_is_timed_by_arrival(
    make_clip: MakeClip, pipe: Callable[[list[bytes], float], None]
) -> None:
    pipe(raw_h264(make_clip, 30), 0.06)
    with open_source("-") as source:
        assert not source.info.is_live  # Nothing is dropped.
        times = timed(source)
    assert len(times) == 30
    check_pace(times, 0.06)


def test_a_recording_in_a_pipe_keeps_its_rate(
    make_clip: MakeClip, pipe: Callable[[list[bytes], float], None]
) -> None:
    pipe(raw_h264(make_clip, 60), 0.0)
    with open_source("-") as source:
        times = timed(source)
    assert {b - a for a, b in pairwise(times)} == {TICK}
    assert len(times) == 60


def test_a_file_of_pictures_over_http_keeps_its_rate(make_clip: MakeClip) -> None:
    data = b"".join(raw_h264(make_clip, 40))

    def answer(client: Client) -> None:
        client.http(len(data))
        client.send(data)

    with (
        serving(answer) as server,
        VideoSource(server.url("/a.h264")) as source,
    ):
        assert not source.info.is_live
        assert {b - a for a, b in pairwise(timed(source))} == {TICK}


@pytest.mark.slow
def test_announced_sound_that_never_arrives_delays_nothing(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    path = tmp_path / "silent.ts"
    make_clip("silent.ts", audio="aac", audio_seconds=0, ticks=range(500))
    data = path.read_bytes()

    def answer(client: Client) -> None:
        client.trickle(data, step=188 * 4, seconds=0.04)

    with serving(answer, http=False) as server:
        begun = time.monotonic()
        settings = ReadSettings(timeout=8)
        stream = StreamSettings(reconnect=False)
        url = server.url(scheme="tcp")
        with open_source(url, settings=settings, stream=stream, with_streams=True) as source:
            assert source.info.is_live
            # FFmpeg itself probes it for five seconds.
            assert time.monotonic() - begun < 7.5
