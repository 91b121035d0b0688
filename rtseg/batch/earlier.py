"""Find what an earlier run has finished, so that it is not repeated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rtseg.batch.results import TaskResult
from rtseg.batch.storage import Storage
from rtseg.batch.tasks import BatchTask
from rtseg.media.urls import local_path

_CLOCK_SECONDS = 2
"""By how much two views of one file's time may differ: file systems round it, up to this."""


def fingerprint(task: BatchTask) -> str:
    """A hash of everything that determines a result: the input's name, settings and version."""
    from rtseg import __version__

    described = f"{__version__}\n{task.source}\n{task.settings!r}"
    if task.piece is not None:
        described += f"\n{task.piece!r}"
    return hashlib.sha256(described.encode(errors="surrogateescape")).hexdigest()


def input_state(task: BatchTask) -> list[int] | None:
    """Bytes and time of change of an input, in seconds; None where it is no file of this machine.

    It tells whether an input was replaced by another one of the same name.
    """
    path = local_path(task.source)
    try:
        status = None if path is None else path.stat()
    except OSError:
        return None
    return None if status is None else [status.st_size, int(status.st_mtime)]


def _is_replaced(task: BatchTask, before: list[int] | None) -> bool:
    now = input_state(task)
    if before is None or now is None:
        return False
    return before[0] != now[0] or abs(before[1] - now[1]) > _CLOCK_SECONDS


def earlier_result(task: BatchTask, storage: Storage) -> TaskResult | None:
    """The result of an earlier run of the same task, if all of its files still exist.

    None as well if its input was replaced since.
    """
    data = storage.read(task.record)
    if data is None:
        return None
    try:
        record = json.loads(data)
        if record.pop("fingerprint") != fingerprint(task):
            return None
        if _is_replaced(task, record.pop("input", None)):
            return None
        result = replace(TaskResult(**record), source=task.source)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None
    return result if all(storage.exists(name) for name in task.files.values()) else None


def pending(
    tasks: Sequence[BatchTask], storage: Storage
) -> tuple[list[BatchTask], list[TaskResult]]:
    """Split tasks by their records into those still to do and those done before."""
    left, done = [], []
    for task in tasks:
        before = earlier_result(task, storage)
        if before is None:
            left.append(task)
        else:
            done.append(before)
    return left, done


def pending_by_files(
    tasks: Sequence[BatchTask],
) -> tuple[list[BatchTask], list[TaskResult]]:
    """Split tasks without records: one whose files all exist was done before.

    A file gets its name only once it is complete. Numbered pictures are always done again, because
    nothing states how many there should be.
    """
    left, done = [], []
    for task in tasks:
        if all(Path(place).exists() for place in task.places.values()):
            done.append(TaskResult(source=task.source, name=task.name, status="done", attempts=0))
        else:
            left.append(task)
    return left, done
