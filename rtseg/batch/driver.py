"""Run a batch to its end, and record the result of every input in one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rtseg.batch.base import Runner
from rtseg.batch.earlier import pending, pending_by_files
from rtseg.batch.inputs import BadInput
from rtseg.batch.results import BatchReport, TaskResult, left_over
from rtseg.batch.storage import FolderStorage, Storage, open_storage, remove_folder
from rtseg.batch.table import RESULTS, table
from rtseg.batch.tasks import RECORDS_FOLDER, BatchTask
from rtseg.batch.worker import WORK
from rtseg.errors import RtsegError, SettingError
from rtseg.system.files import release_lock, try_lock

OnResult = Callable[[TaskResult], object]


def run_direct(
    tasks: Sequence[BatchTask],
    runner: Runner,
    *,
    resume: bool = False,
    on_result: OnResult | None = None,
) -> BatchReport:
    """Run tasks whose files go directly to their destinations, without records.

    Args:
        tasks: from `plan_direct`.
        runner: where to run them.
        resume: skip the tasks whose files all exist.
        on_result: called with each result when it is available.

    Returns:
        The results; their `error` is what ended all of them.
    """
    left, done = pending_by_files(tasks) if resume else (list(tasks), [])
    results = {result.source: result for result in done}
    error: RtsegError | None = None
    try:
        with closing(runner.results(left)) as coming:  # type: ignore[type-var]
            _collect(coming, results, on_result)
    except RtsegError as raised:
        error = raised
    return BatchReport(results=_ordered(tasks, results), skipped=len(done), error=error)


def run_batch(
    tasks: Sequence[BatchTask],
    runner: Runner,
    *,
    folder: str,
    bad: Iterable[BadInput] = (),
    on_result: OnResult | None = None,
    split_minutes: float | None = None,
) -> BatchReport:
    """Run the unfinished tasks, and write `results.parquet` into the folder.

    Args:
        tasks: from `plan_tasks`.
        runner: where to run them.
        folder: the tasks' folder.
        bad: inputs that cannot be used, which are listed in the table too.
        on_result: called with each input's result when it is available.
        split_minutes: cut longer inputs at key frames into pieces of about this length, each a task
            of its own, and join the results. Each piece detects and tracks faces afresh: its first
            frames may have other labels than in an uncut run, and track ids start again.

    Raises:
        SettingError: `split_minutes` is not positive, or another batch is running in the folder.
        RtsegError: the folder cannot be used, or the cluster cannot be reached.
    """
    if split_minutes is not None and not split_minutes > 0:
        raise SettingError(f"`split_minutes`: found {split_minutes:g}; allowed: more than 0")
    storage = open_storage(folder)
    lock = None
    if isinstance(storage, FolderStorage):
        lock = try_lock(storage.folder / RESULTS)
        if lock is None:
            raise SettingError(f"{folder}: another batch is at work in this folder; wait for it")
        _clean(storage.folder)
    try:
        left, done = pending(tasks, storage)
        results = {result.source: result for result in done}
        ordered: tuple[TaskResult, ...] = ()
        try:
            _collect(
                _results(left, runner, storage, split_minutes=split_minutes), results, on_result
            )
        finally:
            ordered = (*_ordered(tasks, results), *map(_unusable, bad))
            storage.write(RESULTS, table(ordered))
        return BatchReport(results=ordered, skipped=len(done))
    finally:
        if lock is not None:
            release_lock(lock)


def _collect(
    coming: Iterable[TaskResult], results: dict[str, TaskResult], on_result: OnResult | None
) -> None:
    """Collect results by input as they arrive."""
    for result in coming:
        results[result.source] = result
        if on_result is not None:
            on_result(result)


def _ordered(tasks: Sequence[BatchTask], results: dict[str, TaskResult]) -> tuple[TaskResult, ...]:
    return tuple(results.get(task.source) or left_over(task) for task in tasks)


def _results(
    tasks: Sequence[BatchTask],
    runner: Runner,
    storage: Storage,
    *,
    split_minutes: float | None,
) -> Iterator[TaskResult]:
    """Yield one result per task; cut inputs come last, once their pieces are joined."""
    cut_tasks: list[BatchTask] = []
    if split_minutes is not None:
        from rtseg.batch.cutting import cut

        for task in tasks:
            pieces = cut(task, minutes=split_minutes)
            if pieces:
                cut_tasks.append(replace(task, pieces=pieces))
    is_cut = {task.name for task in cut_tasks}
    every_piece = [task.of_piece(piece) for task in cut_tasks for piece in task.pieces]
    missing, _ = pending(every_piece, storage)
    whole = [task for task in tasks if task.name not in is_cut]
    # pieces first, so that the longest work starts first
    failed: dict[str, TaskResult] = {}
    pieces_left = {task.name: task for task in missing}
    with closing(runner.results([*missing, *whole])) as coming:  # type: ignore[type-var]
        for result in coming:
            if result.name not in pieces_left:
                yield result
            elif result.status != "done":
                failed.setdefault(Path(result.name).parent.name, result)
    for task in cut_tasks:
        if task.name in failed:
            yield replace(failed[task.name], name=task.name)
    joining = [task for task in cut_tasks if task.name not in failed]
    with closing(runner.results(joining)) as coming:  # type: ignore[type-var]
        yield from coming


def _clean(folder: Path) -> None:
    """Remove what killed workers left behind; the lock ensures that nobody is working here."""
    for path in (folder / RECORDS_FOLDER).glob(f"{WORK}*"):
        remove_folder(path)


def _unusable(item: BadInput) -> TaskResult:
    return TaskResult(
        source=item.origin,
        name="",
        status="failed",
        exit_code=3,
        message=item.message,
        attempts=0,
    )
