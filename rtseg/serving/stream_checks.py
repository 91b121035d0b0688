"""Check a stream's definition before it runs: its source, its outputs, and what the model knows."""

from __future__ import annotations

from pathlib import Path

from rtseg.errors import RtsegError, SettingError
from rtseg.labels import LabelSet
from rtseg.media.urls import LIVE_SCHEMES, STANDARD_INPUT, local_path, scheme_of
from rtseg.outputs import check_folder, shown
from rtseg.serving.stream_definition import StreamDefinition, virtual_camera_of
from rtseg.serving.stream_outputs import data_place, picture_place, picture_sink
from rtseg.sources import is_camera, open_source
from rtseg.wiring import check_choices

_MAY_RETURN = LIVE_SCHEMES | {"http", "https"}
"""Schemes of sources that may be away now and be there later."""


def check_stream(definition: StreamDefinition, label_set: LabelSet) -> None:
    """Reject what cannot work, before a model is opened.

    Files, folders and patterns among the sources are opened and closed again. Cameras and network
    streams may come later, so they are not opened.

    Raises:
        SettingError: the source is missing or cannot be read; a class, an effect or a background is
            unknown or not supported by the model; an output does not go with the codec, quality or
            preset; or an output's folder cannot be created or written.
        SourceError: an effect's file cannot be read.
    """
    _check_source(definition)
    has_alpha = False
    for output in definition.outputs:
        if virtual_camera_of(output) is not None:
            continue
        place = picture_place(definition, output)
        try:
            sink = picture_sink(definition, place)
        except SettingError as error:
            raise SettingError(f"`outputs`: {shown(output)}: {error}") from None
        except RtsegError:  # this machine lacks something; the output is tried again later
            continue
        _check_place("outputs", place)
        has_alpha |= sink.wants_pixels and sink.has_alpha
    for kind, output in definition.data.items():
        _check_place(kind, data_place(definition, kind, output))
    check_choices(label_set, view=definition.view, effects=definition.effects, has_alpha=has_alpha)


def _check_source(definition: StreamDefinition) -> None:
    if callable(definition.source):
        return
    source = str(definition.source)
    if is_camera(source) or source == STANDARD_INPUT or scheme_of(source) in _MAY_RETURN:
        return
    path = local_path(source)
    if path is not None and path.exists() and not (path.is_file() or path.is_dir()):
        return  # a pipe can be read once only
    try:
        open_source(source, settings=definition.read, threads=1).close()
    except RtsegError as error:
        raise SettingError(f"`source`: {error}") from None


def _check_place(field: str, place: str) -> None:
    path = local_path(place)
    if path is None:
        return
    try:
        check_folder(Path(path).parent)
    except RtsegError as error:
        raise SettingError(f"`{field}`: {error}") from None
