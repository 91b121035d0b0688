"""The result of a task, and of a whole batch: status, message, exit code."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rtseg.batch.tasks import BatchTask
from rtseg.errors import RtsegError
from rtseg.media.urls import display_name
from rtseg.outputs import shown
from rtseg.system.libraries import missing_library

Status = Literal["done", "failed", "given up", "left"]

INTERRUPTED = 128
"""Exit codes from this one on mean a signal, as in shells."""

_WORST_FIRST = (1, 9, 7, 6, 5, 2, 3, 4)
"""Exit codes, the most urgent one first."""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The result of a task: a row of `results.parquet`.

    Attributes:
        source, name: the task's input and name.
        status: `done`, `failed` (by its own error), `given up` (its worker died every time) or
            `left` (the batch ended first).
        exit_code, message: as on the command line; a truncated input is done, with code 4.
        frames, seconds: number of frames written, and the time that this took.
        faces, face_frames: the most faces in one frame, and the number of frames with any.
        pixels: pixels of each class, over all frames.
        checksums: SHA-256 of each file, by its name.
        versions: versions of the software that made it.
        attempts: how many times it was started.
    """

    source: str
    name: str
    status: Status
    exit_code: int = 0
    message: str = ""
    frames: int = 0
    seconds: float = 0.0
    faces: int = 0
    face_frames: int = 0
    pixels: Mapping[str, int] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 1

    @property
    def line(self) -> str:
        """The message with its input's name in front, once, since most messages begin with it."""
        name = shown(self.source)
        message = self.message.removeprefix(f"{name}: ")
        return f"{name}: {message.removeprefix(f'{display_name(self.source)}: ')}"

    def plain(self) -> dict[str, Any]:
        """Convert to JSON values, without the secrets of a URL."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["source"] = shown(self.source)
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """The results of a batch.

    Attributes:
        results: one per task, in the tasks' order, then one per input that could not be used.
        skipped: the number of tasks that were finished before.
        error: the error that ended the batch early, and would have affected the others too.
    """

    results: tuple[TaskResult, ...]
    skipped: int = 0
    error: RtsegError | None = None

    @property
    def counts(self) -> Counter[str]:
        """The number of results of each status."""
        return Counter(result.status for result in self.results)

    @property
    def exit_code(self) -> int:
        """The worst of all exit codes."""
        if self.error is not None:
            return self.error.exit_code
        return worst_exit_code(result.exit_code for result in self.results)


def worst_exit_code(codes: Iterable[int]) -> int:
    """Combine the exit codes of several things: a signal's, else the worst one."""
    every = set(codes)
    interrupted = max(every, default=0)
    if interrupted >= INTERRUPTED:
        return interrupted
    return next((code for code in _WORST_FIRST if code in every), 0)


def failed_by(task: BatchTask, error: Exception) -> TaskResult:
    """Make the result of a task that failed with an error. A bug's traceback is printed."""
    known = error if isinstance(error, RtsegError) else missing_library(error)
    if known is not None:
        exit_code, message = known.exit_code, str(known)
    else:
        traceback.print_exception(error)
        exit_code = 1
        message = f"a bug: {type(error).__name__}: {error}; please report it"
    return TaskResult(
        source=task.source,
        name=task.name,
        status="failed",
        exit_code=exit_code,
        message=" ".join(message.split()),
    )


def given_up(task: BatchTask, attempts: int, reason: str) -> TaskResult:
    """Make the result of a task whose worker died every time."""
    return TaskResult(
        source=task.source,
        name=task.name,
        status="given up",
        exit_code=1,
        message=f"given up after {attempts} tries: {reason}",
        attempts=attempts,
    )


def left_over(task: BatchTask, *, exit_code: int = 0, message: str = "") -> TaskResult:
    """Make the result of a task that was not reached, or that a signal interrupted."""
    return TaskResult(
        source=task.source,
        name=task.name,
        status="left",
        exit_code=exit_code,
        message=message,
        attempts=0,
    )
