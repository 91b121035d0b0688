"""Faults around a batch: one line each, and the others continue."""

from __future__ import annotations

import dataclasses
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtseg.batch import (
    BatchSettings,
    BatchTask,
    LocalRunner,
    TaskResult,
    pending,
    plan_tasks,
    read_inputs,
    read_results,
    run_batch,
)
from rtseg.batch import storage as storage_module
from rtseg.batch.storage import open_storage
from rtseg.errors import DiskFullError, SinkError
from tests.batch.test_driver import HereRunner
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

BAD_BUCKET = "The specified bucket does not exist"


@pytest.fixture
def labels_only(settings: BatchSettings) -> BatchSettings:
    return dataclasses.replace(settings, records=False)


@pytest.fixture
def missing_bucket() -> None:
    """A storage without any bucket, such as `gone://`."""
    fsspec = pytest.importorskip("fsspec")

    class Gone(fsspec.AbstractFileSystem):
        protocol = "gone"

        def _fail(self, *_arguments: object, **_options: object) -> None:
            raise OSError(f"NoSuchBucket: {BAD_BUCKET}\n  Request: 17")

        info = ls = _open = cat_file = get_file = put_file = pipe_file = makedirs = _fail

    fsspec.register_implementation("gone", Gone, clobber=True)


@pytest.mark.usefixtures("missing_bucket")
def test_an_input_in_a_missing_bucket_is_one_line(
    clips: list[str], labels_only: BatchSettings, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    sources = [clips[0], "gone://bucket/a.mp4", clips[1]]
    report = run_batch(
        plan_tasks(sources, folder=out, settings=labels_only), HereRunner(), folder=out
    )
    assert [result.status for result in report.results] == ["done", "failed", "done"]
    assert report.exit_code == 3
    message = report.results[1].message
    assert message.startswith("gone://bucket/a.mp4: cannot be fetched: ")
    assert BAD_BUCKET in message
    assert "\n" not in message


@pytest.mark.usefixtures("missing_bucket")
def test_a_folder_in_a_missing_bucket_is_one_line(
    clips: list[str], run: Run, tmp_path: Path
) -> None:
    result = run("batch", *clips, "-o", "gone://bucket/out", "--on", "local:1")
    assert result.code == SinkError.exit_code
    assert BAD_BUCKET in result.error
    assert "gone://bucket/out" in result.error


def test_bad_lines_of_a_manifest_are_reported_in_one_line_each(
    clips: list[str], run: Run, tmp_path: Path
) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"input,note\n{clips[0]},x\nnone.mp4,y\n,z\n{clips[1]},\n")
    out = tmp_path / "out"
    words = ("--on", "local:1", "--no-pictures", "--labels", "--precision", "fp32")
    result = run("batch", manifest, "-o", out, *words, "--backend", "openvino")
    assert result.code == 3
    errors = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "list.csv:2: none.mp4: no such file" in errors[0]
    assert "list.csv:3" in errors[1]
    assert "2 of 4 done" in result.err
    assert [row["status"] for row in read_results(str(out))] == ["done", "done", "failed", "failed"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of any bytes")
def test_names_that_no_output_or_table_can_have_are_processed(
    clips: list[str], labels_only: BatchSettings, run: Run, tmp_path: Path
) -> None:
    """A name of the longest kind, and one in Latin-1: outputs and table get allowed ones."""
    folder = tmp_path / "in"
    folder.mkdir()
    names = ["x" * 251 + ".mp4", os.fsdecode(b"caf\xe9.mp4"), "plain.mp4"]
    for name in names:
        (folder / name).write_bytes(Path(clips[0]).read_bytes())
    out = str(tmp_path / "out")
    result = run("batch", folder, "-o", out, "--no-pictures", "--labels", "--dry-run")
    assert result.code == 0, result.err
    tasks = plan_tasks([str(folder / name) for name in names], folder=out, settings=labels_only)
    report = run_batch(tasks, HereRunner(), folder=out)
    assert [result.status for result in report.results] == ["done"] * 3, report.results
    written = sorted(path.name for path in Path(out).glob("*.mkv"))
    assert [name[:5] for name in written] == ["caf\ufffd-", "plain", "xxxxx"]
    assert max(len(name.encode()) for name in written) < 230
    assert [str(row["input"]).rpartition("/")[2] for row in read_results(out)] == [
        names[0],
        "caf\\xe9.mp4",
        "plain.mp4",
    ]
    again = HereRunner()
    run_batch(tasks, again, folder=out)
    assert again.ran == []


def test_inputs_that_vanish_before_their_turn_are_one_line_each(
    clips: list[str], labels_only: BatchSettings, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    tasks = plan_tasks(clips, folder=out, settings=labels_only)
    Path(clips[0]).unlink()
    Path(clips[1]).unlink()
    Path(clips[1]).mkdir()
    report = run_batch(tasks, HereRunner(), folder=out)
    assert [result.status for result in report.results] == ["failed", "failed", "done"]
    assert {result.exit_code for result in report.results[:2]} == {3}
    for result in report.results[:2]:
        assert "\n" not in result.message
        assert Path(result.source).name in result.message


@pytest.mark.parametrize("content", [b"", b"3", b"[]", b'"x"', b"\xff", b'{"fingerprint": 1}'])
def test_a_damaged_record_is_as_good_as_none(
    clips: list[str], labels_only: BatchSettings, tmp_path: Path, content: bytes
) -> None:
    out = tmp_path / "out"
    (task,) = plan_tasks(clips[:1], folder=str(out), settings=labels_only)
    record = out / task.record
    record.parent.mkdir(parents=True)
    record.write_bytes(content)
    left, done = pending([task], open_storage(str(out)))
    assert (left, done) == ([task], [])


def test_a_full_disk_is_reported_for_each_affected_input(
    clips: list[str],
    labels_only: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish = storage_module.publish

    def full(part: Path, final: Path, *, overwrite: bool) -> None:
        if final.name.startswith("clip-5"):
            raise OSError(errno.ENOSPC, "No space left on device")
        publish(part, final, overwrite=overwrite)

    monkeypatch.setattr(storage_module, "publish", full)
    out = tmp_path / "out"
    tasks = plan_tasks(clips, folder=str(out), settings=labels_only)
    report = run_batch(tasks, HereRunner(), folder=str(out))
    assert [result.status for result in report.results] == ["done", "failed", "done"]
    assert report.exit_code == DiskFullError.exit_code
    assert report.results[1].message.endswith(
        "clip-5.labels.mkv: cannot be written: No space left on device"
    )
    assert not (out / "clip-5.labels.mkv").exists()
    assert not list(out.rglob("work-*"))
    # once there is space, only that one is done
    monkeypatch.setattr(storage_module, "publish", publish)
    again = HereRunner()
    assert run_batch(tasks, again, folder=str(out)).exit_code == 0
    assert again.ran == ["clip-5"]


@pytest.mark.parametrize("place", ["working folder", "copy of an input", "distant folder"])
def test_a_disk_that_is_full_elsewhere_is_reported_as_such(
    clips: list[str],
    labels_only: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """A worker's own disk, or that of a mounted storage: not a fault of the input."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/full/clip.mp4", Path(clips[0]).read_bytes())

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    source = "memory://full/clip.mp4"
    out = "memory://full/out" if place == "distant folder" else str(tmp_path / "out")
    if place == "working folder":
        monkeypatch.setattr("rtseg.batch.worker.tempfile.mkdtemp", full)
    elif place == "copy of an input":
        monkeypatch.setattr(type(memory), "get_file", full)
    else:
        monkeypatch.setattr(type(memory), "put_file", full)
    (task,) = plan_tasks([source], folder=out, settings=labels_only)
    (result,) = HereRunner().results([task])
    assert result.exit_code == DiskFullError.exit_code
    assert result.message.endswith(": cannot be written: No space left on device")


def test_a_disk_too_full_for_the_table_is_reported(
    clips: list[str],
    labels_only: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_whole = storage_module.write_whole

    def full(path: Path, data: bytes) -> None:
        if path.suffix == ".parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, data)

    monkeypatch.setattr(storage_module, "write_whole", full)
    out = tmp_path / "out"
    tasks = plan_tasks(clips[:1], folder=str(out), settings=labels_only)
    with pytest.raises(
        DiskFullError, match=r"results\.parquet: cannot be written: No space left on device"
    ):
        run_batch(tasks, HereRunner(), folder=str(out))
    assert (out / "clip-4.labels.mkv").exists(), "what was done is kept"


def test_a_read_only_folder_is_reported(run: Run, clips: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run("batch", *clips, "-o", tmp_path / "file" / "out", "--on", "local:1")
    assert result.code == SinkError.exit_code
    assert "cannot be created" in result.error


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group of processes, in which the kernel kills those that use more than 64 MB."""
    base = Path("/sys/fs/cgroup")
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        groups = {names: path for _, names, path in (line.split(":", 2) for line in lines)}
        if "memory" in groups:
            limit = "memory.limit_in_bytes"
            group = base / "memory" / groups["memory"].strip("/") / f"rtseg-{os.getpid()}"
        else:
            limit = "memory.max"
            group = base / groups[""].strip("/") / f"rtseg-{os.getpid()}"
        group.mkdir()
    except (OSError, KeyError):
        pytest.skip("no control group of memory can be made here")
    try:
        (group / limit).write_text(str(64 << 20))
    except OSError:
        group.rmdir()
        pytest.skip("memory cannot be bounded here")
    yield group
    for _ in range(100):  # a killed process leaves it after a moment
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.05)
        else:
            break


def check_others_are_done(
    clips: list[str], labels_only: BatchSettings, out: Path, reason: str
) -> None:
    """Run a batch whose second clip kills its worker: it is given up, the others are done."""
    tasks = plan_tasks(clips, folder=str(out), settings=labels_only)
    report = run_batch(tasks, LocalRunner(2, tries=2), folder=str(out))
    states = {result.name: result.status for result in report.results}
    assert states == {"clip-4": "done", "clip-5": "given up", "clip-6": "done"}
    assert report.exit_code == 1
    poison = report.results[1]
    assert poison.attempts == 2
    assert f"given up after 2 tries: {reason}" in poison.message
    assert sorted(path.name for path in out.glob("*.mkv")) == [
        "clip-4.labels.mkv",
        "clip-6.labels.mkv",
    ]
    assert read_results(str(out))[1]["status"] == "given up"
    # the next task removes what was left unfinished
    run_batch(tasks[:1], HereRunner(), folder=str(out))
    assert not list(out.rglob("work-*"))


def test_a_worker_killed_for_its_memory_does_not_affect_the_others(
    clips: list[str],
    labels_only: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory_group: Path,
) -> None:
    (tmp_path / "group").write_text(str(memory_group))
    monkeypatch.setattr("rtseg.batch.local_runner.run_task", run_and_be_killed)
    check_others_are_done(clips, labels_only, tmp_path / "out", "its worker process died")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_a_worker_without_memory_is_replaced(
    clips: list[str],
    labels_only: BatchSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rtseg.batch.local_runner.run_task", run_and_be_refused)
    check_others_are_done(clips, labels_only, tmp_path / "out", "its worker ran out of memory")


def run_and_be_killed(task: BatchTask) -> TaskResult:
    """Like `run_task`, but the process grows while `clip-5` is being written."""

    def join() -> None:
        group = Path((Path(task.folder).parent / "group").read_text())
        (group / "cgroup.procs").write_text(str(os.getpid()))

    return run_and_grow(task, join)


def run_and_be_refused(task: BatchTask) -> TaskResult:
    """Like `run_task`, but no more memory is available while `clip-5` is being written."""
    import resource

    def bound() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (64 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))

    return run_and_grow(task, bound)


def run_and_grow(task: BatchTask, bound: Callable[[], None]) -> TaskResult:
    """Run a task; with `clip-5`, allocate memory without end from the third frame on."""
    from rtseg.batch import worker

    if task.name != "clip-5":
        return worker.run_task(task)

    class Grows:
        """Replaces the frame counter: memory is allocated while the files are half-written."""

        frames = 0

        def __call__(self, *_frame: object) -> None:
            self.frames += 1
            if self.frames < 3:
                return
            bound()
            kept = []
            while len(kept) < 1024:
                kept.append(bytearray(os.urandom(1 << 20)))
            raise AssertionError("a gigabyte was given")

    worker._Counter = Grows  # type: ignore[assignment,misc]
    return worker.run_task(task)


def test_inputs_named_several_times_are_read_once(clips: list[str], tmp_path: Path) -> None:
    inputs = read_inputs([*clips, str(Path(clips[0]).parent), clips[0]])
    assert sorted(inputs.sources) == sorted(clips)
