"""Tasks: one input and its output files, as given to a runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rtseg.destination import (
    COCO_SUFFIX,
    LABELS_SUFFIX,
    NUMBERED,
    RECORDS_SUFFIX,
    container_for,
)
from rtseg.errors import SettingError
from rtseg.settings import (
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    StreamSettings,
    ViewSettings,
)
from rtseg.sinks.labels.alpha import AlphaBits

RECORDS_FOLDER = ".rtseg-batch"
"""Within the output folder: one record per finished task."""

PIECES_FOLDER = f"{RECORDS_FOLDER}/pieces"
"""Where the pieces of long inputs are kept until they are joined."""

Kind = Literal["pictures", "labels", "records", "coco"]
"""The content of a file."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """The settings of every task of a batch.

    Attributes:
        pictures, labels, records, coco: the outputs of each input: a video of the view, label ids
            in a lossless video, one JSON line per frame, COCO annotations.
        numbered: write the pictures as numbered files into a folder, instead of a video.
        alpha: classes whose soft mask is written instead of the view.
        alpha_bits: bits per pixel of the soft mask.
        effects: changes to the picture before the view is drawn (`NAME=VALUE`).
        overlap: decode, infer and encode concurrently.
        view, read, reconnect, encode, model, faces: as for `open_run`; `model.threads` is the
            number of threads per task.

    Raises:
        SettingError: there is no output, or an output that needs pictures has none.
    """

    pictures: bool = True
    labels: bool = False
    records: bool = False
    coco: bool = False
    numbered: bool = False
    alpha: tuple[str, ...] | None = None
    alpha_bits: AlphaBits = 8
    effects: tuple[str, ...] = ()
    overlap: bool = True
    view: ViewSettings = field(default_factory=ViewSettings)
    read: ReadSettings = field(default_factory=ReadSettings)
    reconnect: StreamSettings = field(default_factory=StreamSettings)
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    faces: FaceSettings = field(default_factory=FaceSettings)

    def __post_init__(self) -> None:
        if not (self.pictures or self.labels or self.records or self.coco):
            raise SettingError("no output; ask for pictures, labels, records or coco")
        if self.alpha is not None and not self.pictures:
            raise SettingError("`alpha`: replaces the pictures, but pictures are turned off")
        if self.numbered and not self.pictures:
            raise SettingError("`frames`: writes numbered pictures, but pictures are turned off")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of content of each input's files."""
        requested: dict[Kind, bool] = {
            "pictures": self.pictures,
            "labels": self.labels,
            "records": self.records,
            "coco": self.coco,
        }
        return tuple(kind for kind, is_requested in requested.items() if is_requested)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a long input.

    Attributes:
        number: its number, counted from 0.
        start, end: in seconds, as in `ReadSettings`; None for the input's own start or end.
    """

    number: int
    start: float | None
    end: float | None


@dataclass(frozen=True, kw_only=True)
class BatchTask:
    """One input, one piece of an input, or the joining of its pieces.

    Attributes:
        source: a path or a URL.
        folder: the folder for its files: a path that every worker can access, or a URL for fsspec.
        name: the name of its files, without suffix.
        settings: the batch's settings.
        folders: the kinds of files that go into folders of their own.
        piece: the part of the input to process; None for all of it.
        pieces: the pieces to join, if any.
    """

    source: str
    folder: str
    name: str
    settings: BatchSettings
    folders: Mapping[Kind, str] = field(default_factory=dict)
    piece: Piece | None = None
    pieces: tuple[Piece, ...] = ()

    def of_piece(self, piece: Piece) -> BatchTask:
        """Make the task of one piece."""
        name = f"{PIECES_FOLDER}/{self.name}/{piece.number:04d}"
        return replace(self, name=name, piece=piece, pieces=())

    @property
    def files(self) -> dict[Kind, str]:
        """The name of each file in its folder; for numbered pictures, the name of their folder."""
        settings = self.settings
        names: dict[Kind, str] = {
            "pictures": self.name + ("" if settings.numbered else self._container()),
            "labels": self.name + (LABELS_SUFFIX if self._is_beside_pictures() else ".mkv"),
            "records": self.name + RECORDS_SUFFIX,
            "coco": self.name + COCO_SUFFIX,
        }
        return {kind: names[kind] for kind in settings.kinds}

    def _container(self) -> str:
        is_lossless = self.settings.alpha is not None
        return container_for(self.source, self.settings.encode, is_lossless=is_lossless)

    def _is_beside_pictures(self) -> bool:
        """Whether labels need a name that differs from that of a video of the view."""
        return self.folders.get("labels", self.folder) == self.folders.get("pictures", self.folder)

    def place(self, kind: Kind, folder: str | Path) -> str:
        """What to pass to a sink, in a folder: a file, or a pattern of numbered pictures."""
        path = Path(folder) / self.files[kind]
        is_numbered = kind == "pictures" and self.settings.numbered
        return str(path / NUMBERED) if is_numbered else str(path)

    @property
    def places(self) -> dict[Kind, str]:
        """The final paths of everything that it writes."""
        return {kind: self.place(kind, self.folders.get(kind, self.folder)) for kind in self.files}

    @property
    def read(self) -> ReadSettings:
        """How to read its input: a piece has its own bounds."""
        read, piece = self.settings.read, self.piece
        return read if piece is None else replace(read, start=piece.start, end=piece.end)

    @property
    def encode(self) -> EncodeSettings:
        """How to encode its pictures; sound and subtitles are added when pieces are joined."""
        encode = self.settings.encode
        return encode if self.piece is None else replace(encode, audio="none", subtitles="none")

    @property
    def record(self) -> str:
        """The name of its record in the folder."""
        return f"{self.name}.record" if self.piece else f"{RECORDS_FOLDER}/{self.name}.json"
