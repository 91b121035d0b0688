"""One input and the files that it becomes: what a runner is given."""

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
"""What a file holds."""


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """The settings of every task of a batch.

    Attributes:
        pictures, labels, records, coco: which files each input becomes: a video of the view, label
            ids in a lossless video, one JSON line per frame, COCO annotations.
        numbered: write the pictures as numbered files in a folder, not as a video.
        alpha: the classes whose soft mask is written in the place of the view.
        alpha_bits: bits per pixel of the soft mask.
        effects: changes to the picture before the view is drawn (`NAME=VALUE`).
        overlap: decode, infer and encode concurrently.
        view, read, reconnect, encode, model, faces: as for `open_run`; `model.threads` is the
            number for one task.

    Raises:
        SettingError: there is no output, or one that needs pictures has none.
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
            raise SettingError("`alpha`: takes the place of pictures, and none are asked for")
        if self.numbered and not self.pictures:
            raise SettingError("`frames`: are numbered pictures, and none are asked for")

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What each input's files hold."""
        asked: dict[Kind, bool] = {
            "pictures": self.pictures,
            "labels": self.labels,
            "records": self.records,
            "coco": self.coco,
        }
        return tuple(kind for kind, is_asked in asked.items() if is_asked)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A part of a long input.

    Attributes:
        number: its place, counted from 0.
        start, end: in seconds, as in `ReadSettings`; None is the input's own.
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
        name: the name of its files, without a suffix.
        settings: the batch's.
        folders: kinds of files that go to folders of their own.
        piece: which part of the input is meant; None is all of it.
        pieces: the pieces that are to be joined, if there are any.
    """

    source: str
    folder: str
    name: str
    settings: BatchSettings
    folders: Mapping[Kind, str] = field(default_factory=dict)
    piece: Piece | None = None
    pieces: tuple[Piece, ...] = ()

    def of_piece(self, piece: Piece) -> BatchTask:
        """The task of one piece."""
        name = f"{PIECES_FOLDER}/{self.name}/{piece.number:04d}"
        return replace(self, name=name, piece=piece, pieces=())

    @property
    def files(self) -> dict[Kind, str]:
        """The name of each file in its folder; of numbered pictures, the folder that they fill."""
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
        """Whether labels need a name that no video of the view has."""
        return self.folders.get("labels", self.folder) == self.folders.get("pictures", self.folder)

    def place(self, kind: Kind, folder: str | Path) -> str:
        """What a sink is told to write, in a folder: a file, or a pattern of numbered pictures."""
        path = Path(folder) / self.files[kind]
        is_numbered = kind == "pictures" and self.settings.numbered
        return str(path / NUMBERED) if is_numbered else str(path)

    @property
    def places(self) -> dict[Kind, str]:
        """Everything that it writes, where it is to be in the end."""
        return {kind: self.place(kind, self.folders.get(kind, self.folder)) for kind in self.files}

    @property
    def read(self) -> ReadSettings:
        """How its input is read: a piece has bounds of its own."""
        read, piece = self.settings.read, self.piece
        return read if piece is None else replace(read, start=piece.start, end=piece.end)

    @property
    def encode(self) -> EncodeSettings:
        """How its pictures are encoded; sound and subtitles come when pieces are joined."""
        encode = self.settings.encode
        return encode if self.piece is None else replace(encode, audio="none", subtitles="none")

    @property
    def record(self) -> str:
        """The name of its record in the folder."""
        return f"{self.name}.record" if self.piece else f"{RECORDS_FOLDER}/{self.name}.json"
