"""Many videos in one run: a bad one stops nothing, and an interrupted run can be taken up again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rtseg.backends
from rtseg.batch import BatchSettings, BatchTask, InProcessRunner, plan_direct
from rtseg.batch.earlier import pending_by_files
from rtseg.batch.results import worst_exit_code
from rtseg.cli.several import run_several
from rtseg.errors import (
    DiskFullError,
    ModelError,
    SettingError,
    SinkError,
    SourceError,
    TruncatedError,
)
from rtseg.settings import ModelSettings
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.reliability.command import start, wait_until_ready
from tests.support.clips import MakeClip, frame_times, part_of

Attend = Callable[[Any], int]


def planned(tmp_path: Path, *names: str) -> list[BatchTask]:
    return plan_direct(names, {"pictures": str(tmp_path / "out")}, BatchSettings())


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> Callable[[Attend], InProcessRunner]:
    """Makes a runner that opens nothing: `attend` gets the task's `source` and `files`."""

    @contextmanager
    def opened(task: BatchTask, *, backend: object) -> Iterator[Any]:
        yield SimpleNamespace(
            source=task.source, files=[Path(p) for p in task.places.values()], summary=None
        )

    monkeypatch.setattr("rtseg.batch.in_process.open_task", opened)
    monkeypatch.setattr(rtseg.backends, "open_backend_for", lambda _model: nullcontext())
    return lambda attend: InProcessRunner(ModelSettings(), attend)


def test_a_bad_file_does_not_stop_the_rest(
    run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = [make_clip(name, ticks=range(3)) for name in ("a.mp4", "c.avi")]
    cut = make_clip("b.mp4")
    cut.write_bytes(cut.read_bytes()[:700])
    opened: list[Any] = []
    open_backend = rtseg.backends.open_backend

    def counted(*arguments: Any, **options: Any) -> Any:
        opened.append(options)
        return open_backend(*arguments, **options)

    monkeypatch.setattr(rtseg.backends, "open_backend", counted)
    folder = tmp_path / "out"
    result = run("video", good[0], cut, good[1], tmp_path / "none.mp4", "-o", folder)
    assert result.code == 3
    assert len(opened) == 1  # the model is loaded once
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "c.mkv"]
    assert len(frame_times(folder / "a.mp4")) == 3
    assert "2 of 4 videos done, 2 failed" in result.err
    assert "failed: " + str(cut) in result.err
    assert "none.mp4: no such file" in result.err
    assert "Traceback" not in result.err


def test_resume_skips_finished_files_and_redoes_unfinished_ones(
    run: Run, make_clip: MakeClip, tmp_path: Path
) -> None:
    clips = [make_clip(name, ticks=range(3)) for name in ("a.mp4", "b.mp4")]
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(b"finished before")
    shutil.copy(clips[0], folder / "b.part.mp4")
    result = run("video", *clips, "-o", folder, "--json", folder)
    assert result.code == 5  # a.mp4 exists, and that is not to be replaced
    assert "1 of 2 videos done, 1 failed" in result.err
    (folder / "a.jsonl").touch()
    (folder / "b.jsonl").unlink()
    result = run("video", *clips, "-o", folder, "--json", folder, "--resume")
    assert result.code == 0, result.err
    assert "1 of 2 videos done, 1 finished before" in result.err
    assert (folder / "a.mp4").read_bytes() == b"finished before"
    assert len(frame_times(folder / "b.mp4")) == 3
    assert [path.name for path in folder.glob("*.part.*")] == ["b.part.mp4"]  # kept, whose ever
    assert "b.part.mp4: left by an earlier run that was interrupted; kept" in result.err


def test_an_interrupted_file_counts_as_unfinished(
    runner: Callable[[Attend], InProcessRunner], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tasks = planned(tmp_path, "a.mp4", "b.mp4", "c.mp4")

    def attend(opened: Any) -> int:
        opened.files[0].parent.mkdir(exist_ok=True)
        opened.files[0].touch()
        return 130 if opened.source == "b.mp4" else 0

    assert run_several(tasks, runner(attend), resume=False, quiet=False) == 130
    part = part_of(tmp_path / "out" / "b.mp4")
    assert {path.name for path in part.parent.iterdir()} == {"a.mp4", part.name}
    left, done = pending_by_files(tasks)
    assert [task.source for task in left] == ["b.mp4", "c.mp4"]
    assert [result.source for result in done] == ["a.mp4"]
    assert "1 of 3 videos done, 2 left; --resume continues with them" in capfd.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
def test_ctrl_c_leaves_a_partial_file_and_resume_does_the_rest(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clips = [make_clip(name, ticks=range(150)) for name in ("a.mkv", "b.mkv")]
    out = tmp_path / "out"
    with start("video", *clips, "-o", out, seconds=0.02) as process:
        wait_until_ready(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "0 of 2 videos done, 2 left; --resume continues with them" in errors
    part = part_of(out / "a.mkv")
    assert list(out.iterdir()) == [part]
    assert 5 <= len(frame_times(part)) < 150
    with start("video", *clips, "-o", out, "--resume") as process:
        _, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    assert "2 of 2 videos done" in errors
    assert [len(frame_times(out / name)) for name in ("a.mkv", "b.mkv")] == [150, 150]
    assert part.exists(), "kept"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SourceError("bad"), 3),
        (TruncatedError("cut"), 4),
        (SinkError("bad"), 5),
        (ZeroDivisionError("x"), 1),
    ],
)
def test_the_exit_code_is_the_failures(
    runner: Callable[[Attend], InProcessRunner], tmp_path: Path, error: Exception, code: int
) -> None:
    ran = []

    def attend(opened: Any) -> int:
        ran.append(opened.source)
        if opened.source == "a.mp4":
            raise error
        return 0

    tasks = planned(tmp_path, "a.mp4", "b.mp4")
    assert run_several(tasks, runner(attend), resume=False, quiet=True) == code
    assert ran == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("codes", "worst"),
    [((), 0), ((0, 4, 3), 3), ((4, 5, 3), 5), ((9, 1, 3), 1), ((3, 130, 1), 130), ((0, 0), 0)],
)
def test_the_worst_exit_code_counts(codes: tuple[int, ...], worst: int) -> None:
    assert worst_exit_code(codes) == worst


def test_a_failure_is_printed_at_once_and_in_the_summary(
    runner: Callable[[Attend], InProcessRunner], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def attend(opened: Any) -> int:
        raise SinkError("a.mp4 exists; `overwrite` replaces it")

    run_several(planned(tmp_path, "a.mp4"), runner(attend), resume=False, quiet=False)
    assert capfd.readouterr().err.splitlines() == [
        "error: a.mp4 exists; --overwrite replaces it",
        "0 of 1 videos done, 1 failed",
        "  failed: a.mp4: a.mp4 exists; --overwrite replaces it",
    ]


@pytest.mark.parametrize("error", [ModelError("is none"), DiskFullError("full"), SettingError("?")])
def test_an_error_that_affects_all_inputs_ends_the_run(
    runner: Callable[[Attend], InProcessRunner],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def attend(opened: Any) -> int:
        if opened.source == "b.mp4":
            raise error
        return 0

    tasks = planned(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    with pytest.raises(type(error)):
        run_several(tasks, runner(attend), resume=False, quiet=False)
    assert "1 of 3 videos done, 2 left" in capfd.readouterr().err


def test_no_model_is_loaded_if_everything_is_finished(
    run: Run, make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_model: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr(rtseg.backends, "open_backend_for", fail)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.mp4").write_bytes(b"finished before")
    result = run("video", make_clip("a.mp4"), "-o", tmp_path / "out", "--resume")
    assert result.code == 0
    assert "0 of 1 videos done, 1 finished before" in result.err


def test_names_and_containers_of_outputs(tmp_path: Path) -> None:
    tasks = planned(tmp_path, "x/a.mp4", "b.MOV", "c.avi", "http://u:p@host/d.ts?token=x")
    names = [Path(task.places["pictures"]).name for task in tasks]
    assert names == ["a.mp4", "b.mov", "c.mkv", "d.ts"]


def test_names_of_data(tmp_path: Path) -> None:
    """Labels have a longer name only where a video of the view could have the short one."""
    every = BatchSettings(labels=True, records=True, coco=True)
    same = dict.fromkeys(("pictures", "labels", "records", "coco"), "out")

    def names(folders: dict[Any, str], settings: BatchSettings) -> list[str]:
        (task,) = plan_direct(["a.mp4"], folders, settings)
        return list(task.places.values())

    assert names(same, every) == [
        "out/a.mp4", "out/a.labels.mkv", "out/a.jsonl", "out/a.json"
    ]  # fmt: skip
    assert names(same | {"labels": "ids"}, every)[1] == "ids/a.mkv"
    only = BatchSettings(pictures=False, labels=True, records=True)
    assert names({"labels": "out", "records": "out"}, only) == ["out/a.mkv", "out/a.jsonl"]
    numbered = BatchSettings(numbered=True, alpha=("hair",))
    assert names({"pictures": "out"}, numbered) == ["out/a/%06d.png"]
    assert names({"pictures": "out"}, BatchSettings(alpha=("hair",))) == ["out/a.mkv"]


@pytest.mark.parametrize(
    ("names", "options", "says"),
    [
        (("a.mp4", "b/a.mp4"), ("-o", "out"), "give each its own name"),
        (("a.mp4", "a.mp4"), ("-o", "out"), "given twice"),
        (("a.mp4", "b.mp4"), ("-o", "out.mp4"), "-o: out.mp4 is not a folder"),
        (("a.mp4", "b.mp4"), ("-o", "-"), "-o: - is not a folder"),
        (("a.mp4", "b.mp4", "c.mp4"), ("--json", "all.jsonl"), "--json: all.jsonl is not a folder"),
        (("a.mp4", "b.mp4", "c.mp4"), (), "no output"),
        (("a.mp4", "b.mp4"), ("-o", "s3://key:secret@bucket/out"), "rtseg batch writes to s3://"),
        (("a.mp4", "b.mp4"), ("-o", "rtmp://host/live"), "-o: rtmp://host/live is a URL"),
        (("a.mp4", "b.mp4"), ("-o", "out", "--resume", "--overwrite"), "--resume keeps"),
        (("a.mp4", "b", "c"), ("--json", "out", "--alpha", "hair"), "--alpha: replaces"),
        (("a.mp4", "b.mp4"), ("-o", "out", "--web", "0"), "--web shows one input"),
    ],
)
def test_impossible_batches_are_refused_before_the_start(
    run: Run, names: tuple[str, ...], options: tuple[str, ...], says: str
) -> None:
    result = run("video", *names, *options)
    assert result.code == 2
    assert says in result.error


def test_an_input_in_the_output_folder_is_not_overwritten(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    clips = [str(make_clip(name)) for name in ("a.mp4", "b.mp4")]
    with pytest.raises(SettingError, match="is the input itself"):
        plan_direct(clips, {"pictures": str(tmp_path)}, BatchSettings())
