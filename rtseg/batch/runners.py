"""Where tasks run: processes of this machine, or a Ray cluster."""

from __future__ import annotations

import multiprocessing
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from rtseg.batch.tasks import BatchTask, TaskResult
from rtseg.batch.worker import end_with_parent, run_task
from rtseg.errors import BackendError, SettingError
from rtseg.media.urls import url_scheme

WAIT_SECONDS = 0.5
"""Between two looks at what is done, so that Ctrl-C is heard."""

AHEAD = 4
"""Tasks handed to Ray for each of its processors: the rest wait here, where they cost nothing."""


class Runner(ABC):
    """Runs tasks."""

    @abstractmethod
    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """One result a task, in the order in which they end. Closing it ends what runs."""


class LocalRunner(Runner):
    """Processes of this machine, each with a network of its own.

    Args:
        processes: how many.
        tries: how often a task may be started whose worker dies of it.
    """

    def __init__(self, processes: int, *, tries: int) -> None:
        self.processes, self.tries = processes, tries

    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """See `Runner`."""
        waiting = deque((task, 1) for task in tasks)
        # one process a pool: where a worker dies, the others' tasks are not lost with it
        free = [_pool() for _ in range(min(self.processes, len(tasks)))]
        running: dict[Future[TaskResult], tuple[ProcessPoolExecutor, BatchTask, int]] = {}
        try:
            while waiting or running:
                while waiting and free:
                    task, attempt = waiting.popleft()
                    pool = free.pop()
                    running[pool.submit(run_task, task)] = pool, task, attempt
                done, _ = wait(running, timeout=WAIT_SECONDS, return_when=FIRST_COMPLETED)
                for future in done:
                    pool, task, attempt = running.pop(future)
                    try:
                        result = replace(future.result(), attempts=attempt)
                    except BrokenProcessPool:
                        pool.shutdown(wait=False)
                        free.append(_pool())
                        if attempt < self.tries:
                            waiting.append((task, attempt + 1))
                            continue
                        result = _given_up(task, attempt, "its worker process died")
                    else:
                        free.append(pool)
                    yield result
        finally:
            for pool in (*free, *(pool for pool, _, _ in running.values())):
                _end(pool)


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent
    )


def _end(pool: ProcessPoolExecutor) -> None:
    # no public way yet (3.14 has one): a worker that computes would be waited for
    workers = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


class RayRunner(Runner):
    """A Ray cluster: it schedules, starts again what died with its worker or node, and spills.

    Args:
        address: of the cluster (`ray://HOST:PORT`, `HOST:PORT`); None is the one that this
            machine is part of, or a new one on it.
        threads: processors that a task takes.
        tries: as `LocalRunner`.

    Raises:
        SettingError: Ray is not installed.
    """

    def __init__(self, address: str | None, *, threads: int, tries: int) -> None:
        try:
            import ray
        except ImportError:
            raise SettingError(
                "`on`: Ray is not installed; pip install 'rtseg[ray]', or use local:N"
            ) from None
        self._ray: Any = ray
        self.address, self.threads, self.tries = address, threads, tries

    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """See `Runner`."""
        ray = self._ray
        with ExitStack() as stack:
            if not ray.is_initialized():
                self._connect()
                stack.callback(ray.shutdown)
            remote = ray.remote(num_cpus=self.threads, max_retries=self.tries - 1)(run_task)
            waiting = deque(tasks)
            running: dict[Any, BatchTask] = {}
            try:
                while waiting or running:
                    ahead = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
                    while waiting and len(running) < ahead:
                        task = waiting.popleft()
                        running[remote.remote(task)] = task
                    done, _ = ray.wait(list(running), timeout=WAIT_SECONDS)
                    for reference in done:
                        yield self._result(reference, running.pop(reference))
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)

    def _connect(self) -> None:
        ray = self._ray
        try:
            ray.init(address=self.address, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            raise BackendError(
                f"the Ray cluster {self.address or 'of this machine'} cannot be reached: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None

    def _result(self, reference: Any, task: BatchTask) -> TaskResult:
        try:
            result: TaskResult = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            reason = type(error).__name__
            return _given_up(task, self.tries, f"its worker died: {reason}")
        return result


def _given_up(task: BatchTask, attempts: int, reason: str) -> TaskResult:
    return TaskResult(
        source=task.source,
        name=task.name,
        status="given up",
        exit_code=1,
        message=f"given up after {attempts} tries: {reason}",
        attempts=attempts,
    )


def runner_of(on: str, *, threads: int, tries: int) -> Runner:
    """The runner behind `local:N`, `ray`, `ray://HOST:PORT` or `HOST:PORT`.

    Raises:
        SettingError: it is none of these.
    """
    kind, _, count = on.partition(":")
    if kind == "local" and (not count or count.isdigit()):
        processes = int(count) if count else os.cpu_count() or 1
        if processes < 1:
            raise SettingError(f"`on` {on}: local:N takes one process or more")
        return LocalRunner(processes, tries=tries)
    if on == "ray":
        return RayRunner(None, threads=threads, tries=tries)
    host, _, port = on.rpartition(":")
    if url_scheme(on) == "ray" or (host and port.isdigit() and url_scheme(on) is None):
        return RayRunner(on, threads=threads, tries=tries)
    raise SettingError(f"`on` {on!r} is unknown; allowed: local:N, ray, ray://HOST:PORT, HOST:PORT")
