"""What became of a task, and of a whole batch: status, message, exit code."""

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
"""Exit codes from here on mean a signal, as in shells."""

_WORST_FIRST = (1, 9, 7, 6, 5, 2, 3, 4)
"""Exit codes, the one that needs attention most first."""


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What became of a task: a row of `results.parquet`.

    Attributes:
        source, name: of the task.
        status: `done`, `failed` (by an error of its own), `given up` (its worker died every time)
            or `left` (the batch ended first).
        exit_code, message: as on the command line; a truncated input is done with code 4.
        frames, seconds: frames written, and how long that took.
        faces: the most faces in one frame, and `face_frames` the frames with any.
        pixels: of each class, over all frames.
        checksums: SHA-256 of each file, by its name.
        versions: of what made it.
        attempts: how often it was started.
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
        """The message with its input's name before it, once: most messages begin with it."""
        name = shown(self.source)
        message = self.message.removeprefix(f"{name}: ")
        return f"{name}: {message.removeprefix(f'{display_name(self.source)}: ')}"

    def plain(self) -> dict[str, Any]:
        """As JSON values, without the secrets of a URL."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["source"] = shown(self.source)
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of a batch.

    Attributes:
        results: one for each task, in the tasks' order, then one for each input that could not be
            used.
        skipped: how many were finished before.
        error: what ended the batch before its end, and would have failed for the others too.
    """

    results: tuple[TaskResult, ...]
    skipped: int = 0
    error: RtsegError | None = None

    @property
    def counts(self) -> Counter[str]:
        """How many ended in each way."""
        return Counter(result.status for result in self.results)

    @property
    def exit_code(self) -> int:
        """The worst of all."""
        if self.error is not None:
            return self.error.exit_code
        return worst_exit_code(result.exit_code for result in self.results)


def worst_exit_code(codes: Iterable[int]) -> int:
    """The exit code of a command that did several things: a signal's, else the worst."""
    every = set(codes)
    interrupted = max(every, default=0)
    if interrupted >= INTERRUPTED:
        return interrupted
    return next((code for code in _WORST_FIRST if code in every), 0)


def failed_by(task: BatchTask, error: Exception) -> TaskResult:
    """The result of a task that an error ended. A bug's traceback is printed."""
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
    """The result of a task whose worker died every time."""
    return TaskResult(
        source=task.source,
        name=task.name,
        status="given up",
        exit_code=1,
        message=f"given up after {attempts} tries: {reason}",
        attempts=attempts,
    )


def left_over(task: BatchTask, *, exit_code: int = 0, message: str = "") -> TaskResult:
    """The result of a task that the batch did not come to, or that a signal interrupted."""
    return TaskResult(
        source=task.source,
        name=task.name,
        status="left",
        exit_code=exit_code,
        message=message,
        attempts=0,
    )
