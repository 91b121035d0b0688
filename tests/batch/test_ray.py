"""A real Ray cluster of several nodes on this machine."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.batch import BatchSettings, BatchTask, TaskResult, plan_tasks, read_results, run_batch
from rtseg.batch.ray_runner import RayRunner
from rtseg.batch.worker import run_task
from tests.batch.contents import content_of
from tests.support.clips import make_clip
from tests.support.receivers import free_port

# as Ray does on macOS and Windows: everything on the loopback address
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
# Ray's workers have a niceness of 15, with which they would hardly run beside anything else
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  its own name

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    # Ray leaves log files of its own open
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
]

ray: Any = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """Ray leaves sockets and files to the garbage collector."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def nodes(count: int, *, processors: int = 1, client_port: int | None = None) -> Iterator[Any]:
    """A head without processors, and nodes with some, on the loopback address."""
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True,
        head_node_args={
            "num_cpus": 0,
            "node_ip_address": "127.0.0.1",
            "include_dashboard": False,
            "object_store_memory": 80_000_000,
            "ray_client_server_port": client_port,
        },
    )
    try:
        for _ in range(count):
            made.add_node(
                num_cpus=processors, node_ip_address="127.0.0.1", object_store_memory=80_000_000
            )
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Three nodes."""
    with nodes(3) as made:
        yield made


def moving(count: int, *, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    still = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    return [np.roll(still, 2 * index, axis=1) for index in range(count)]


def many(folder: Path, count: int) -> list[str]:
    folder.mkdir()
    paths = []
    for index in range(count):
        path = folder / f"clip-{index:02d}.mp4"
        make_clip(path, ticks=range(6 + index % 3), images=moving(6 + index % 3, seed=index))
        paths.append(str(path))
    return paths


def contents(folder: Path) -> dict[str, str]:
    return {path.name: content_of(path) for path in folder.glob("*.*") if path.suffix == ".mkv"}


def alone(clips: list[str], settings: BatchSettings, folder: Path) -> dict[str, str]:
    """The results of a single process."""
    for task in plan_tasks(clips, folder=str(folder), settings=settings):
        assert run_task(task).status == "done"
    return contents(folder)


@pytest.fixture
def labels_only(settings: BatchSettings) -> BatchSettings:
    return dataclasses.replace(settings, records=False)


@pytest.mark.parametrize("count", [12, pytest.param(40, marks=pytest.mark.slow)])
def test_a_node_that_dies_loses_nothing(
    cluster: Any, labels_only: BatchSettings, tmp_path: Path, count: int
) -> None:
    clips = many(tmp_path / "in", count)
    expected = alone(clips, labels_only, tmp_path / "alone")
    out = tmp_path / "out"
    tasks = plan_tasks(clips, folder=str(out), settings=labels_only)
    finished: list[str] = []

    def tell(result: TaskResult) -> None:
        finished.append(result.name)
        if len(finished) == 3:
            cluster.remove_node(cluster.list_all_nodes()[-1], allow_graceful=False)

    # a node that dies is not the file's fault, so a single try is enough
    runner = RayRunner(cluster.address, threads=1, tries=1)
    report = run_batch(tasks, runner, folder=str(out), on_result=tell)
    assert report.exit_code == 0
    assert contents(out) == expected
    assert sorted(finished) == sorted(task.name for task in tasks)  # each once
    rows = read_results(str(out))
    assert [row["status"] for row in rows] == ["done"] * count
    assert not list(out.glob("*.part*"))


def die_of_memory_once(task: BatchTask) -> TaskResult:
    """Like `run_task`, but the system kills the process the first time, as if for its memory."""
    mark = Path(task.folder).parent / f"{task.name}.killed"
    if task.name in ("clip-01", "clip-02") and (task.name == "clip-02" or not mark.exists()):
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return run_task(task)


def test_a_killed_worker_is_replaced_and_a_task_that_kills_is_given_up(
    cluster: Any, labels_only: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtseg.batch.ray_runner.run_task", die_of_memory_once)
    clips = many(tmp_path / "in", 4)
    out = tmp_path / "out"
    tasks = plan_tasks(clips, folder=str(out), settings=labels_only)
    report = run_batch(tasks, RayRunner(cluster.address, threads=1, tries=2), folder=str(out))
    states = {result.name: result.status for result in report.results}
    assert states == {
        "clip-00": "done",
        "clip-01": "done",
        "clip-02": "given up",
        "clip-03": "done",
    }
    (poison,) = [result for result in report.results if result.status == "given up"]
    assert "given up after 2 tries" in poison.message
    assert len(contents(out)) == 3


GROWS_BYTES = 6 << 30
LEFT_BYTES = 4 << 30
"""How much more than now may be taken: enough for Ray itself, and for what else is at work."""


def grow_without_end(task: BatchTask) -> TaskResult:
    """Like `run_task`, but `clip-01` makes its process allocate memory until it is killed.

    The others take their time, so that some of them run beside it, and are killed for it.
    """
    if task.name == "clip-01":
        kept = []
        for _ in range(GROWS_BYTES >> 26):
            kept.append(bytearray(os.urandom(1 << 20) * 64))
            time.sleep(0.05)  # the monitor checks ten times a second
        raise AssertionError("nobody killed it")
    time.sleep(2)
    return run_task(task)


def test_rays_memory_monitor_costs_no_innocent_file(
    labels_only: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It kills whatever runs on a full node; only what fills a node by itself is given up."""
    sizes = {
        line.split(":")[0]: int(line.split()[1]) << 10
        for line in Path("/proc/meminfo").read_text().splitlines()
    }
    total, available = sizes["MemTotal"], sizes["MemAvailable"]
    if available < GROWS_BYTES + (2 << 30):
        pytest.skip("too little memory is free here")
    threshold = (total - available + LEFT_BYTES) / total
    monkeypatch.setenv("RAY_memory_usage_threshold", f"{threshold:.4f}")
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    monkeypatch.setattr("rtseg.batch.ray_runner.run_task", grow_without_end)
    clips = many(tmp_path / "in", 5)
    out = tmp_path / "out"
    tasks = plan_tasks(clips, folder=str(out), settings=labels_only)
    with nodes(1, processors=2) as made:
        report = run_batch(tasks, RayRunner(made.address, threads=1, tries=2), folder=str(out))
    states = {result.name: result.status for result in report.results}
    assert states == {
        f"clip-{number:02d}": "given up" if number == 1 else "done" for number in range(5)
    }
    poison = report.results[1]
    assert poison.attempts == 3  # beside others, then twice with a node to itself
    assert "its worker ran out of memory, with a node to itself" in poison.message
    monkeypatch.setattr("rtseg.batch.ray_runner.run_task", run_task)
    expected = alone([clip for clip in clips if "clip-01" not in clip], labels_only, tmp_path / "a")
    assert contents(out) == expected
    assert [row["status"] for row in read_results(str(out))].count("given up") == 1


@pytest.mark.slow
def test_a_head_that_dies_loses_nothing_that_was_finished(
    labels_only: BatchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver ends with its cluster; on the next cluster the same command does the rest."""
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    clips = many(tmp_path / "in", 8)
    expected = alone(clips, labels_only, tmp_path / "alone")
    out = tmp_path / "out"

    def words(address: object) -> list[str]:
        return [
            *(sys.executable, "-m", "rtseg", "batch", str(tmp_path / "in"), "-o", str(out)),
            *("--on", str(address), "--no-pictures", "--labels", "--threads", "1"),
            *("--backend", "openvino", "--precision", "fp32", "-q"),
        ]

    with nodes(1) as made:
        driver = subprocess.Popen(words(made.address), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 200
        while len(contents(out)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
    try:
        assert driver.wait(120) != 0
    finally:
        driver.kill()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.mkv")}
    assert 2 <= len(before) < len(clips)
    with nodes(1) as made:
        done = subprocess.run(words(made.address), timeout=300, check=False)
    assert done.returncode == 0
    assert contents(out) == expected
    assert {row["status"] for row in read_results(str(out))} == {"done"}
    for path, written in before.items():
        assert path.stat().st_mtime_ns == written, f"{path.name} was done twice"


def test_a_client_of_a_distant_cluster_does_the_same(
    labels_only: BatchSettings, tmp_path: Path
) -> None:
    """`ray://`: this machine belongs to no cluster, and tasks and results pass its client server.

    In a process of its own, since a process that has started a cluster is no mere client of it.
    """
    clips = many(tmp_path / "in", 3)
    expected = alone(clips, labels_only, tmp_path / "alone")
    out = tmp_path / "out"
    port = free_port()
    with nodes(1, client_port=port):
        words = [
            *(sys.executable, "-m", "rtseg", "batch", str(tmp_path / "in"), "-o", str(out)),
            *("--on", f"ray://127.0.0.1:{port}", "--no-pictures", "--labels", "--threads", "1"),
            *("--backend", "openvino", "--precision", "fp32"),
        ]
        done = subprocess.run(words, timeout=500, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(out) == expected
    assert {row["status"] for row in read_results(str(out))} == {"done"}
    (line,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert line.startswith("3 of 3 done")


def test_a_killed_driver_can_be_continued(
    cluster: Any, labels_only: BatchSettings, tmp_path: Path
) -> None:
    clips = many(tmp_path / "in", 8)
    expected = alone(clips, labels_only, tmp_path / "alone")
    out = tmp_path / "out"
    words = [
        *(sys.executable, "-m", "rtseg", "batch", str(tmp_path / "in"), "-o", str(out)),
        *("--on", str(cluster.address), "--no-pictures", "--labels", "--threads", "1"),
        *("--backend", "openvino", "--precision", "fp32", "-q"),
    ]
    driver = subprocess.Popen(words)
    deadline = time.monotonic() + 200
    while len(contents(out)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.mkv")}
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert 2 <= len(before) < len(clips)
    done = subprocess.run(words, timeout=300, check=False)
    assert done.returncode == 0
    assert contents(out) == expected
    assert {row["status"] for row in read_results(str(out))} == {"done"}
    for path, written in before.items():
        assert path.stat().st_mtime_ns == written, f"{path.name} was done twice"
