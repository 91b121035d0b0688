"""The runner for Ray beside a stand-in for Ray: what is sent, counted and given up."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rtseg.batch import BatchSettings, BatchTask, TaskResult, plan_tasks
from rtseg.batch.ray_runner import RayRunner
from rtseg.errors import BackendError, SettingError
from tests.support.receivers import free_port


class RayError(Exception):
    """The base of Ray's errors."""


class OutOfMemoryError(RayError):
    """Ray's monitor killed the worker."""


class NodeDiedError(RayError):
    """The worker's node died."""


class WorkerCrashedError(RayError):
    """The worker died, nobody knows why."""


class Cluster:
    """Ray's functions. A task ends as its script says; one that asks for too much never starts.

    Attributes:
        sizes: the processors of each node, which a test may change.
        sent: the name and the processors of each start.
        most: the most tasks that were submitted and not finished.
    """

    exceptions = SimpleNamespace(
        RayError=RayError,
        OutOfMemoryError=OutOfMemoryError,
        NodeDiedError=NodeDiedError,
        LocalRayletDiedError=NodeDiedError,
    )

    def __init__(self) -> None:
        self.sizes = [4]
        self.script: dict[str, list[type[Exception]]] = {}
        self.sent: list[tuple[str, int]] = []
        self.cancelled: list[str] = []
        self.most = 0
        self.on_wait: Callable[[], None] = lambda: None

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        dead: dict[str, Any] = {"Alive": False, "Resources": {"CPU": 64.0}}
        return [dead, *({"Alive": True, "Resources": {"CPU": float(n)}} for n in self.sizes)]

    def remote(self, *, max_retries: int) -> Any:
        assert max_retries == 0, "tries are counted by the runner"

        def options(*, num_cpus: int) -> Any:
            def send(task: BatchTask) -> Any:
                self.sent.append((task.name, num_cpus))
                return SimpleNamespace(task=task, processors=num_cpus)

            return SimpleNamespace(remote=lambda task: Reference(send(task)))

        return lambda _function: SimpleNamespace(options=options)

    def wait(self, references: Sequence[Any], *, timeout: float) -> tuple[list[Any], list[Any]]:
        self.most = max(self.most, len(references))
        self.on_wait()
        fits = [one for one in references if one.of.processors <= max(self.sizes, default=0)]
        return fits[:1], []

    def get(self, reference: Any) -> TaskResult:
        task = reference.of.task
        deaths = self.script.get(task.name)
        if deaths:
            raise deaths.pop(0)
        return TaskResult(source=task.source, name=task.name, status="done")

    def cancel(self, reference: Any, *, force: bool) -> None:
        self.cancelled.append(reference.of.task.name)


class Reference:
    """A task that was sent."""

    def __init__(self, of: Any) -> None:
        self.of = of


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    cluster = Cluster()
    monkeypatch.setitem(sys.modules, "ray", cluster)  # type: ignore[arg-type]
    monkeypatch.setattr("rtseg.batch.ray_runner.WAIT_SECONDS", 0.005)
    monkeypatch.setattr("rtseg.batch.attempts.FIRST_PAUSE_SECONDS", 0.02)
    return cluster


def run(count: int, *, tries: int = 2, threads: int = 1) -> dict[str, TaskResult]:
    names = [f"clip-{number}.mp4" for number in range(count)]
    tasks = plan_tasks(names, folder="out", settings=BatchSettings())
    runner = RayRunner(None, threads=threads, tries=tries)
    results = list(runner.results(tasks))
    assert len(results) == count, "each once"
    return {result.name: result for result in results}


def sent(cluster: Cluster, name: str) -> list[int]:
    return [processors for sent_name, processors in cluster.sent if sent_name == name]


def test_tasks_are_submitted_a_few_at_a_time(cluster: Cluster) -> None:
    cluster.sizes = [1, 2]
    assert {result.status for result in run(60).values()} == {"done"}
    assert cluster.most == 12
    assert [result.attempts for result in run(1).values()] == [1]


def test_innocent_tasks_of_a_full_node_are_finished(cluster: Cluster) -> None:
    """The one that fills a node by itself is given up, however often its neighbours died."""
    cluster.script = {
        "clip-0": [OutOfMemoryError] * 9,
        "clip-1": [OutOfMemoryError] * 2,
        "clip-2": [OutOfMemoryError],
    }
    results = run(4)
    assert [result.status for result in results.values()].count("done") == 3
    assert results["clip-0"].status == "given up"
    assert sent(cluster, "clip-0") == [1, 2, 4, 4]
    assert sent(cluster, "clip-1") == [1, 2, 4]
    assert sent(cluster, "clip-3") == [1]
    assert results["clip-1"].attempts == 3
    message = "given up after 4 tries: its worker ran out of memory, with a node to itself"
    assert results["clip-0"].message == message


def test_a_task_killed_for_memory_waits_while_others_go_on(cluster: Cluster) -> None:
    cluster.script = {"clip-0": [OutOfMemoryError]}
    run(3)
    assert [name for name, _ in cluster.sent][-1] == "clip-0"


def test_crashes_count_and_nodes_do_not(cluster: Cluster) -> None:
    cluster.script = {
        "clip-0": [WorkerCrashedError] * 2,
        "clip-1": [NodeDiedError] * 5,
        "clip-2": [NodeDiedError, WorkerCrashedError],
    }
    results = run(3)
    assert {name: result.status for name, result in results.items()} == {
        "clip-0": "given up",
        "clip-1": "done",
        "clip-2": "done",
    }
    assert sent(cluster, "clip-0") == [1, 4], "the last try is made alone"
    assert sent(cluster, "clip-1") == [1] * 6


def test_a_request_that_no_node_can_meet_any_more_is_lowered(cluster: Cluster) -> None:
    """Otherwise the batch would wait for ever for a node that died."""
    cluster.script = {"clip-0": [OutOfMemoryError] * 2}

    def shrink() -> None:
        if sent(cluster, "clip-0") == [1, 2, 4]:
            cluster.sizes = [3]

    cluster.on_wait = shrink
    assert run(1)["clip-0"].status == "done"
    assert sent(cluster, "clip-0") == [1, 2, 4, 3]
    assert cluster.cancelled == ["clip-0"]


def test_a_cluster_without_a_node_large_enough_is_waited_for(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.sizes = []
    waits = []

    def grow() -> None:
        waits.append(1)
        cluster.sizes = {5: [2], 10: [8]}.get(len(waits), cluster.sizes)

    cluster.on_wait = grow
    assert run(2, threads=8)["clip-1"].status == "done"
    (message,) = caplog.messages
    assert "no node of the cluster has the 8 processors" in message


def test_a_closed_runner_cancels_what_runs(cluster: Cluster) -> None:
    tasks = plan_tasks(["a.mp4", "b.mp4"], folder="out", settings=BatchSettings())
    results = RayRunner(None, threads=1, tries=1).results(tasks)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert cluster.cancelled == ["b"]


def test_nothing_to_do_needs_no_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    assert list(RayRunner("host:1", threads=1, tries=1).results([])) == []


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_does_not_answer_is_one_line(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """At once: Ray itself would try for minutes, with many words."""
    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    address = f"{scheme}127.0.0.1:{free_port()}"
    tasks = plan_tasks(["a.mp4"], folder="out", settings=BatchSettings())
    with pytest.raises(BackendError, match=f"the Ray cluster {address} cannot be reached: ") as it:
        list(RayRunner(address, threads=1, tries=1).results(tasks))
    assert "\n" not in str(it.value)


FAILED_START = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 772, in Datapath
    raise RuntimeError(
RuntimeError: Starting Ray client server failed. See ray_client_server_23000.err for detailed logs.
"""


@pytest.mark.parametrize("failures", [0, 2, 3])
def test_a_client_server_that_did_not_start_is_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """Thrice in all; then its own last words are said, not where it said them."""
    tries: list[str] = []

    def init(**_options: object) -> None:
        tries.append("init")
        if tries.count("init") <= failures:
            raise ConnectionAbortedError(FAILED_START)

    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "init", init, raising=False)
    monkeypatch.setattr(cluster, "shutdown", lambda: tries.append("shutdown"), raising=False)
    monkeypatch.setattr("rtseg.batch.ray_runner.CONNECTION_PAUSES", (0.01, 0.01))
    tasks = plan_tasks(["a.mp4"], folder="out", settings=BatchSettings())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ray://127.0.0.1:{server.getsockname()[1]}"
        results = RayRunner(address, threads=1, tries=1).results(tasks)
        if failures < 3:
            assert [result.status for result in results] == ["done"]
            # once more at the end, to leave the cluster
            assert tries == [*["init", "shutdown"] * failures, "init", "shutdown"]
            return
        with pytest.raises(
            BackendError, match="cannot be reached: RuntimeError: Starting Ray"
        ) as it:
            list(results)
    assert "\n" not in str(it.value)
    assert "Traceback" not in str(it.value)
    assert tries.count("init") == 3


def test_nodes_without_this_package_end_the_run_with_one_line(cluster: Cluster) -> None:
    """Their files are not given up one by one, as if the files had ended the workers."""

    class Missing(RayError):
        def __init__(self) -> None:
            super().__init__(
                "System error: No module named 'rtseg'\ntraceback: Traceback (most ..."
            )

    cluster.script = {"clip-1": [Missing]}
    with pytest.raises(BackendError, match="a node cannot import rtseg; install rtseg") as it:
        run(4)
    assert "\n" not in str(it.value)
    assert cluster.cancelled == ["clip-2", "clip-3"]


def test_a_missing_client_of_ray_is_one_line(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_options: object) -> None:
        raise ImportError("No module named 'grpc'")

    monkeypatch.setattr(cluster, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "init", init, raising=False)
    tasks = plan_tasks(["a.mp4"], folder="out", settings=BatchSettings())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"ray://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SettingError, match=r"needs Ray's client .*pip install 'rtseg\[ray\]'"):
            list(RayRunner(address, threads=1, tries=1).results(tasks))
