"""Runs a batch to its end, and says what became of every input in one table."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from rtseg.batch.inputs import BadInput
from rtseg.batch.runners import Runner
from rtseg.batch.storage import FolderStorage, Storage, open_storage, remove_folder
from rtseg.batch.tasks import RECORDS_FOLDER, BatchTask, TaskResult
from rtseg.batch.worker import WORK, earlier_result
from rtseg.errors import SettingError
from rtseg.system.files import release_lock, try_lock

RESULTS = "results.parquet"

_WORST_FIRST = (1, 9, 7, 6, 5, 2, 3, 4)
"""Exit codes, by how much they ask to be looked at."""

OnResult = Callable[[TaskResult], object]


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """What became of a batch.

    Attributes:
        results: one a task, in the tasks' order, then one an input that could not be used.
        skipped: how many were done before.
    """

    results: tuple[TaskResult, ...]
    skipped: int

    @property
    def counts(self) -> Counter[str]:
        """How many ended in each way."""
        return Counter(result.status for result in self.results)

    @property
    def exit_code(self) -> int:
        """The worst of all."""
        codes = {result.exit_code for result in self.results}
        return next((code for code in _WORST_FIRST if code in codes), 0)


def pending(
    tasks: Sequence[BatchTask], storage: Storage
) -> tuple[list[BatchTask], list[TaskResult]]:
    """What is still to be done, and what was done before."""
    left, done = [], []
    for task in tasks:
        before = earlier_result(task, storage)
        if before is None:
            left.append(task)
        else:
            done.append(before)
    return left, done


def run_batch(
    tasks: Sequence[BatchTask],
    runner: Runner,
    *,
    folder: str,
    bad: Iterable[BadInput] = (),
    on_result: OnResult | None = None,
    split_minutes: float | None = None,
) -> BatchReport:
    """Do what is missing, and write `results.parquet` into the folder.

    Args:
        tasks: of `plan_tasks`.
        runner: where they run.
        folder: the tasks' own.
        bad: inputs that could not be used; they stand in the table too.
        on_result: called with each input's result as it comes.
        split_minutes: cut what is longer at its key frames into pieces of about this length, each
            a task of its own, and join what they become. A piece finds and follows its faces anew:
            its first frames may be labelled otherwise than in an uncut run, and track ids begin
            again.

    Raises:
        SettingError: `split_minutes` is not positive, or another batch is at work in the folder.
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
        results = {result.name: result for result in done}
        try:
            for result in _results(left, runner, storage, split_minutes=split_minutes):
                results[result.name] = result
                if on_result is not None:
                    on_result(result)
        finally:
            ordered = [results.get(task.name) or _left(task) for task in tasks]
            ordered += [_bad(item) for item in bad]
            storage.write(RESULTS, _table(ordered))
        return BatchReport(results=tuple(ordered), skipped=len(done))
    finally:
        if lock is not None:
            release_lock(lock)


def _results(
    tasks: Sequence[BatchTask],
    runner: Runner,
    storage: Storage,
    *,
    split_minutes: float | None,
) -> Iterator[TaskResult]:
    """One result a task; those that are cut come last, once their pieces are joined."""
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
    # pieces first: the longest work begins soonest
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
    """Take away what workers that were killed left; the lock says that nobody works here."""
    for path in (folder / RECORDS_FOLDER).glob(f"{WORK}*"):
        remove_folder(path)


def _left(task: BatchTask) -> TaskResult:
    return TaskResult(source=task.source, name=task.name, status="left", attempts=0)


def _bad(item: BadInput) -> TaskResult:
    return TaskResult(
        source=item.origin,
        name="",
        status="failed",
        exit_code=3,
        message=item.message,
        attempts=0,
    )


def _table(results: Sequence[TaskResult]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    rows = []
    for result in results:
        row = result.plain()
        row["input"] = row.pop("source")
        for name in ("pixels", "checksums", "versions"):
            row[name] = list(row[name].items())
        rows.append(row)
    schema = pa.schema(
        [
            ("input", pa.string()),
            ("name", pa.string()),
            ("status", pa.string()),
            ("exit_code", pa.int32()),
            ("message", pa.string()),
            ("frames", pa.int64()),
            ("seconds", pa.float64()),
            ("faces", pa.int32()),
            ("face_frames", pa.int64()),
            ("pixels", pa.map_(pa.string(), pa.int64())),
            ("checksums", pa.map_(pa.string(), pa.string())),
            ("versions", pa.map_(pa.string(), pa.string())),
            ("attempts", pa.int32()),
        ]
    )
    table = pa.Table.from_pylist(rows, schema=schema)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()


def read_results(folder: str) -> list[dict[str, object]]:
    """The rows of a batch's table; maps are dicts.

    Raises:
        SettingError: there is none.
    """
    from pyarrow import parquet

    data = open_storage(folder).read(RESULTS)
    if data is None:
        raise SettingError(f"{folder}: holds no {RESULTS}; no batch has run there")
    rows: list[dict[str, object]] = parquet.read_table(io.BytesIO(data)).to_pylist(
        maps_as_pydicts="strict"
    )
    return rows
