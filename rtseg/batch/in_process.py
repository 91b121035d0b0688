"""Run tasks in the caller's own process, with its progress display and its signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.batch.base import Runner
from rtseg.batch.results import INTERRUPTED, TaskResult, failed_by, left_over
from rtseg.batch.tasks import BatchTask
from rtseg.batch.worker import open_task
from rtseg.errors import DiskFullError, RtsegError, SinkError, SourceError, TruncatedError
from rtseg.settings import ModelSettings
from rtseg.system.files import FileId, create_part, file_id
from rtseg.system.libraries import missing_library

if TYPE_CHECKING:
    from rtseg.backends.base import Backend
    from rtseg.wiring import Run

Attend = Callable[["Run"], int]
"""Runs an opened run; returns 0, or 128 plus the number of the signal that interrupted it."""


class InProcessRunner(Runner):
    """Runs tasks one after the other with one network, writing files directly to their places.

    An error of an input or output fails only its task. An error that would affect every other task
    too (a setting, the model, a full disk) is raised. After a signal, the remaining tasks are not
    started.

    Args:
        model: the network, which is opened with the first task.
        attend: runs each task.
    """

    def __init__(self, model: ModelSettings, attend: Attend) -> None:
        self._model = model
        self._attend = attend

    def results(self, tasks: Sequence[BatchTask]) -> Iterator[TaskResult]:
        """See `Runner`."""
        from rtseg.backends import open_backend_for

        if not tasks:
            return
        with ExitStack() as stack:
            backend = stack.enter_context(open_backend_for(self._model))
            for task in tasks:
                before = {Path(place): file_id(place) for place in task.places.values()}
                try:
                    code, result = self._run(task, backend)
                except (SourceError, SinkError) as error:
                    if isinstance(error, DiskFullError):
                        raise
                    result = failed_by(task, error)
                except RtsegError:
                    raise
                except Exception as error:  # a bug is printed whole; the others continue
                    if missing_library(error) is not None:
                        raise
                    result = failed_by(task, error)
                else:
                    if code >= INTERRUPTED:
                        _mark_unfinished(before)
                        yield left_over(task, exit_code=code, message="interrupted")
                        return
                yield result

    def _run(self, task: BatchTask, backend: Backend) -> tuple[int, TaskResult]:
        code, message = 0, ""
        with open_task(task, backend=backend) as run:
            try:
                code = self._attend(run)
            except TruncatedError as error:
                message = str(error)
        summary = run.summary
        return code, TaskResult(
            source=task.source,
            name=task.name,
            status="done",
            exit_code=TruncatedError.exit_code if message else code,
            message=message,
            frames=summary.frames if summary else 0,
            seconds=summary.seconds if summary else 0.0,
        )


def _mark_unfinished(before: Mapping[Path, FileId | None]) -> None:
    """Rename the output of an interrupted task to a temporary name, so that it counts as partial.

    A file that existed before is left unchanged.
    """
    for path, earlier in before.items():
        if file_id(path) not in {None, earlier}:
            path.replace(create_part(path))
