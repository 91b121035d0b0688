"""`rtseg serve FILE` as a process: its page, its signals, its files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from rtseg.sinks.labels.images import read_labels
from tests.cli.conftest import Result
from tests.support.clips import make_clip
from tests.support.receivers import free_port

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")


class Served:
    """A running `rtseg serve`, and what it says."""

    def __init__(self, file: Path, *options: str) -> None:
        words = ("-m", "rtseg", "serve", str(file), "--web", "0", "--always", "--threads", "1")
        self.process = subprocess.Popen(
            [sys.executable, *words, "--backend", "openvino", "--precision", "fp32", *options],
            stderr=subprocess.PIPE,
            text=True,
            # a shell that runs tests in the background has SIGINT ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait(lambda: any("live at" in line for line in self.said))
        (line,) = [line for line in self.said if "live at" in line]
        self.url = line.split()[-1]

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line.rstrip())

    def wait(self, until: Callable[[], object], *, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.05)

    def streams(self) -> dict[str, dict[str, object]]:
        with urllib.request.urlopen(f"{self.url}stats", timeout=10) as answer:
            return {stream["name"]: stream for stream in json.load(answer)["streams"]}

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self._reader.join(5)
        return code


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], Served]]:
    running: list[Served] = []

    def start(text: str) -> Served:
        file = tmp_path / "streams.toml"
        file.write_text(text)
        running.append(Served(file))
        return running[-1]

    yield start
    for served in running:
        served.process.kill()
        served.process.wait()
        served._reader.join(5)
        served.process.stderr.close()  # type: ignore[union-attr]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A minute and a half of small pictures."""
    return make_clip(tmp_path / "long.mp4", ticks=range(2250))


def frames_in(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_streams_are_served_changed_and_ended(
    serve: Callable[[str], Served], clip: Path, tmp_path: Path
) -> None:
    first = """
    [streams.kept]
    source = "long.mp4"
    outputs = ["kept.mp4"]
    [streams.changed]
    source = "long.mp4"
    outputs = ["changed.mp4"]
    [streams.removed]
    source = "long.mp4"
    outputs = ["removed.mp4"]
    [streams.typo]
    source = "long.mp4"
    viev = "mask"
    """
    served = serve(first)
    assert any("[streams.typo] viev: there is no such setting" in line for line in served.said)
    served.wait(lambda: all(s["frames"] for n, s in served.streams().items() if n != "typo"))
    assert served.streams()["typo"]["state"] == "failed"

    file = tmp_path / "streams.toml"
    file.write_text("[streams.kept\n")  # in the middle of being written
    served.process.send_signal(signal.SIGHUP)
    served.wait(lambda: any("all streams continue unchanged" in line for line in served.said))
    assert {s["starts"] for n, s in served.streams().items() if n != "typo"} == {1}

    again = first.replace("viev", "view")
    again = again.replace('["changed.mp4"]', '["changed.mp4"]\nopacity = 0.1')
    cut = again.index("[streams.removed]"), again.index("[streams.typo]")
    file.write_text(again[: cut[0]] + again[cut[1] :])
    served.process.send_signal(signal.SIGHUP)
    served.wait(lambda: any("read again" in line for line in served.said))
    (line,) = [line for line in served.said if "read again" in line]
    assert line.endswith("read again: 1 added, 1 removed, 1 changed, 1 kept")
    served.wait(lambda: list(served.streams()) == ["kept", "changed", "typo"])
    before = served.streams()["kept"]
    served.wait(lambda: served.streams()["typo"]["frames"])
    served.wait((tmp_path / "changed.mp4").exists)
    served.wait(lambda: served.streams()["changed"]["frames"])
    now = served.streams()["kept"]
    assert now["starts"] == 1
    assert int(str(now["frames"])) > int(str(before["frames"])), "without a gap"

    # a line that is wrong now leaves its stream as it was
    file.write_text(file.read_text().replace("opacity = 0.1", "opacity = 7"))
    served.process.send_signal(signal.SIGHUP)
    served.wait(lambda: "continues unchanged" in str(served.streams()["changed"]["reason"]))
    assert served.streams()["changed"]["state"] == "live"

    assert served.end() == 0
    assert not list(tmp_path.glob("*.part*"))
    for name in ("kept", "changed", "changed-2", "removed"):
        assert frames_in(tmp_path / f"{name}.mp4") > 0


def test_a_terminated_server_finishes_its_files(
    serve: Callable[[str], Served], clip: Path, tmp_path: Path
) -> None:
    served = serve('[streams.a]\nsource = "long.mp4"\noutputs = ["rec/"]\n')
    served.wait(lambda: served.streams()["a"]["frames"])
    assert served.end(signal.SIGTERM) == 128 + signal.SIGTERM
    (file,) = (tmp_path / "rec").iterdir()
    assert file.name.startswith("a.")
    assert frames_in(file) > 0


def test_ctrl_c_finishes_recordings_and_data(
    serve: Callable[[str], Served], clip: Path, tmp_path: Path
) -> None:
    """With a source that nobody sends, one that is missing, and one output that nobody takes."""
    served = serve(
        f"""
        [streams.a]
        source = "long.mp4"
        outputs = ["a.mp4", "rtmp://127.0.0.1:{free_port()}/live/nobody"]
        labels = "a.npz"
        json = "a.jsonl"
        [streams.b]
        source = "rtsp://127.0.0.1:{free_port()}/nobody"
        outputs = ["b.mp4"]
        [streams.c]
        source = "missing.mp4"
        """
    )
    served.wait(lambda: int(str(served.streams()["a"]["frames"])) > 10)
    assert served.streams()["b"]["state"] == "waiting"
    assert served.streams()["c"]["state"] == "failed"
    missing, *_ = served.said
    assert "[streams.c] source: " in missing, "before anything else is opened"
    assert "missing.mp4: no such file" in missing
    began = time.monotonic()
    assert served.end() == 0
    assert time.monotonic() - began < 15
    assert not [line for line in served.said if "Traceback" in line or "left behind" in line]
    count = frames_in(tmp_path / "a.mp4")
    assert count > 10
    assert len(list(read_labels(str(tmp_path / "a.npz")))) == count
    lines = (tmp_path / "a.jsonl").read_text().splitlines()
    assert len(lines) == count + 1
    assert all(json.loads(line) for line in lines)
    assert not (tmp_path / "b.mp4").exists()
    assert not list(tmp_path.glob("*.part*"))


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        (None, (), 2, "streams.toml: cannot be read"),
        ("[streams.a", (), 2, "streams.toml: is not TOML"),
        ("[streams.a]\n", (), 2, "none of its streams can be served"),
        ("[streams.a]\nsource = 0\n", ("--max-visitors", "2"), 2, "--max-visitors: goes with"),
        ("[streams.a]\nsource = 0\n", ("--web", "host:port"), 2, "--web"),
    ],
)
def test_errors_are_reported_at_once(
    run: Callable[..., Result],
    tmp_path: Path,
    text: str | None,
    options: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    file = tmp_path / "streams.toml"
    if text is not None:
        file.write_text(text)
    result = run("serve", str(file), *options)
    assert result.code == code
    assert words in result.err.splitlines()[-1]
    assert "Traceback" not in result.err


def test_options_for_streams_need_a_file(run: Callable[..., Result]) -> None:
    for option in ("--always", "--max-viewers=3"):
        result = run("serve", option)
        assert result.code == 2
        assert "goes with a file of streams" in result.error
