"""Receive live streams in tests, with PyAV listening on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import av


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@dataclass
class Received:
    """What one connection received: times in seconds, and whether each picture is a key frame."""

    streams: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    decode_times: list[float] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    sound: list[float] = field(default_factory=list)
    error: str = ""

    @property
    def longest_group(self) -> float:
        """The longest time in seconds between key frames, or from the last one to the end."""
        begins = [time for time, key in zip(self.times, self.keys, strict=True) if key]
        ends = [*begins[1:], self.times[-1]]
        return max(end - begin for begin, end in zip(begins, ends, strict=True))


def receive(url: str, *, into: Received, options: dict[str, str] | None = None) -> None:
    """Read a stream until it ends, normally or not."""
    try:
        with av.open(url, options=options or {}, timeout=(20, 3)) as container:
            into.streams += [str(stream.codec_context.name) for stream in container.streams]
            for packet in container.demux():
                if not packet.size or packet.pts is None or packet.dts is None:
                    continue
                seconds = float(packet.pts * packet.time_base)
                if packet.stream.type == "video":
                    into.times.append(seconds)
                    into.decode_times.append(float(packet.dts * packet.time_base))
                    into.keys.append(packet.is_keyframe)
                else:
                    into.sound.append(seconds)
    except (av.error.FFmpegError, OSError) as error:
        into.error = str(error)


def listening_url(url: str) -> tuple[str, dict[str, str]]:
    """The receiver's URL for a sender's URL."""
    quick = {"analyzeduration": "300000"}
    if url.startswith("tcp"):
        return f"{url}?listen=1", quick
    return url, {"listen": "1", **quick} if url.startswith("rtmp") else quick


@contextmanager
def receiving(url: str) -> Iterator[Received]:
    """Receive one connection on a thread, which ends with the block."""
    received = Received()
    location, options = listening_url(url)
    thread = threading.Thread(
        target=receive, args=(location,), kwargs={"into": received, "options": options}
    )
    thread.start()
    _wait_until_bound(url)
    try:
        yield received
    finally:
        thread.join(30)
        assert not thread.is_alive()


def _wait_until_bound(url: str) -> None:
    """Wait until the receiver listens, without connecting, since it accepts one connection only."""
    import time
    from pathlib import Path

    port = int(url.split(":")[2].partition("/")[0])
    table = Path("/proc/net/udp" if url.startswith("udp") else "/proc/net/tcp")
    for _ in range(200):
        if not table.exists():
            time.sleep(1)
            return
        if any(f":{port:04X}" in line.split()[1] for line in table.read_text().splitlines()[1:]):
            return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {url}")


def send_clip(path: Any, sink: Any, *, with_sound: bool = True, live: bool = False) -> None:
    """Send a file through a sink, like a run."""
    from dataclasses import replace

    from rtseg.frames import Frame
    from rtseg.sources import open_source
    from tests.support.clips import NO_LABELS

    with open_source(path, with_streams=with_sound) as source:
        info = replace(source.info, is_live=live)
        try:
            sink.open(info, width=info.width, height=info.height)
            for item in source:
                if isinstance(item, Frame):
                    sink.write(item, NO_LABELS, item.image)
                else:
                    sink.copy(item)
        except BaseException:
            sink.close("failed")
            raise
        sink.close("finished")
