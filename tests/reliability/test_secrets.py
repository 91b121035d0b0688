"""User names and passwords in URLs appear nowhere: not on a terminal, not in a file or its name.

(The list of processes still shows them, like anything typed on a command line.)
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from rtseg.batch import BatchSettings, InProcessRunner, TaskResult, plan_direct, plan_tasks
from rtseg.cli.several import run_several
from rtseg.errors import SettingError, SourceError
from rtseg.settings import ModelSettings
from tests.cli.conftest import run as run
from tests.reliability.command import start
from tests.reliability.servers import Client, serving
from tests.support.clips import MakeClip

USER, PASSWORD, TOKEN = "maria", "s3cret", "t0ken"


def check(text: str | bytes) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    for secret in (USER, PASSWORD, TOKEN):
        assert secret.encode() not in content, content[-2000:]


def check_files(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        check(str(path.relative_to(folder)))
        check(path.read_bytes())
    return files


def with_secrets(url: str) -> str:
    return url.replace("://", f"://{USER}:{PASSWORD}@") + f"?token={TOKEN}"


@pytest.fixture
def stream(make_clip: MakeClip) -> bytes:
    return make_clip("stream.ts", ticks=range(40)).read_bytes()


def test_a_run_shows_no_secret_in_success_or_failure(stream: bytes, tmp_path: Path) -> None:
    """Video, label video and records of one run; reconnecting, giving up, being verbose."""

    def answer(client: Client) -> None:
        if client.number < 2:
            client.send(stream)

    out = tmp_path / "out"
    out.mkdir()
    with serving(answer, http=False) as server:
        url = with_secrets(server.url(scheme="tcp"))
        options = ["--max-reconnects", 1, "-v", "--hud"]
        places = ["-o", out / "a.mp4", "--labels", out / "a.mkv", "--json", out / "a.jsonl"]
        with start("video", url, *places, *options) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 4, errors
    assert "reconnecting in" in errors
    check(errors)
    assert len(check_files(out)) == 3
    with av.open(str(out / "a.mp4")) as container:
        check(str(container.metadata))


@pytest.mark.parametrize("command", ["video", "camera"])
@pytest.mark.parametrize("scheme", ["rtsp", "http", "ftp", "nonsense"])
def test_an_input_that_cannot_be_opened_shows_no_secret(
    command: str, scheme: str, run: Any, tmp_path: Path
) -> None:
    url = with_secrets(f"{scheme}://127.0.0.1:9/live")
    options = ["--no-display"] if command == "camera" else []
    result = run(command, url, "-o", tmp_path / "out.mp4", "--no-reconnect", "-v", *options)
    assert result.code == 3
    check(result.out + result.err)
    assert not check_files(tmp_path)


def test_batches_show_no_secret(
    run: Any,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls = [with_secrets(f"http://127.0.0.1:9/{name}.mp4") for name in "ab"]
    result = run("video", *urls, "-o", tmp_path / "out", "--no-reconnect")
    assert result.code == 3
    assert "failed: http://127.0.0.1:9/a.mp4" in result.err
    check(result.err)
    # Two that would become one file, and an error.
    folders: dict[Any, str] = {"pictures": str(tmp_path / "out")}
    with pytest.raises(SettingError, match="give each its own name") as caught:
        plan_direct([urls[0], "a.mp4"], folders, BatchSettings())
    check(str(caught.value))
    tasks = plan_direct(urls, folders, BatchSettings())

    def fail(*_: object, **__: object) -> None:
        raise SourceError("bad")

    monkeypatch.setattr("rtseg.batch.in_process.open_task", fail)
    runner = InProcessRunner(ModelSettings(), lambda _run: 0)
    assert run_several(tasks, runner, resume=False, quiet=False) == 3
    check(capfd.readouterr().err)


def test_the_records_of_a_batch_show_no_secret(run: Any, tmp_path: Path) -> None:
    """Neither the table nor a record holds what a URL keeps secret."""
    urls = [with_secrets(f"http://127.0.0.1:9/{name}.mp4") for name in "ab"]
    out = tmp_path / "out"
    result = run("batch", *urls, "-o", out, "--on", "local:1", "--no-reconnect", "--dry-run")
    check(result.out + result.err)
    tasks = plan_tasks(urls, folder=str(out), settings=BatchSettings())
    results = [TaskResult(source=task.source, name=task.name, status="done") for task in tasks]
    check(str([one.plain() for one in results]))
    assert results[0].plain()["source"] == "http://127.0.0.1:9/a.mp4"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no /proc")
def test_titles_and_snapshots_show_no_secret(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stream: bytes,
    tmp_path: Path,
) -> None:
    """What a window is called, what it shows while the stream is away, what a snapshot is named."""
    import numpy as np

    from rtseg import controls as controls_module
    from rtseg.controls import Controls
    from rtseg.settings import ReadSettings
    from rtseg.sinks import open_sink
    from rtseg.sinks.tee import TeeSink
    from rtseg.sources import open_source

    drawn: list[str] = []
    monkeypatch.setattr(
        controls_module, "draw_hud", lambda _picture, lines, **_: drawn.extend(lines)
    )
    caplog.set_level("INFO", "rtseg")
    monkeypatch.chdir(tmp_path)

    def answer(client: Client) -> None:
        client.send(stream)
        client.hold()

    with serving(answer, http=False) as server:
        settings = ReadSettings(timeout=5)
        url = with_secrets(server.url(scheme="tcp"))
        with open_source(url, settings=settings) as source:
            source.status = "reconnecting…"
            view = SimpleNamespace(last_picture=np.zeros((4, 4, 3), np.uint8), effects=())
            run: Any = SimpleNamespace(
                source=source, sink=TeeSink(), view=view, segment=None, width=64, height=48
            )
            controls = Controls(run, record=open_sink, show=lambda _picture: None)
            controls.show_status()
            controls.handle("snapshot")
            check(f"rtseg: {source.info.name}" + repr(source.info) + "".join(drawn) + caplog.text)
            assert drawn
            assert "wrote rtseg-" in caplog.text
    assert len(check_files(tmp_path)) == 2  # with the fixture's clip
    assert list(tmp_path.glob("rtseg-*.png"))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="reads /proc")
def test_the_list_of_processes_contains_only_what_was_typed(stream: bytes, tmp_path: Path) -> None:
    """No process of ours is named after a URL."""

    def answer(client: Client) -> None:
        client.send(stream)
        client.hold()

    with serving(answer, http=False) as server:
        url = with_secrets(server.url(scheme="tcp"))
        with start("camera", url, "--no-display", "-o", tmp_path / "out.mkv") as process:
            end = time.monotonic() + 30
            while not list(tmp_path.glob("*.part.*")) and time.monotonic() < end:
                time.sleep(0.05)
            for task in Path(f"/proc/{process.pid}/task").glob("*/comm"):
                check(task.read_text())
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
    check(errors)
