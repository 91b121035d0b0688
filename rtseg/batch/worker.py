"""Does one task: runs on whichever process or machine it is sent to."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.batch.storage import Storage, fetch, open_storage, remove_folder
from rtseg.batch.tasks import RECORDS_FOLDER, BatchTask, TaskResult
from rtseg.errors import RtsegError, SinkError, TruncatedError
from rtseg.frames import Frame, Segmentation
from rtseg.settings import ModelSettings

if TYPE_CHECKING:
    from rtseg.backends.base import Backend

WORK = "work-"
"""How the working folders of tasks begin, within the records' folder."""


def fingerprint(task: BatchTask) -> str:
    """What a result depends on, as a hash: the input's name, the settings and the version."""
    from rtseg import __version__

    described = f"{__version__}\n{task.source}\n{task.settings!r}"
    if task.piece is not None:
        described += f"\n{task.piece!r}"
    return hashlib.sha256(described.encode()).hexdigest()


def earlier_result(task: BatchTask, storage: Storage) -> TaskResult | None:
    """What an earlier run made of the same task, where all of it is still there."""
    data = storage.read(task.record)
    if data is None:
        return None
    try:
        record = json.loads(data)
        if record.pop("fingerprint") != fingerprint(task):
            return None
        result = TaskResult(**record)
    except (ValueError, TypeError, KeyError):
        return None
    return result if all(storage.exists(name) for name in task.files.values()) else None


def run_task(task: BatchTask) -> TaskResult:
    """Segment one input and put its files in their place; its errors come back as a result.

    The record is written last: where it lies, the task is done.
    """
    try:
        storage = open_storage(task.folder)
        done = earlier_result(task, storage)
        return done if done is not None else _run(task, storage)
    except RtsegError as error:
        return _failed(task, error.exit_code, str(error))
    except Exception as error:  # noqa: BLE001  a bug: shown whole, and the other tasks go on
        traceback.print_exc()
        return _failed(task, 1, f"a bug: {type(error).__name__}: {error}; please report it")


def _failed(task: BatchTask, exit_code: int, message: str) -> TaskResult:
    return TaskResult(
        source=task.source,
        name=task.name,
        status="failed",
        exit_code=exit_code,
        message=" ".join(message.split()),
    )


def _run(task: BatchTask, storage: Storage) -> TaskResult:
    work = _working_folder(storage)
    try:
        made = _join(task, storage, work) if task.pieces else _segment(task, work)
        local = {name: work / Path(name).name for name in task.files.values()}
        result = replace(
            made,
            checksums={name: _checksum(path) for name, path in local.items()},
            versions=_versions(),
        )
        for name, path in local.items():
            storage.put(path, name)
        record = {**result.plain(), "fingerprint": fingerprint(task)}
        storage.write(task.record, json.dumps(record).encode())
    finally:
        remove_folder(work)
    for piece in task.pieces:
        of_piece = task.of_piece(piece)
        for name in (*of_piece.files.values(), of_piece.record):
            storage.remove(name)
    return result


def _segment(task: BatchTask, work: Path) -> TaskResult:
    from rtseg.process import process_video

    settings, piece = task.settings, task.piece
    encode, read = settings.encode, settings.read
    if piece is not None:
        # sound and the rest are the whole's, and come when the pieces are joined
        encode = replace(encode, audio="none", subtitles="none")
        read = replace(read, start=piece.start, end=piece.end)
    counter = _Counter()
    message, exit_code = "", 0
    places = {kind: str(work / Path(name).name) for kind, name in task.files.items()}
    try:
        process_video(
            fetch(task.source, work),
            places.get("pictures"),
            labels=places.get("labels"),
            records=places.get("records"),
            view=settings.view,
            backend=_backend(settings.model),
            model=settings.model,
            faces=settings.faces,
            read=read,
            encode=replace(encode, overwrite=True),
            on_frame=counter,
        )
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
    """The whole's result, made of its pieces'."""
    from rtseg.batch.joining import join

    tasks = [task.of_piece(piece) for piece in task.pieces]
    results = [earlier_result(one, storage) for one in tasks]
    done = [result for result in results if result is not None]
    if len(done) < len(tasks):
        raise SinkError(f"{task.name}: {len(tasks) - len(done)} of its pieces are missing")
    parts: dict[str, list[Path]] = {kind: [] for kind in task.files}
    for one in tasks:
        for kind, name in one.files.items():
            folder = work / "pieces" / f"{one.piece.number:04d}"  # type: ignore[union-attr]
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
    """On the results' own file system where possible, so that files are moved, not copied."""
    scratch = storage.scratch()
    try:
        if scratch is None:
            return Path(tempfile.mkdtemp(prefix="rtseg-"))
        parent = scratch / RECORDS_FOLDER
        parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=WORK, dir=parent))
    except OSError as error:
        raise SinkError(f"{scratch}: cannot be written: {error.strerror}") from None


class _Counter:
    """Counts what a run sees, frame by frame."""

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
        """Of each class."""
        if self._counts is None:
            return {}
        return {name: int(n) for name, n in zip(self._names, self._counts, strict=False)}


@functools.lru_cache(maxsize=1)
def _backend(settings: ModelSettings) -> Backend:
    """One network for all tasks of a process; it lives as long as the process."""
    from rtseg.backends import open_backend_for

    return open_backend_for(settings)


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    import av

    from rtseg import __version__

    return {"rtseg": __version__, "av": av.__version__, "numpy": np.__version__}


def end_with_parent() -> None:
    """End this process when the one that started it ends, however that happens.

    A worker of a killed driver would go on writing what nobody waits for. The thread only waits.
    """
    from multiprocessing import connection, parent_process

    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
