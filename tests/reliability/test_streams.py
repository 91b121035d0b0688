"""Streams that hang, break and return, with real servers on loopback."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from rtseg.errors import LostError, SourceError, TruncatedError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings, StreamSettings
from rtseg.sources import Source, open_source
from tests.reliability.command import start
from tests.reliability.servers import Client, serving
from tests.support.clips import MakeClip, frame_times

TIMEOUT_SECONDS = 1.0
SILENT_SECONDS = 4.0


@pytest.fixture
def stream(make_clip: MakeClip) -> bytes:
    return make_clip("stream.ts", ticks=range(40)).read_bytes()


@contextmanager
def ticking() -> Iterator[list[float]]:
    """The times at which another thread of this process could run."""
    over, ticks = threading.Event(), [time.monotonic()]

    def tick() -> None:
        while not over.wait(0.02):
            ticks.append(time.monotonic())

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield ticks
    finally:
        over.set()
        thread.join()


def read(
    url: str,
    *,
    stream: StreamSettings | None = None,
    real_time: bool = False,
    timeout: float = TIMEOUT_SECONDS,
) -> list[Frame]:
    settings = ReadSettings(timeout=timeout)
    with open_source(url, settings=settings, stream=stream, real_time=real_time) as source:
        return [item for item in source if isinstance(item, Frame)]


def never_answers(client: Client, _stream: bytes) -> None:
    client.hold()


def stalls_in_the_header(client: Client, _stream: bytes) -> None:
    client.send(b"HTTP/1.1 200 OK\r\nContent-")
    client.hold()


def stalls_after_the_header(client: Client, _stream: bytes) -> None:
    client.http(10**6)
    client.hold()


def trickles(client: Client, stream: bytes) -> None:
    client.http(len(stream))
    client.trickle(stream, step=1, seconds=0.2)


def trickles_without_a_header(client: Client, stream: bytes) -> None:
    client.trickle(stream, step=1, seconds=0.2)


def stalls_in_the_middle(client: Client, stream: bytes) -> None:
    client.http(len(stream))
    client.send(stream[: len(stream) // 2])
    client.hold()


def stalls_late_and_at_the_end(client: Client, stream: bytes) -> None:
    """Even if FFmpeg looks for the end, to learn the length."""
    if not client.range_start:
        client.http(len(stream))
        client.send(stream[: 3 * len(stream) // 4])
    client.hold()


def trickles_in_the_middle(client: Client, stream: bytes) -> None:
    client.http(len(stream))
    client.send(stream[: len(stream) // 2])
    client.trickle(stream[len(stream) // 2 :], step=1, seconds=0.2)


def stops_without_a_header(client: Client, stream: bytes) -> None:
    client.send(stream[: len(stream) // 2])
    client.hold()


def test_silence_in_any_form_is_an_error_in_time(stream: bytes, make_clip: MakeClip) -> None:
    """All at once, each on its own thread and server, while this thread keeps running."""
    matroska = make_clip("head.mkv", ticks=range(3)).read_bytes()
    head = matroska[: matroska.index(b"\x1f\x43\xb6\x75") + 30]  # and the first cluster's beginning

    def stalls_before_the_first_picture(client: Client, _stream: bytes) -> None:
        client.http(10**6)
        client.send(head)
        client.hold()

    answers = {
        "http": [
            never_answers,
            stalls_in_the_header,
            stalls_after_the_header,
            trickles,
            stalls_before_the_first_picture,
            stalls_in_the_middle,
            stalls_late_and_at_the_end,
            trickles_in_the_middle,
        ],
        "tcp": [never_answers, trickles_without_a_header, stops_without_a_header],
    }
    ended: dict[str, tuple[float, BaseException | None]] = {}

    def attempt(name: str, url: str) -> None:
        begun, raised = time.monotonic(), None
        try:
            read(url, timeout=SILENT_SECONDS)
        except SourceError as error:
            raised = error
        ended[name] = time.monotonic() - begun, raised

    threads = []
    with ExitStack() as servers, ticking() as ticks:
        for scheme, kinds in answers.items():
            for answer in kinds:
                serve = serving(
                    lambda client, answer=answer: answer(client, stream), http=scheme == "http"
                )
                url = servers.enter_context(serve).url("/v.ts" * (scheme == "http"), scheme)
                name = f"{scheme}: {answer.__name__}"
                threads.append(threading.Thread(target=attempt, args=(name, url)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(ended) == 11
    for name, (seconds, error) in ended.items():
        assert isinstance(error, LostError), name
        assert re.search(r"did not answer within 4 s|sent nothing for 4 s", str(error)), name
        # Not twice the time limit, which would be 8 s. The rest is slack for a busy machine.
        assert seconds < SILENT_SECONDS + 1 + 2.5, name
    # The interpreter is free while FFmpeg waits, so a window would keep responding.
    assert max(after - before for before, after in pairwise(ticks)) < SILENT_SECONDS / 2


def test_frames_before_a_stall_are_delivered(stream: bytes) -> None:
    frames: list[object] = []
    with (
        serving(lambda client: stalls_late_and_at_the_end(client, stream)) as server,
        open_source(server.url("/v.ts"), settings=ReadSettings(timeout=TIMEOUT_SECONDS)) as source,
        pytest.raises(LostError, match="sent nothing for 1 s"),
    ):
        frames.extend(source)
    assert len(frames) >= 25


def test_a_refused_connection_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(LostError, match="refused"):
        read(f"tcp://127.0.0.1:{port}")


def test_a_download_that_breaks_without_reconnecting_is_truncated(stream: bytes) -> None:
    def answer(client: Client) -> None:
        client.http(len(stream))
        client.send(stream[: len(stream) // 2])

    with serving(answer) as server, pytest.raises(TruncatedError, match="truncated after"):
        read(server.url("/v.ts"))


def test_a_download_that_breaks_resumes_where_it_broke(stream: bytes) -> None:
    def answer(client: Client) -> None:
        start = client.range_start
        client.http(len(stream) - start, start=start, total=len(stream))
        half = len(stream) // 2
        client.send(stream[start : max(half, start)] if start < half else stream[start:])

    with serving(answer) as server:
        frames = read(server.url("/v.ts"), stream=StreamSettings())
        assert len(server.clients) > 1
    assert [frame.index for frame in frames] == list(range(40))


def take(source: Source, enough: Callable[[Frame], bool], *, seconds: float = 30) -> list[Frame]:
    """The frames up to the first that satisfies a condition."""
    frames: list[Frame] = []
    end = time.monotonic() + seconds
    for item in source:
        if isinstance(item, Frame):
            frames.append(item)
            if enough(item):
                break
        assert time.monotonic() < end
    return frames


def check_one_stream(frames: list[Frame], *, breaks: int) -> None:
    """Times increase, indexes continue, each gap is marked, and time base and size are constant."""
    assert sum(frame.discontinuity for frame in frames) == breaks
    for before, after in pairwise(frames):
        assert after.pts > before.pts
        assert after.index > before.index
        assert after.time_base == before.time_base
        assert after.image.shape == before.image.shape


@pytest.mark.parametrize("fault", ["closes", "stalls"])
@pytest.mark.parametrize("scheme", ["tcp", "http"])
def test_a_live_stream_that_breaks_is_reconnected(scheme: str, fault: str, stream: bytes) -> None:
    def answer(client: Client) -> None:
        if scheme == "http":
            client.http()
        client.send(stream if client.number else stream[: 3 * len(stream) // 4])
        if client.number or fault == "stalls":
            client.hold()

    url_scheme = scheme
    with (
        serving(answer, http=scheme == "http") as server,
        open_source(
            server.url(scheme=url_scheme),
            # Silence is noticed within stale_after, however long an answer may take.
            settings=ReadSettings(timeout=60),
            stream=StreamSettings(stale_after=0.7),
            real_time=True,
        ) as source,
    ):
        frames = take(source, lambda frame: source.reconnects > 0 and frame.index > 35)
        assert source.reconnects == 1
        assert source.status == ""
    check_one_stream(frames, breaks=1)
    gap = next(
        after.pts_seconds - before.pts_seconds
        for before, after in pairwise(frames)
        if after.discontinuity
    )
    assert Fraction(1, 4) < gap < 20  # by the clock


def test_a_stream_that_is_not_ready_yet_is_retried(
    stream: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(client: Client) -> None:
        if client.number:
            client.send(stream if client.number > 1 else stream[:1000])
            client.hold()

    with (
        serving(answer, http=False) as server,
        caplog.at_level("WARNING", "rtseg"),
        open_source(
            server.url(scheme="tcp"),
            settings=ReadSettings(timeout=TIMEOUT_SECONDS),
            stream=StreamSettings(max_reconnects=5),
        ) as source,
    ):
        frames = take(source, lambda frame: frame.index == 20)
        assert source.reconnects == 1, "late is counted, once"
    assert not any(frame.discontinuity for frame in frames)
    assert any("trying again in 0.5 s (1 of 5)" in message for message in caplog.messages)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
def test_ctrl_c_ends_the_wait_for_a_stream(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"tcp://maria:s3cret@127.0.0.1:{port}"
    with start("camera", url, "--no-display", "-o", tmp_path / "out.mkv") as process:
        assert process.stderr is not None
        lines = ""
        while "trying again in 1 s (2 of 10)" not in lines:
            line = process.stderr.readline()
            assert line, lines
            lines += line
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, errors = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "s3cret" not in lines + errors
    assert not list(tmp_path.iterdir())


def test_a_live_stream_that_stays_away_ends_as_truncated(stream: bytes) -> None:
    def answer(client: Client) -> None:
        if client.number == 0:
            client.send(stream)

    with serving(answer, http=False) as server:
        begun = time.monotonic()
        with pytest.raises(TruncatedError, match=r"did not come back in 2 attempts"):
            read(server.url(scheme="tcp"), stream=StreamSettings(max_reconnects=2))
        assert time.monotonic() - begun < 20


def test_without_reconnecting_a_live_stream_ends(stream: bytes) -> None:
    with serving(lambda client: client.send(stream), http=False) as server:
        frames = read(server.url(scheme="tcp"), stream=StreamSettings(reconnect=False))
    assert len(frames) == 40


def test_closing_ends_a_reconnection_attempt(stream: bytes) -> None:
    with serving(lambda client: client.send(stream), http=False) as server:
        source = open_source(
            server.url(scheme="tcp"),
            settings=ReadSettings(timeout=TIMEOUT_SECONDS),
            stream=StreamSettings(),
        )
    reader = threading.Thread(target=lambda: list(source))
    reader.start()
    end = time.monotonic() + 20
    while not source.status and time.monotonic() < end:
        time.sleep(0.01)
    assert source.status.startswith("reconnecting… (")
    source.close()
    reader.join(5)
    assert not reader.is_alive()


def test_a_mistyped_address_is_not_retried_for_ever(tmp_path: Path) -> None:
    def answer(client: Client) -> None:
        client.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    with serving(answer) as server:
        with pytest.raises(SourceError, match="404"):
            read(server.url("/nothing"), stream=StreamSettings(), real_time=True)
        assert len(server.clients) <= 2


def test_a_recording_of_a_lost_camera_is_complete_and_reported(
    stream: bytes, tmp_path: Path
) -> None:
    def answer(client: Client) -> None:
        if client.number < 2:
            client.trickle(stream, step=len(stream) // 10, seconds=0.05)

    out = tmp_path / "out.mkv"
    with serving(answer, http=False) as server:
        url = server.url(scheme="tcp").replace("://", "://maria:s3cret@")
        with start("camera", url, "--no-display", "-o", out, "--max-reconnects", 2) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 4, errors
    assert "Traceback" not in errors
    assert "1 reconnect" in errors
    assert "reconnecting in 0.5 s (1 of 2)" in errors
    assert "did not come back in 2 attempts" in errors
    assert "s3cret" not in errors
    times = frame_times(out)
    assert all(after > before for before, after in pairwise(times))
    assert max(after - before for before, after in pairwise(times)) > Fraction(1, 4)
