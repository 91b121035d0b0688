"""The interface of runners, which run the tasks of a batch: in processes here, or on a cluster."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from rtseg.batch.results import TaskResult
from rtseg.batch.tasks import BatchTask

WAIT_SECONDS = 0.5
"""The longest single wait for results, so that Ctrl-C is noticed."""


class Runner(ABC):
    """Runs a batch's tasks, several at a time."""

    @abstractmethod
    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """Yield one result per task, in the order of completion. Closing it stops running tasks."""
