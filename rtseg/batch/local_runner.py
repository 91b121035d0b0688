"""Run tasks in processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from rtseg.batch.base import WAIT_SECONDS, Runner
from rtseg.batch.results import TaskResult, given_up
from rtseg.batch.tasks import BatchTask
from rtseg.batch.worker import end_with_parent, run_task


class LocalRunner(Runner):
    """Processes of this machine, each with its own network.

    The system ends processes when memory runs out, and not always the one that took it. So the last
    try of a task is made at the end, with no other task beside it: what dies then is to blame.

    Args:
        processes: the number of processes.
        tries: how many times a task whose worker dies is started.
    """

    def __init__(self, processes: int, *, tries: int) -> None:
        self.processes, self.tries = processes, tries

    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """See `Runner`."""
        waiting = deque((task, 1) for task in tasks)
        alone: deque[tuple[BatchTask, int]] = deque()
        # one process per pool, so that a worker that dies affects no other task
        free = [_pool() for _ in range(min(self.processes, len(tasks)))]
        running: dict[Future[TaskResult], tuple[ProcessPoolExecutor, BatchTask, int]] = {}
        try:
            while waiting or alone or running:
                if alone and not waiting and not running:
                    waiting.append(alone.popleft())
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
                            is_last = attempt + 1 == self.tries
                            (alone if is_last else waiting).append((task, attempt + 1))
                            continue
                        is_memory = isinstance(error, MemoryError)
                        reason = "ran out of memory" if is_memory else "process died"
                        result = given_up(task, attempt, f"its worker {reason}")
                    else:
                        free.append(pool)
                    yield result
        finally:
            for pool in (*free, *(pool for pool, _, _ in running.values())):
                _end(pool)


def _pool() -> ProcessPoolExecutor:
    # While OpenCV is being imported its own folder comes first in `sys.path`. A worker that starts
    # in that moment inherits the path, and then takes OpenCV's `typing` for Python's.
    import cv2  # noqa: F401

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
