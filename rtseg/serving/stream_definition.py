"""The definition of a served stream: its source, its view, its outputs."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rtseg.destination import is_folder
from rtseg.errors import SettingError
from rtseg.media.urls import url_scheme
from rtseg.outputs import STANDARD_STREAM
from rtseg.run_outputs import DataKind, data_sink
from rtseg.settings import (
    CameraSettings,
    EncodeSettings,
    FaceSettings,
    ReadSettings,
    StreamSettings,
    ViewSettings,
    VirtualCameraSettings,
)
from rtseg.sources.base import Source

VIRTUAL_CAMERA = "virtual-camera"
"""An output with this name, or `virtual-camera:DEVICE`, is a virtual camera."""

PATIENT = StreamSettings(max_reconnects=1_000_000)
"""A server keeps trying."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class StreamDefinition:
    """The definition of one stream. Two equal definitions are the same stream.

    Attributes:
        name: letters, digits, `_`, `.` and `-`; it is part of the page's addresses.
        source: as for `open_source`, played in real time; or a function that opens a source.
        outputs: as for `open_sink`, or `virtual-camera` or `virtual-camera:DEVICE`. An existing
            file is not replaced: the next one is numbered.
        labels, records, coco: outputs of data as for `open_run`, numbered in the same way.
        view, effects: what to draw.
        faces, read, camera, reconnect, encode, virtual: as for `open_run`.

    Raises:
        SettingError: a name or an output is not allowed.
    """

    name: str
    source: str | int | Callable[[], Source]
    outputs: tuple[str, ...] = ()
    labels: str | None = None
    records: str | None = None
    coco: str | None = None
    view: ViewSettings = field(default_factory=ViewSettings)
    effects: tuple[str, ...] = ()
    faces: FaceSettings = field(default_factory=FaceSettings)
    read: ReadSettings = field(default_factory=ReadSettings)
    camera: CameraSettings = field(default_factory=CameraSettings)
    reconnect: StreamSettings = PATIENT
    encode: EncodeSettings = field(default_factory=EncodeSettings)
    virtual: VirtualCameraSettings = field(default_factory=VirtualCameraSettings)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SettingError(
                f"`name`: {self.name[:80]!r} is not allowed; letters, digits, _, . and - are, the "
                "first a letter or digit, at most 64"
            )
        if self.encode.overwrite:
            raise SettingError("`overwrite`: a server replaces no file; the next one is numbered")
        for output in self.outputs:
            check_output(output)
        if len(set(self.outputs)) < len(self.outputs):
            raise SettingError("`outputs`: one is given twice; give each once")
        for kind, place in self.data.items():
            if not is_folder(place):
                data_sink(kind, place, overwrite=False)

    @property
    def data(self) -> dict[DataKind, str]:
        """Its data outputs."""
        places: dict[DataKind, str | None] = {
            "labels": self.labels,
            "records": self.records,
            "coco": self.coco,
        }
        return {kind: place for kind, place in places.items() if place is not None}

    @property
    def shown_source(self) -> str:
        """The source's name for people, without secrets."""
        from rtseg.outputs import shown

        if callable(self.source):
            return getattr(self.source, "__name__", "a source")
        return shown(str(self.source))


def check_output(output: str) -> None:
    """Raise SettingError if no sink writes such an output."""
    from rtseg.sinks.registry import find_factory

    if output == STANDARD_STREAM:
        raise SettingError("`outputs`: standard output cannot hold streams; give a file or a URL")
    if virtual_camera_of(output) is None and not is_folder(output):
        find_factory(output)


def virtual_camera_of(output: str) -> tuple[str | None] | None:
    """The device of `virtual-camera:DEVICE`, in a tuple; None for any other output."""
    name, _, device = output.partition(":")
    return (device or None,) if name == VIRTUAL_CAMERA else None


def is_sent(output: str) -> bool:
    """Whether an output is sent over the network, and includes the source's sound."""
    return url_scheme(output) is not None and virtual_camera_of(output) is None


def plain(definition: StreamDefinition) -> dict[str, Any]:
    """The JSON description for the page."""
    from rtseg.media.urls import display_name

    return {
        "name": definition.name,
        "source": definition.shown_source,
        "outputs": [
            display_name(o) if is_sent(o) else o
            for o in (*definition.outputs, *definition.data.values())
        ],
    }
