"""Run one task, on whichever process or machine it is sent to."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.batch.earlier import earlier_result, fingerprint, input_state
from rtseg.batch.results import TaskResult, failed_by
from rtseg.batch.storage import Storage, fetch, open_storage, remove_folder
from rtseg.batch.tasks import RECORDS_FOLDER, BatchTask, Kind
from rtseg.errors import SinkError, TruncatedError
from rtseg.frames import Frame, Segmentation
from rtseg.settings import EncodeSettings, ModelSettings
from rtseg.sinks.callback import OnResult
from rtseg.sinks.disk_space import cannot_write

if TYPE_CHECKING:
    from rtseg.backends.base import Backend
    from rtseg.wiring import Run

WORK = "work-"
"""The prefix of tasks' working folders, inside the folder of records."""


@contextmanager
def open_task(
    task: BatchTask,
    *,
    backend: Backend,
    source: str | None = None,
    places: Mapping[Kind, str] | None = None,
    encode: EncodeSettings | None = None,
    on_result: OnResult | None = None,
) -> Iterator[Run]:
    """Open a task's source and sinks, as `open_run` does.

    Args:
        task: all of an input, or a piece of one.
        backend: an open backend, which stays open.
        source: what to open for its input; by default the input itself.
        places: the paths to write to; by default the final ones.
        encode: how to encode pictures; by default as the task says.
        on_result: called with each frame and its segmentation.

    Raises:
        RtsegError: as for `open_run`.
    """
    from rtseg.process import open_run

    settings = task.settings
    places = task.places if places is None else places
    with open_run(
        task.source if source is None else source,
        places.get("pictures"),
        labels=places.get("labels"),
        records=places.get("records"),
        coco=places.get("coco"),
        alpha=settings.alpha,
        alpha_bits=settings.alpha_bits,
        view=settings.view,
        effects=settings.effects,
        backend=backend,
        model=settings.model,
        faces=settings.faces,
        read=task.read,
        reconnect=settings.reconnect,
        encode=encode or task.encode,
        overlap=settings.overlap,
        on_result=on_result,
    ) as run:
        yield run


def run_task(task: BatchTask) -> TaskResult:
    """Segment one input and put its files in place; errors are returned as a result.

    The record is written last: once it exists, the task is done.

    Raises:
        MemoryError: the process is out of memory, and should be replaced.
    """
    try:
        storage = open_storage(task.folder)
        done = earlier_result(task, storage)
        return done if done is not None else _run(task, storage)
    except MemoryError:
        _backend.cache_clear()  # a worker that is kept starts again with all the memory it had
        raise
    except Exception as error:  # noqa: BLE001  a bug is printed; the other tasks continue
        return failed_by(task, error)


def _run(task: BatchTask, storage: Storage) -> TaskResult:
    state = input_state(task)  # as it was when it was opened
    work = _working_folder(storage)
    try:
        outcome = _join(task, storage, work) if task.pieces else _segment(task, work)
        local = {name: work / Path(name).name for name in task.files.values()}
        result = replace(
            outcome,
            checksums={name: _checksum(path) for name, path in local.items()},
            versions=_versions(),
        )
        for name, path in local.items():
            storage.put(path, name)
        record = {**result.plain(), "fingerprint": fingerprint(task), "input": state}
        storage.write(task.record, json.dumps(record).encode())
    finally:
        remove_folder(work)
    for piece in task.pieces:
        of_piece = task.of_piece(piece)
        for name in (*of_piece.files.values(), of_piece.record):
            storage.remove(name)
    return result


def _segment(task: BatchTask, work: Path) -> TaskResult:
    counter = _Counter()
    message, exit_code = "", 0
    local = replace(task, name=Path(task.name).name)
    with open_task(
        task,
        backend=_backend(task.settings.model),
        source=fetch(task.source, work),
        places={kind: local.place(kind, work) for kind in task.files},
        encode=replace(task.encode, overwrite=True),
        on_result=counter,
    ) as run:
        try:
            run.run()
        except TruncatedError as error:
            message, exit_code = str(error), error.exit_code
    return TaskResult(
        source=task.source,
        name=task.name,
        status="done",
        exit_code=exit_code,
        message=message,
        frames=counter.frames,
        seconds=round(counter.seconds, 3),
        faces=counter.most_faces,
        face_frames=counter.face_frames,
        pixels=counter.pixels(),
    )


def _join(task: BatchTask, storage: Storage, work: Path) -> TaskResult:
    """Join the pieces of a task, and combine their results."""
    from rtseg.batch.joining import join

    tasks = [task.of_piece(piece) for piece in task.pieces]
    results = [earlier_result(one, storage) for one in tasks]
    done = [result for result in results if result is not None]
    if len(done) < len(tasks):
        raise SinkError(
            f"{task.name}: {len(tasks) - len(done)} of its pieces are missing, or were made before "
            "the input was replaced; run the batch again"
        )
    parts: dict[Kind, list[Path]] = {kind: [] for kind in task.files}
    for number, one in enumerate(tasks):
        for kind, name in one.files.items():
            folder = work / "pieces" / f"{number:04d}"
            folder.mkdir(parents=True, exist_ok=True)
            parts[kind].append(storage.get(name, folder))
    message = join(task, fetch(task.source, work), parts, work)
    pixels: Counter[str] = Counter()
    for result in done:
        pixels.update(result.pixels)
    return TaskResult(
        source=task.source,
        name=task.name,
        status="done",
        exit_code=TruncatedError.exit_code if message else 0,
        message=message,
        frames=sum(result.frames for result in done),
        seconds=round(sum(result.seconds for result in done), 3),
        faces=max(result.faces for result in done),
        face_frames=sum(result.face_frames for result in done),
        pixels=dict(pixels),
    )


def _working_folder(storage: Storage) -> Path:
    """A working folder, on the results' own file system if possible, so that files can be moved."""
    scratch = storage.scratch()
    try:
        if scratch is None:
            return Path(tempfile.mkdtemp(prefix="rtseg-"))
        parent = scratch / RECORDS_FOLDER
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=WORK, dir=parent))
    except OSError as error:
        raise cannot_write(scratch or Path(tempfile.gettempdir()), error) from None


class _Counter:
    """Counts faces and pixels, frame by frame."""

    def __init__(self) -> None:
        from time import monotonic

        self._clock = monotonic
        self._began = monotonic()
        self._counts: np.ndarray[Any, Any] | None = None
        self._names: tuple[str, ...] = ()
        self.frames = self.most_faces = self.face_frames = 0
        self.seconds = 0.0

    def __call__(self, frame: Frame, segmentation: Segmentation) -> None:
        names = segmentation.label_set.names
        counts = np.bincount(segmentation.labels.ravel(), minlength=len(names))
        self._counts = counts if self._counts is None else self._counts + counts
        self._names = names
        self.frames += 1
        self.most_faces = max(self.most_faces, len(segmentation.faces))
        self.face_frames += bool(segmentation.faces)
        self.seconds = self._clock() - self._began

    def pixels(self) -> Mapping[str, int]:
        """The pixels of each class."""
        if self._counts is None:
            return {}
        return {name: int(n) for name, n in zip(self._names, self._counts, strict=False)}


@functools.lru_cache(maxsize=1)
def _backend(settings: ModelSettings) -> Backend:
    """The network for all tasks of a process; it lives as long as the process."""
    from rtseg.backends import open_backend_for

    return open_backend_for(settings)


def _checksum(path: Path) -> str:
    """SHA-256 of a file; for a folder, that of its files' names and checksums."""
    if path.is_dir():
        lines = (f"{file.name} {_checksum(file)}\n" for file in sorted(path.iterdir()))
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    import av

    from rtseg import __version__

    return {"rtseg": __version__, "av": av.__version__, "numpy": np.__version__}


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that happens.

    Otherwise the worker of a killed driver would continue with work that nobody needs. The thread
    only waits.
    """
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
