"""A real RTSP server that stalls, dies and returns; skipped if it is not installed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rtseg.errors import LostError, SourceError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings, StreamSettings
from rtseg.sources import open_source

TIMEOUT_SECONDS = 2.0
PYTHON = "/usr/bin/python3"
"""The system's Python, for which Debian packages GStreamer's bindings."""


class RtspServer:
    """The server as a process that can be stopped, killed and restarted on the same port."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        self.url = f"rtsp://maria:s3cret@127.0.0.1:{self.port}/live"
        self.start()

    def start(self) -> None:
        script = Path(__file__).with_name("rtsp_server.py")
        self.process = subprocess.Popen(
            [PYTHON, str(script), str(self.port)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            self.end()
            pytest.skip("GStreamer's RTSP server does not start")

    def stall(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def server() -> Iterator[RtspServer]:
    if os.name == "nt" or not Path(PYTHON).exists():
        pytest.skip(f"needs {PYTHON}")
    code = "import gi; gi.require_version('GstRtspServer', '1.0')"
    if subprocess.run([PYTHON, "-c", code], capture_output=True, check=False).returncode:
        pytest.skip("needs Debian's gir1.2-gst-rtsp-server-1.0 and python3-gi")
    server = RtspServer()
    yield server
    server.end()


def test_a_stalled_server_is_an_error_in_time(server: RtspServer) -> None:
    settings = ReadSettings(timeout=TIMEOUT_SECONDS)
    with open_source(server.url, settings=settings) as source:
        assert source.info.is_live
        assert "s3cret" not in str(source.info)
        stalled = 0.0
        with pytest.raises(LostError, match="sent nothing for 2 s") as caught:  # noqa: PT012
            for index, _ in enumerate(source):
                if index == 10:
                    stalled = time.monotonic()
                    server.stall()
        assert time.monotonic() - stalled < TIMEOUT_SECONDS + 1
    assert "s3cret" not in str(caught.value)
    # And so it is for a client that connects only now.
    begun = time.monotonic()
    with pytest.raises(LostError, match="did not answer within 2 s") as caught:
        open_source(server.url, settings=settings)
    assert time.monotonic() - begun < TIMEOUT_SECONDS + 1
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("fault", ["stalls", "dies"])
def test_a_restarted_server_is_reconnected(
    server: RtspServer, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The server stalls and continues, or dies and is restarted on the same port."""
    frames: list[Frame] = []
    with (
        caplog.at_level("WARNING", "rtseg"),
        open_source(
            server.url,
            settings=ReadSettings(timeout=TIMEOUT_SECONDS),
            stream=StreamSettings(stale_after=TIMEOUT_SECONDS),
        ) as source,
    ):
        for item in source:
            assert isinstance(item, Frame)
            frames.append(item)
            if len(frames) == 10:
                if fault == "dies":
                    server.end()
                    server.start()
                else:
                    server.stall()
                    # Meanwhile the loss is noticed, and the first attempts are refused.
                    threading.Timer(3.5, server.go_on).start()
            if source.reconnects and item.index > frames[0].index + 20:
                break
        assert source.reconnects == 1
    assert sum(frame.discontinuity for frame in frames) == 1
    for before, after in pairwise(frames):
        assert after.pts > before.pts
        assert after.index > before.index
    assert "reconnecting in 0.5 s (1 of 10)" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_wrong_path_is_an_error_at_once(server: RtspServer) -> None:

    begun = time.monotonic()
    with pytest.raises(SourceError, match="404"):
        open_source(server.url.replace("/live", "/nothing"), stream=StreamSettings())
    assert time.monotonic() - begun < 5
