"""Network outputs whose server is silent, dies, refuses or returns: the run keeps going."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.errors import SinkError
from rtseg.frames import Frame
from rtseg.media.info import SourceInfo
from rtseg.settings import StreamSettings
from rtseg.sinks import stream as stream_module
from rtseg.sinks.registry import SinkOptions
from rtseg.sinks.stream import StreamSink
from tests.reliability.servers import Client, serving
from tests.support.clips import NO_LABELS
from tests.support.receivers import Received, free_port, receiving

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
WIDTH, HEIGHT = 1280, 720

NOISE = np.random.default_rng(1).integers(0, 256, (4, HEIGHT, WIDTH, 3), np.uint8)
"""Noise uses the full bit rate of six megabits a second."""

INFO = SourceInfo(
    name="camera", width=WIDTH, height=HEIGHT, time_base=Fraction(1, 1000), is_live=True
)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr(stream_module, "FIRST_DELAY_SECONDS", 0.1)


def sink_for(url: str, **settings: Any) -> StreamSink:
    options = {"stale_after": 1.0} | settings
    return StreamSink(url, SinkOptions(stream=StreamSettings(**options), threads=1))


class Camera:
    """Give a sink a picture every 30 ms, and time each call."""

    def __init__(self, sink: StreamSink) -> None:
        self.sink = sink
        self.count = 0
        self.longest = 0.0
        self._begun = time.monotonic()

    def __call__(self, until: Callable[[], object], *, seconds: float = 20.0) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until():
                return True
            now = time.monotonic()
            frame = Frame(
                image=NOISE[self.count % len(NOISE)],
                index=self.count,
                pts=round((now - self._begun) * 1000),
                time_base=Fraction(1, 1000),
            )
            self.count += 1
            before = time.monotonic()
            self.sink.write(frame, NO_LABELS, frame.image)
            self.sink.poll()
            self.longest = max(self.longest, time.monotonic() - before)
            time.sleep(0.03)
        return False


@contextmanager
def ticking() -> Iterator[list[float]]:
    """A thread that notices if something holds the interpreter's lock, by the gaps it sees."""
    gaps: list[float] = [0.0]
    over = threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not over.wait(0.02):
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield gaps
    finally:
        over.set()
        thread.join()


def silent(client: Client) -> None:
    """A server that accepts the connection, reads nothing, and sends nothing."""
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.hold()


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp", "tcp"])
def test_a_server_that_accepts_and_stays_silent_blocks_nothing(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Over TCP alone no answer is due, so the stall is noticed when no data is accepted."""
    with ticking() as gaps, serving(silent, http=False) as server:
        sink = sink_for(
            server.url("?send_buffer_size=8192" if scheme == "tcp" else "/live", scheme)
        )
        try:
            begun = time.monotonic()
            sink.open(INFO, width=WIDTH, height=HEIGHT)
            assert time.monotonic() - begun < 4
            camera = Camera(sink)
            assert camera(lambda: len(server.clients) >= 2), caplog.text
        finally:
            begun = time.monotonic()
            sink.close("failed")
        assert time.monotonic() - begun < 4
    assert camera.longest < 1.0, "no picture waits for the network"
    assert max(gaps) < 1.0, "nor does any other thread"
    assert sink.dropped > 0
    says = "accepted no data for 1 s" if scheme == "tcp" else "did not answer in 2 s"
    assert says in caplog.text


@pytest.mark.parametrize("scheme", [pytest.param("rtmp", marks=pytest.mark.slow), "tcp"])
def test_a_server_that_dies_and_returns_is_reconnected(
    scheme: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"{scheme}://127.0.0.1:{free_port()}" + ("/live/x" if scheme == "rtmp" else "")
    sink = sink_for(url)
    with _receiver_process(url) as process:
        sink.open(INFO, width=WIDTH, height=HEIGHT)
        camera = Camera(sink)
        try:
            assert camera(lambda: _lines(process) >= 10)
            process.kill()
            process.wait()
            assert camera(lambda: not sink.is_connected)
            with receiving(url) as received:
                assert camera(lambda: sink.is_connected and sink.reconnects == 1), caplog.text
                sent = camera.count
                assert camera(lambda: camera.count >= sent + 20)
                sink.close("finished")
        except BaseException:
            sink.close("failed")
            raise
    assert received.keys[0], "it begins where a decoder can begin"
    assert received.times[0] < 0.1, "and at zero"
    assert len(received.times) >= 19
    assert camera.longest < 1.0
    assert "1 reconnects" in sink.describe()
    assert "reconnected" in caplog.text


def test_a_server_that_starts_late_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """The run starts, and sends once a server listens."""
    url = f"tcp://127.0.0.1:{free_port()}"
    sink = sink_for(url)
    begun = time.monotonic()
    sink.open(INFO, width=WIDTH, height=HEIGHT)
    assert time.monotonic() - begun < 4
    camera = Camera(sink)
    assert camera(lambda: camera.count >= 10)
    assert sink.dropped == 10
    with receiving(url) as received:
        assert camera(lambda: sink.is_connected)
        sent = camera.count
        assert camera(lambda: camera.count >= sent + 5)
        sink.close("finished")
    assert len(received.times) >= 4
    assert "connecting again in 0.1 s (1 of 10)" in caplog.text
    assert "reconnects" not in sink.describe()


@pytest.mark.parametrize("reconnect", [True, False])
def test_a_server_that_never_starts_ends_the_run(reconnect: bool) -> None:
    url = f"tcp://maria:s3cret@127.0.0.1:{free_port()}"
    sink = sink_for(url, reconnect=reconnect, max_reconnects=2)
    camera = Camera(sink)

    def run() -> None:
        sink.open(INFO, width=WIDTH, height=HEIGHT)
        camera(lambda: False)

    says = "connection refused"
    if reconnect:
        says += "; it could not be reached in 2 attempts, and `max_reconnects` allows more"
    with pytest.raises(SinkError, match=says) as caught:
        run()
    sink.close("failed")
    assert "s3cret" not in str(caught.value)
    assert bool(camera.count) == reconnect


def test_a_killed_child_process_is_replaced() -> None:
    url = f"udp://127.0.0.1:{free_port()}"
    sink = sink_for(url)
    sink.open(INFO, width=WIDTH, height=HEIGHT)
    camera = Camera(sink)
    link = sink._link
    assert link is not None
    os.kill(link.pid, signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    assert camera(lambda: sink.reconnects == 1)
    sent = camera.count
    assert camera(lambda: camera.count > sent + 3)
    sink.close("finished")
    assert sink._link is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux promises it")
def test_no_child_process_survives_a_killed_parent() -> None:
    """Even a child process that is stuck connecting, where no Python runs."""
    code = (
        "import sys, time; from tests.reliability.test_stream_output import *\n"
        "stream_module.CONNECT_SECONDS = 0.1\n"
        "sink = sink_for(sys.argv[1])\n"
        "original = sink._lose\n"
        "sink._lose = lambda report: None\n"
        "stream_module.StreamSink._drive = lambda self: setattr(self._link, 'is_connected', True)\n"
        "sink.open(INFO, width=WIDTH, height=HEIGHT)\n"
        "print(sink._link.pid, flush=True); time.sleep(60)\n"
    )
    with serving(silent, http=False) as server:
        parent = subprocess.Popen(
            [sys.executable, "-c", code, server.url("/live", "rtmp")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not server.clients:
            time.sleep(0.05)
        time.sleep(0.3)  # until it is in the handshake
        parent.kill()
        parent.communicate()
        for _ in range(100):
            if not _runs(child):
                return
            time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("the child lives on")


def _runs(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@contextmanager
def _receiver_process(url: str) -> Iterator[subprocess.Popen[str]]:
    """A receiver that can be killed; it prints one line per picture."""
    from tests.support.receivers import _wait_until_bound, listening_url

    code = (
        "import sys, json, av\n"
        "container = av.open(sys.argv[1], options=json.loads(sys.argv[2]))\n"
        "for packet in container.demux(video=0): print(packet.pts, flush=True)\n"
    )
    import json

    location, options = listening_url(url)
    process = subprocess.Popen(
        [sys.executable, "-c", code, location, json.dumps(options)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    process.lines = 0  # type: ignore[attr-defined]
    _wait_until_bound(url)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _read(process: Any) -> str:
    """Its output since the last call, without waiting."""
    try:
        return os.read(process.stdout.fileno(), 1 << 20).decode()
    except BlockingIOError:
        return ""


def _lines(process: Any) -> int:
    process.lines += _read(process).count("\n")
    return int(process.lines)


class RecordServer:
    """GStreamer's RTSP server, which accepts streams; it prints one line per packet."""

    def __init__(self, port: int) -> None:
        script = Path(__file__).with_name("rtsp_record_server.py")
        self.process: Any = subprocess.Popen(
            [PYTHON, str(script), str(port)], stdout=subprocess.PIPE, text=True
        )
        if self.process.stdout.readline() != "ready\n":
            self.end()
            pytest.skip("GStreamer's RTSP server does not start")
        os.set_blocking(self.process.stdout.fileno(), False)
        self.packets: list[str] = []

    def count(self, kind: str) -> int:
        self.packets += _read(self.process).split()
        return self.packets.count(kind)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def record_port() -> int:
    if os.name == "nt" or not Path(PYTHON).exists():
        pytest.skip(f"needs {PYTHON}")
    code = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip("needs Debian's gir1.2-gst-rtsp-server-1.0 and python3-gi")
    return free_port()


def test_a_real_rtsp_server_that_stalls_and_dies_is_reconnected(record_port: int) -> None:
    url = f"rtsp://127.0.0.1:{record_port}/live"
    server = RecordServer(record_port)
    sink = sink_for(url)
    try:
        sink.open(INFO, width=WIDTH, height=HEIGHT)
        camera = Camera(sink)
        assert camera(lambda: server.count("video") >= 10)
        server.process.send_signal(signal.SIGSTOP)
        assert camera(lambda: not sink.is_connected), "a stall is noticed"
        server.end()
        server = RecordServer(record_port)
        assert camera(lambda: server.count("video") >= 10), "and it goes on with the next server"
        assert sink.reconnects == 1
        assert camera.longest < 1.0
        sink.close("finished")
    finally:
        server.end()


def test_rtsp_carries_sound_and_a_wrong_path_is_an_error_at_once(
    record_port: int, tmp_path: Path
) -> None:
    from tests.support.clips import make_clip
    from tests.support.receivers import send_clip

    clip = make_clip(tmp_path / "clip.mp4", ticks=tuple(range(25)), audio="aac", audio_seconds=1.0)
    server = RecordServer(record_port)
    try:
        sink = sink_for(f"rtsp://127.0.0.1:{record_port}/nothing")
        with pytest.raises(SinkError, match="404"):
            sink.open(INFO, width=WIDTH, height=HEIGHT)
        sink.close("failed")
        send_clip(clip, sink_for(f"rtsp://127.0.0.1:{record_port}/sound"))
        for _ in range(100):  # the server's parser holds the last picture until another one follows
            if server.count("video") >= 24 and server.count("audio") >= 40:
                return
            time.sleep(0.02)
        raise AssertionError((server.count("video"), server.count("audio")))
    finally:
        server.end()


def test_the_received_stream_is_complete() -> None:
    """Test the helper above: an undisturbed stream loses nothing."""
    url = f"tcp://127.0.0.1:{free_port()}"
    with receiving(url) as received:
        sink = sink_for(url)
        sink.open(INFO, width=WIDTH, height=HEIGHT)
        camera = Camera(sink)
        camera(lambda: camera.count >= 10)
        sink.close("finished")
    assert isinstance(received, Received)
    assert len(received.times) == 10
