"""Run tasks on a Ray cluster, which schedules them and spills objects to disk.

Tries are counted here, since Ray's own retries never end for a worker that is killed for memory.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from rtseg import __version__
from rtseg.batch.attempts import Attempt, Death
from rtseg.batch.base import WAIT_SECONDS, Runner
from rtseg.batch.results import TaskResult, given_up
from rtseg.batch.tasks import BatchTask
from rtseg.batch.worker import run_task
from rtseg.errors import BackendError, SettingError

AHEAD = 4
"""Tasks submitted to Ray per processor. The others wait here, where they cost nothing."""

ANSWER_SECONDS = 10.0
"""How long a cluster may take to accept a connection."""

CONNECTION_PAUSES = (2.0, 8.0)
"""Seconds before each further try to connect to a cluster that answered and then gave up: its
client server starts a process for each client, which can die or come late on a busy machine."""

_log = logging.getLogger("rtseg")


class RayRunner(Runner):
    """A Ray cluster.

    Args:
        address: the cluster (`ray://HOST:PORT`, `HOST:PORT`); None is the one that this machine
            belongs to, or a new one on this machine.
        threads: processors per task.
        tries: how many times a file may end its worker before it is given up.

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
        if not tasks:
            return
        ray = self._ray
        with ExitStack() as stack:
            if not ray.is_initialized():
                self._connect()
                stack.callback(ray.shutdown)
            remote = ray.remote(max_retries=0)(run_task)
            waiting = deque(Attempt(task=task, processors=self.threads) for task in tasks)
            paused: list[tuple[float, Attempt]] = []
            running: dict[Any, Attempt] = {}
            has_warned = False
            try:
                while waiting or paused or running:
                    now = time.monotonic()
                    waiting.extend(attempt for due, attempt in paused if due <= now)
                    paused = [(due, attempt) for due, attempt in paused if due > now]
                    sizes = self._node_sizes()
                    largest = max(sizes, default=0)
                    if largest < self.threads and not has_warned:
                        has_warned = True
                        self._warn(largest)
                    waiting.extend(self._too_large(running, largest))
                    while waiting and len(running) < AHEAD * max(1, sum(sizes)):
                        attempt = waiting.popleft()
                        sent = remote.options(num_cpus=attempt.processors).remote(attempt.task)
                        running[sent] = attempt
                    if not running:
                        time.sleep(WAIT_SECONDS)
                        continue
                    done, _ = ray.wait(list(running), timeout=WAIT_SECONDS)
                    for reference in done:
                        attempt = running.pop(reference)
                        try:
                            result = replace(ray.get(reference), attempts=attempt.number)
                        except ray.exceptions.RayError as error:
                            self._check_installed(error)
                            following = attempt.after(
                                self._death(error), tries=self.tries, largest=largest
                            )
                            if isinstance(following, Attempt):
                                paused.append((time.monotonic() + following.pause, following))
                                continue
                            result = given_up(attempt.task, attempt.number, following)
                        yield result
            finally:
                for reference in running:
                    ray.cancel(reference, force=True)

    def _connect(self) -> None:
        try:
            self._check_reachable()
            for pause in CONNECTION_PAUSES:
                try:
                    self._init()
                    return
                except ConnectionAbortedError:
                    self._ray.shutdown()  # what is left of the try
                    time.sleep(pause)
            self._init()
        except ImportError as error:
            raise SettingError(
                f"`on` {self.address}: needs Ray's client ({error}); pip install 'rtseg[ray]'"
            ) from None
        except (ConnectionError, OSError, ValueError, RuntimeError) as error:
            raise BackendError(
                f"the Ray cluster {self.address or 'of this machine'} cannot be reached: "
                f"{_reason(error)}"
            ) from None

    def _init(self) -> None:
        # a cluster that exists has its dashboard or not
        options = {"include_dashboard": False} if self.address is None else {}
        self._ray.init(
            address=self.address,
            log_to_driver=False,
            logging_level=logging.ERROR,  # its notes would stand between ours
            **options,
        )

    def _check_reachable(self) -> None:
        """Raise OSError if nobody answers at the address; Ray would try for minutes."""
        if self.address is None:
            return
        host, _, port = self.address.removeprefix("ray://").rstrip("/").rpartition(":")
        if host and port.isdigit():
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()

    def _check_installed(self, error: Exception) -> None:
        """Raise BackendError if a node lacks this package: no file is to blame, all would fail."""
        missing = re.search(r"No module named '(rtseg[\w.]*)'", str(error))
        if missing:
            raise BackendError(
                f"the Ray cluster {self.address or 'of this machine'}: a node cannot import "
                f"{missing[1]}; install rtseg {__version__} in its Python environment too"
            ) from None

    def _node_sizes(self) -> list[int]:
        """The processors of each node."""
        nodes = self._ray.nodes()
        return [int(node["Resources"].get("CPU", 0)) for node in nodes if node["Alive"]]

    def _warn(self, largest: int) -> None:
        _log.warning(
            "no node of the cluster has the %d processors that a task asks for (--threads); the "
            "largest has %d; waiting for one that has",
            self.threads,
            largest,
        )

    def _too_large(self, running: dict[Any, Attempt], largest: int) -> list[Attempt]:
        """Take back the raised requests that no node can meet any more, since a node died."""
        lowered = []
        for reference, attempt in list(running.items()):
            if attempt.processors > max(largest, self.threads):
                del running[reference]
                self._ray.cancel(reference, force=True)
                lowered.append(replace(attempt, processors=max(largest, self.threads)))
        return lowered

    def _death(self, error: Exception) -> Death:
        exceptions = self._ray.exceptions
        if isinstance(error, (exceptions.OutOfMemoryError, MemoryError)):
            return "memory"
        if isinstance(error, (exceptions.NodeDiedError, exceptions.LocalRayletDiedError)):
            return "node"
        return "crash"


def _reason(error: Exception) -> str:
    """What went wrong, in one line; of a traceback from elsewhere, what it ends with."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if any(line.startswith("Traceback ") for line in lines):
        lines = lines[-1:]
    return " ".join(" ".join(lines).split())[:200]
