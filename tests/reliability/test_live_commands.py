"""`--web`, `--virtual-camera`, network outputs and `serve` on the command line."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # a fixture
from tests.reliability.command import segmented, start
from tests.support.clips import MakeClip
from tests.support.receivers import free_port, receiving


def address_of(process: subprocess.Popen[str]) -> tuple[str, list[str]]:
    """The host and port that a command prints, and the lines up to there."""
    lines = []
    assert process.stderr is not None
    while not (line := process.stderr.readline()).startswith("live at "):
        lines.append(line)
        assert line, lines
    return line.split("/")[2], lines


def get(host: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture
def long_clip(make_clip: MakeClip) -> Path:
    return make_clip(ticks=tuple(range(750)), width=128, height=96)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
@pytest.mark.parametrize("command", ["camera", "video"])
def test_the_network_rests_until_somebody_opens_the_page(command: str, long_clip: Path) -> None:
    with start(command, long_clip, "--web", "127.0.0.1:0") as process:
        host, _ = address_of(process)
        time.sleep(1.0)
        stats = json.loads(get(host, "/stats")[1])
        assert stats["viewers"] == []
        assert stats["faces"] == 0
        assert stats["picture"]["view"] == "overlay"
        status, jpeg = get(host, "/snapshot.jpg")
        assert (status, jpeg[:2]) == (200, b"\xff\xd8")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == (0 if command == "camera" else 130), errors
    assert 0 < segmented(errors) < 60, "only while the snapshot was wanted"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_requests_from_the_page_reach_the_run(long_clip: Path) -> None:
    with start("camera", long_clip, "--web", "0", "--always") as process:
        host, _ = address_of(process)
        connection = http.client.HTTPConnection(host, timeout=20)
        for body in ({"view": {"view": "mask"}}, {"view": {"classes": ["hair"]}}):
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/control", json.dumps(body), headers)
            assert connection.getresponse().read() == b'{"taken": true}'
        connection.close()
        end = time.monotonic() + 20
        while True:
            picture = json.loads(get(host, "/stats")[1])["picture"]
            shown = [one["name"] for one in picture["classes"] if one["shown"]]
            if picture["view"] == "mask" and shown == ["hair"]:
                break
            assert time.monotonic() < end, picture
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 143


def test_a_file_is_sent_to_the_network_with_its_sound(make_clip: MakeClip) -> None:
    clip = make_clip(ticks=tuple(range(40)), audio="aac", audio_seconds=1.6)
    url = f"tcp://127.0.0.1:{free_port()}"
    with receiving(url) as received:
        with start("video", clip, "-o", url) as process:
            _, errors = process.communicate(timeout=100)
        assert process.returncode == 0, errors
    assert received.streams == ["h264", "aac"]
    assert len(received.times) > 10
    assert len(received.sound) > 40
    assert f"wrote {url}" in errors


def test_every_frame_of_a_file_goes_into_a_playlist(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip(ticks=tuple(range(60)))
    with start("video", clip, "-o", tmp_path / "live.m3u8", seconds=0.01) as process:
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert segmented(errors) == 60
    text = (tmp_path / "live.m3u8").read_text()
    assert "#EXT-X-ENDLIST" in text


@pytest.mark.parametrize(
    "output", ["ftp://host/x", "srt://host:1", "rtmp:/host/live", "whatever://x/y.mp4"]
)
def test_an_unknown_scheme_is_one_line_and_creates_nothing(
    output: str, run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for arguments in (
        ("video", clip, "-o", output),
        ("camera", clip, "--no-display", "-o", output),
        ("video", clip, "--labels", output),
        ("video", clip, "--json", output),
    ):
        result = run(*arguments)
        assert result.code == 2, result
        assert result.error
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("camera", "CLIP", "--web", "nowhere"), 2, "--web: 'nowhere' is not an address"),
        (("camera", "CLIP", "--web", "0", "--token", "short"), 2, "--token: has 5 characters"),
        (("camera", "CLIP", "--web", "0", "--ssl-key", "k.pem"), 2, "--ssl-cert and --ssl-key"),
        (("video", "CLIP", "CLIP", "--web", "0"), 2, "--web shows one input"),
        (("serve", "--web", "x:y"), 2, "--web: 'x:y' is not an address"),
        (("serve", "--max-visitors", "0"), 2, "--max-visitors: 0 is out of range"),
    ],
)
def test_wrong_options_are_refused(
    arguments: tuple[str, ...], code: int, says: str, run: Run, make_clip: MakeClip
) -> None:
    clip = str(make_clip())
    result = run(*(clip if argument == "CLIP" else argument for argument in arguments))
    assert result.code == code
    assert says in result.err


@pytest.mark.skipif(
    not sys.platform.startswith("linux") or any(Path("/sys/devices/virtual").glob("video4linux/*")),
    reason="there is a device, or another system",
)
def test_an_unavailable_virtual_camera_says_what_to_do(run: Run, make_clip: MakeClip) -> None:
    result = run("camera", make_clip(), "--virtual-camera")
    assert result.code == 5
    assert "exclusive_caps=1" in result.error


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no such signals")
def test_serve_prints_its_address_and_shuts_down_cleanly() -> None:
    with start("serve", "--web", "0.0.0.0:0", "-q") as process:
        host, _ = address_of(process)
        assert host.startswith("127.0.0.1:")
        assert get(host, "/stats")[0] == 401, "its token was made up"
        assert get(host, "/healthz")[0] == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
