"""One input and the files that it becomes: what is sent to a worker, and what comes back."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from rtseg.errors import SettingError
from rtseg.media.urls import display_name, local_path, url_scheme
from rtseg.settings import (
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    ViewSettings,
)

RECORDS_FOLDER = ".rtseg-batch"
"""Within the output folder: one record a finished task."""

PIECES_FOLDER = f"{RECORDS_FOLDER}/pieces"
"""Where the pieces of long inputs lie until they are joined."""

Status = Literal["done", "failed", "given up", "left"]

_DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What every task of a batch is told.

    Attributes:
        pictures, labels, records: which files each input becomes: a video of the view, label ids
            in a lossless video, one JSON line a frame.
        view, read, encode, model, faces: as for `process_video`; `model.threads` is one task's.
    """

    pictures: bool = True
    labels: bool = False
    records: bool = False
    view: ViewSettings = field(default_factory=ViewSettings)
    read: ReadSettings = field(default_factory=ReadSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    faces: FaceSettings = field(default_factory=FaceSettings)

    def __post_init__(self) -> None:
        if not (self.pictures or self.labels or self.records):
            raise SettingError("no output; ask for pictures, labels or records")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a long input.

    Attributes:
        number: which, from 0.
        start, end: in seconds, as `ReadSettings` has them; None is the input's own.
    """

    number: int
    start: float | None
    end: float | None


@dataclass(frozen=True, kw_only=True)
class BatchTask:
    """One input, a piece of one, or the joining of its pieces.

    Attributes:
        source: a path or a URL.
        folder: where its files go: a path that every worker sees, or a URL of fsspec.
        name: of its files, without a suffix.
        settings: the batch's.
        piece: which part of the input is meant; None is all of it.
        pieces: what the input was cut into, where they are to be joined.
    """

    source: str
    folder: str
    name: str
    settings: BatchSettings
    piece: Piece | None = None
    pieces: tuple[Piece, ...] = ()

    def of_piece(self, piece: Piece) -> BatchTask:
        """The task of one piece."""
        name = f"{PIECES_FOLDER}/{self.name}/{piece.number:04d}"
        return replace(self, name=name, piece=piece, pieces=())

    @property
    def files(self) -> dict[str, str]:
        """The names of its files in the folder, by what they hold."""
        names: dict[str, str] = {}
        if self.settings.pictures:
            names["pictures"] = self.name + _video_suffix(self.source, self.settings.encode)
        if self.settings.labels:
            names["labels"] = f"{self.name}.labels.mkv"
        if self.settings.records:
            names["records"] = f"{self.name}.jsonl"
        return names

    @property
    def record(self) -> str:
        """The name of its record in the folder."""
        return f"{self.name}.json" if self.piece else f"{RECORDS_FOLDER}/{self.name}.json"


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What became of a task: a row of `results.parquet`.

    Attributes:
        source, name: of the task.
        status: `done`, `failed` (by an error of its own), `given up` (its worker died every time)
            or `left` (the batch ended before).
        exit_code, message: as the command line has them; a truncated input is done with code 4.
        frames, seconds: written, and how long that took.
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

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def plan_tasks(sources: Sequence[str], *, folder: str, settings: BatchSettings) -> list[BatchTask]:
    """A task an input; the same inputs give the same names, in whichever order they come.

    Inputs of the same stem get a few digits of their own path's hash.

    Raises:
        SettingError: an output would be an input, or the folder is a file.
    """
    path = local_path(folder)
    if path is not None and path.exists() and not path.is_dir():
        raise SettingError(f"`output` {folder}: is a file; a batch needs a folder")
    if path is None and url_scheme(folder) is None:
        raise SettingError(f"`output` {folder}: is neither a folder nor a URL")
    stems = Counter(_stem(source).casefold() for source in sources)
    tasks = []
    for source in sources:
        stem = _stem(source)
        if stems[stem.casefold()] > 1:
            stem = f"{stem}-{hashlib.sha256(source.encode()).hexdigest()[:_DIGITS]}"
        tasks.append(BatchTask(source=source, folder=folder, name=stem, settings=settings))
    if path is not None:
        from rtseg.outputs import check_outputs

        check_outputs(
            list(sources),
            {
                f"{task.name} ({kind})": str(path / name)
                for task in tasks
                for kind, name in task.files.items()
            },
        )
    return tasks


def _stem(source: str) -> str:
    return Path(display_name(source)).stem or "video"


def _video_suffix(source: str, encode: EncodeSettings) -> str:
    from rtseg.sinks.codecs import CODECS, CONTAINERS

    suffix = Path(display_name(source)).suffix.lower()
    allowed = CONTAINERS if encode.codec == "auto" else CODECS[encode.codec].suffixes
    return suffix if suffix in allowed else ".mkv"
