"""A batch on this machine: everything is done, once, whatever is killed."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rtseg.batch import (
    BadInput,
    BatchSettings,
    BatchTask,
    LocalRunner,
    Runner,
    TaskResult,
    pending,
    plan_tasks,
    read_results,
    run_batch,
    runner_of,
)
from rtseg.batch.ray_runner import RayRunner
from rtseg.batch.storage import open_storage
from rtseg.batch.tasks import RECORDS_FOLDER
from rtseg.batch.worker import run_task
from rtseg.errors import SettingError
from tests.batch.contents import content_of


class HereRunner(Runner):
    """Runs tasks in the test's own process, so that most tests start no other process."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        for task in tasks:
            self.ran.append(task.name)
            yield run_task(task)


def files_in(folder: Path) -> dict[str, str]:
    """Checksums of the files' contents, because a Matroska file also contains random numbers."""
    return {
        str(path.relative_to(folder)): content_of(path)
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".mkv", ".jsonl", ".mp4")
    }


def test_every_input_gets_its_files_and_a_row(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tasks = plan_tasks(clips, folder=str(out), settings=settings)
    report = run_batch(tasks, HereRunner(), folder=str(out))
    assert report.exit_code == 0
    assert set(files_in(out)) == {
        f"clip-{n}{suffix}" for n in (4, 5, 6) for suffix in (".labels.mkv", ".jsonl")
    }
    rows = read_results(str(out))
    assert [row["input"] for row in rows] == clips
    assert list(rows[0]) == [
        *("input", "name", "status", "exit_code", "message", "frames", "seconds", "faces"),
        *("face_frames", "pixels", "checksums", "versions", "attempts"),
    ]
    assert [row["frames"] for row in rows] == [4, 5, 6]
    assert {row["status"] for row in rows} == {"done"}
    assert all(sum(row["pixels"].values()) == row["frames"] * 64 * 48 for row in rows)
    assert all(len(sum_) == 64 for row in rows for sum_ in row["checksums"].values())
    assert "rtseg" in rows[0]["versions"]
    assert not list((out / RECORDS_FOLDER).glob("work-*"))


def test_a_rerun_does_only_unfinished_inputs(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    tasks = plan_tasks(clips, folder=out, settings=settings)
    run_batch(tasks, HereRunner(), folder=out)
    before = files_in(tmp_path / "out")
    (tmp_path / "out" / "clip-5.jsonl").unlink()
    again = HereRunner()
    report = run_batch(tasks, again, folder=out)
    assert again.ran == ["clip-5"]
    assert report.skipped == 2
    assert files_in(tmp_path / "out") == before
    # another view is another batch
    other = dataclasses.replace(settings, labels=False)
    left, done = pending(plan_tasks(clips, folder=out, settings=other), open_storage(out))
    assert (len(left), len(done)) == (3, 0)


def test_an_input_that_was_replaced_is_done_again(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    tasks = plan_tasks(clips, folder=out, settings=settings)
    run_batch(tasks, HereRunner(), folder=out)
    now = Path(clips[1]).stat().st_mtime
    os.utime(clips[0], (now - 1, now - 1))  # as a file system that rounds times shows it
    Path(clips[1]).write_bytes(Path(clips[2]).read_bytes())
    os.utime(clips[1], (now, now))  # a copy may keep the time
    os.utime(clips[2], (now + 60, now + 60))  # and another film may have the same size
    again = HereRunner()
    report = run_batch(tasks, again, folder=out)
    assert again.ran == ["clip-5", "clip-6"]
    assert [result.frames for result in report.results] == [4, 6, 6]
    Path(clips[1]).unlink()  # what is done stays done
    once_more = HereRunner()
    run_batch(tasks, once_more, folder=out)
    assert once_more.ran == []


def test_a_failed_input_is_a_row_and_the_others_continue(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    poor, cut = tmp_path / "poor.mp4", tmp_path / "cut.mp4"
    poor.write_bytes(b"no video")
    whole = Path(clips[2]).read_bytes()
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    out = str(tmp_path / "out")
    tasks = plan_tasks([str(poor), clips[0], str(cut)], folder=out, settings=settings)
    bad = [BadInput(origin="list.csv:3", message="list.csv:3: gone.mp4: no such file")]
    names: list[str] = []
    report = run_batch(
        tasks, HereRunner(), folder=out, bad=bad, on_result=lambda r: names.append(r.name)
    )
    assert report.exit_code == 3
    assert names == ["poor", "clip-4", "cut"]
    rows = {str(row["input"]): row for row in read_results(out)}
    assert rows[str(poor)]["status"] == "failed"
    assert "poor.mp4" in str(rows[str(poor)]["message"])
    assert rows["list.csv:3"]["message"] == bad[0].message
    assert rows[clips[0]]["status"] == "done"
    assert not [name for name in files_in(tmp_path / "out") if name.startswith("poor")]


def test_a_bug_in_a_task_is_reported_and_the_others_continue(
    clips: list[str],
    settings: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    import rtseg.process

    real = rtseg.process.open_run

    def broken(source: str, *rest: object, **more: object) -> object:
        if "clip-5" in source:
            raise TypeError("nothing to add")
        return real(source, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(rtseg.process, "open_run", broken)
    out = str(tmp_path / "out")
    report = run_batch(plan_tasks(clips, folder=out, settings=settings), HereRunner(), folder=out)
    assert [result.status for result in report.results] == ["done", "failed", "done"]
    assert report.results[1].message.startswith("a bug: TypeError: nothing to add")
    assert "Traceback" in capfd.readouterr().err
    assert report.exit_code == 1


def test_inputs_with_the_same_name_have_separate_files(settings: BatchSettings) -> None:
    names = ["a/clip.mp4", "b/clip.mov", "b/CLIP.mkv", "c.mp4"]
    tasks = plan_tasks(names, folder="out", settings=settings)
    stems = [task.name for task in tasks]
    assert len({stem.casefold() for stem in stems}) == 4
    assert stems[3] == "c"
    turned = plan_tasks(names[::-1], folder="out", settings=settings)
    assert {t.source: t.name for t in turned} == {t.source: t.name for t in tasks}


def test_an_output_that_would_be_an_input_is_refused(clips: list[str], tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is the input itself"):
        plan_tasks(clips, folder=str(tmp_path), settings=BatchSettings())


def test_two_batches_do_not_share_a_folder(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    tasks = plan_tasks(clips[:1], folder=out, settings=settings)

    class Nested(HereRunner):
        def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
            with pytest.raises(SettingError, match="another batch is at work"):
                run_batch(tasks, HereRunner(), folder=out)
            yield from super().results(tasks)

    assert run_batch(tasks, Nested(), folder=out).exit_code == 0


def test_a_folder_of_fsspec_gets_the_same_files(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    fsspec = pytest.importorskip("fsspec")
    local = str(tmp_path / "out")
    run_batch(plan_tasks(clips[:1], folder=local, settings=settings), HereRunner(), folder=local)
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/inputs/clip-4.mp4", Path(clips[0]).read_bytes())
    remote = "memory://results"
    tasks = plan_tasks(["memory://inputs/clip-4.mp4"], folder=remote, settings=settings)
    assert run_batch(tasks, HereRunner(), folder=remote).exit_code == 0
    fetched = tmp_path / "fetched.mkv"
    fetched.write_bytes(memory.cat_file("/results/clip-4.labels.mkv"))
    assert content_of(fetched) == content_of(tmp_path / "out" / "clip-4.labels.mkv")
    assert not [name for name in memory.find("/results") if ".part" in name]
    assert read_results(remote)[0]["frames"] == 4
    again = HereRunner()
    run_batch(tasks, again, folder=remote)
    assert again.ran == []
    missing = plan_tasks(["memory://inputs/none.mp4"], folder=remote, settings=settings)
    result = run_task(missing[0])
    assert (result.status, result.exit_code) == ("failed", 3)
    assert "memory://inputs/none.mp4: cannot be fetched" in result.message
    unknown = plan_tasks(["nowhere://x/none.mp4"], folder=remote, settings=settings)
    assert run_task(unknown[0]).exit_code == 2


def test_addresses_of_this_machine_are_folders_and_files(
    clips: list[str], settings: BatchSettings, tmp_path: Path
) -> None:
    folder = tmp_path / "an output"
    source = Path(clips[0]).rename(tmp_path / "a clip.mp4").as_uri()
    tasks = plan_tasks([source], folder=folder.as_uri(), settings=settings)
    assert run_batch(tasks, HereRunner(), folder=folder.as_uri()).exit_code == 0
    assert set(files_in(folder)) == {"a clip.labels.mkv", "a clip.jsonl"}
    assert [row["input"] for row in read_results(folder.as_uri())] == [source]
    again = HereRunner()
    assert run_batch(tasks, again, folder=str(folder)).skipped == 1


@pytest.mark.parametrize("on", ["local:0", "nowhere", "local:x", "http://host:1"])
def test_an_unknown_runner_is_refused(on: str) -> None:
    with pytest.raises(SettingError, match="`on`"):
        runner_of(on, threads=1, tries=3)


def test_runners_have_names() -> None:
    local = runner_of("local:3", threads=1, tries=2)
    assert isinstance(local, LocalRunner)
    assert (local.processes, local.tries) == (3, 2)
    pytest.importorskip("ray")
    for on, address in (("ray", None), ("ray://head:10001", "ray://head:10001")):
        ray = runner_of(on, threads=2, tries=2)
        assert isinstance(ray, RayRunner)
        assert (ray.address, ray.threads) == (address, 2)


def kill_once(task: BatchTask) -> TaskResult:
    """Like `run_task`, but its process is killed the first time."""
    mark = Path(task.folder).parent / f"{task.name}.killed"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_task(task)


def kill_always(task: BatchTask) -> TaskResult:
    """Like `run_task`, but its process is killed every time."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("kill", [kill_once, kill_always])
def test_a_killed_worker_costs_its_task_one_try(
    clips: list[str],
    settings: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kill: object,
) -> None:
    monkeypatch.setattr("rtseg.batch.local_runner.run_task", kill)
    out = str(tmp_path / "out")
    tasks = plan_tasks(clips[:1], folder=out, settings=settings)
    report = run_batch(tasks, LocalRunner(1, tries=2), folder=out)
    (result,) = report.results
    assert result.attempts == 2
    if kill is kill_once:
        assert result.status == "done"
        assert len(files_in(tmp_path / "out")) == 2
    else:
        assert result.status == "given up"
        assert "given up after 2 tries: its worker process died" in result.message
        assert report.exit_code == 1


def die_beside_others(task: BatchTask) -> TaskResult:
    """`clip-4` dies if another task runs, as if for the memory that they took together."""
    folder = Path(task.folder).parent
    mark, died = folder / f"{task.name}.running", folder / "died"
    mark.touch()
    end = time.monotonic() + (1.5 if task.name != "clip-4" or died.exists() else 20.0)
    while time.monotonic() < end:  # the first time, until another one has started
        if task.name == "clip-4" and len(list(folder.glob("*.running"))) > 1:
            died.touch()
            mark.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.02)
    mark.unlink()
    return TaskResult(source=task.source, name=task.name, status="done")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_last_try_has_no_other_task_beside_it(
    settings: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtseg.batch.local_runner.run_task", die_beside_others)
    names = [f"clip-{number}.mp4" for number in (5, 4, 6, 7)]
    tasks = plan_tasks(names, folder=str(tmp_path / "out"), settings=settings)
    results = list(LocalRunner(2, tries=2).results(tasks))
    assert {result.name: result.status for result in results} == {
        f"clip-{number}": "done" for number in (4, 5, 6, 7)
    }
    assert results[-1].name == "clip-4"
    assert results[-1].attempts == 2


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_a_killed_driver_leaves_no_worker_and_can_be_continued(
    clips: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [
        *(sys.executable, "-m", "rtseg", "batch", *clips, "-o", str(out), "--on", "local:1"),
        *("--no-pictures", "--labels", "--backend", "openvino", "--precision", "fp32", "-q"),
    ]
    driver = subprocess.Popen(words, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((out / RECORDS_FOLDER).glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    while time.monotonic() < deadline:
        try:
            os.killpg(driver.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        raise AssertionError("a worker outlives its driver")
    done = subprocess.run(words, timeout=100, check=False)
    assert done.returncode == 0
    assert {row["status"] for row in read_results(str(out))} == {"done"}
    assert len(files_in(out)) == 3
    assert not list((out / RECORDS_FOLDER).glob("work-*"))


BEFORE_A_WORKER = """
import sys
from concurrent.futures import ProcessPoolExecutor
from rtseg.batch.local_runner import LocalRunner

assert "cv2" not in sys.modules
ProcessPoolExecutor.submit = lambda *_: sys.exit(0 if "cv2" in sys.modules else 5)
next(LocalRunner(1, tries=1).results([None]))
"""


def test_opencv_is_imported_before_a_worker_starts() -> None:
    """A worker inherits `sys.path`, which is another one while OpenCV is being imported."""
    assert subprocess.run([sys.executable, "-c", BEFORE_A_WORKER], check=False).returncode == 0
