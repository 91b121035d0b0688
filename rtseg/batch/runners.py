"""Run tasks in processes of this machine, or on a Ray cluster.

A task whose worker dies is started again, up to a number of tries. These are counted here, because
Ray's own retries never end for a worker that is killed for its memory.
"""

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

from rtseg.batch.results import TaskResult, given_up
from rtseg.batch.tasks import BatchTask
from rtseg.batch.worker import end_with_parent, run_task
from rtseg.errors import BackendError, SettingError
from rtseg.media.urls import url_scheme

WAIT_SECONDS = 0.5
"""The longest single wait for results, so that Ctrl-C is noticed."""

AHEAD = 4
"""Tasks submitted to Ray per processor. The others wait here, where they cost nothing."""

OUT_OF_MEMORY = "its worker ran out of memory; fewer tasks at once leave each of them more"


class Runner(ABC):
    """Runs tasks."""

    @abstractmethod
    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """Yield one result per task, in the order of completion. Closing it stops running tasks."""


class LocalRunner(Runner):
    """Processes of this machine, each with its own network.

    Args:
        processes: the number of processes.
        tries: how many times a task whose worker dies is started.
    """

    def __init__(self, processes: int, *, tries: int) -> None:
        self.processes, self.tries = processes, tries

    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """See `Runner`."""
        waiting = deque((task, 1) for task in tasks)
        # one process per pool, so that a worker that dies affects no other task
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
                    except (BrokenProcessPool, MemoryError) as error:
                        _end(pool)
                        free.append(_pool())
                        if attempt < self.tries:
                            waiting.append((task, attempt + 1))
                            continue
                        is_memory = isinstance(error, MemoryError)
                        reason = OUT_OF_MEMORY if is_memory else "its worker process died"
                        result = given_up(task, attempt, reason)
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
    # there is no public way before Python 3.14, and a busy worker would be waited for
    workers = list((getattr(pool, "_processes", None) or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


class RayRunner(Runner):
    """A Ray cluster, which schedules the tasks and spills objects to disk.

    Args:
        address: the cluster (`ray://HOST:PORT`, `HOST:PORT`); None is the one that this machine
            belongs to, or a new one on this machine.
        threads: processors per task.
        tries: how many times a task whose worker or node dies is started.

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
            remote = ray.remote(num_cpus=self.threads, max_retries=0)(run_task)
            waiting = deque((task, 1) for task in tasks)
            running: dict[Any, tuple[BatchTask, int]] = {}
            try:
                while waiting or running:
                    ahead = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
                    while waiting and len(running) < ahead:
                        task, attempt = waiting.popleft()
                        running[remote.remote(task)] = task, attempt
                    done, _ = ray.wait(list(running), timeout=WAIT_SECONDS)
                    for reference in done:
                        task, attempt = running.pop(reference)
                        try:
                            result = replace(ray.get(reference), attempts=attempt)
                        except ray.exceptions.RayError as error:
                            if attempt < self.tries:
                                waiting.append((task, attempt + 1))
                                continue
                            result = given_up(task, attempt, self._reason(error))
                        yield result
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

    def _reason(self, error: Exception) -> str:
        is_memory = isinstance(error, (self._ray.exceptions.OutOfMemoryError, MemoryError))
        return OUT_OF_MEMORY if is_memory else f"its worker died: {type(error).__name__}"


def runner_of(on: str, *, threads: int, tries: int) -> Runner:
    """Make the runner for `local:N`, `ray`, `ray://HOST:PORT` or `HOST:PORT`.

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
