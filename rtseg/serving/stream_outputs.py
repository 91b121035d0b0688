"""The outputs of a served stream: recordings, network streams, a virtual camera, and data."""

from __future__ import annotations

import os
from pathlib import Path

from rtseg.destination import is_folder, video_destination
from rtseg.errors import SinkError
from rtseg.media.urls import local_path
from rtseg.outputs import shown
from rtseg.run_outputs import DataKind, data_destination, data_sink
from rtseg.serving.guarded_output import GuardedOutput
from rtseg.serving.stream_definition import StreamDefinition, is_sent, virtual_camera_of
from rtseg.sinks import open_sink
from rtseg.sinks.base import Sink
from rtseg.sinks.protocols import HLS_SUFFIX
from rtseg.sources.listing import named_files
from rtseg.system.files import unused_path


def guarded_outputs(definition: StreamDefinition) -> list[GuardedOutput]:
    """Make all outputs of a stream, closed; the failure of one does not affect the others."""
    return [
        *(_pictures(definition, output) for output in definition.outputs),
        *(_data(definition, kind, output) for kind, output in definition.data.items()),
    ]


def picture_place(definition: StreamDefinition, output: str) -> str:
    """The output, or in a folder the file named after the stream."""
    if not is_folder(output):
        return output
    return video_destination(output, source=definition.name, encode=definition.encode)


def picture_sink(definition: StreamDefinition, place: str) -> Sink:
    """Make the sink for a place as from `picture_place`, closed."""
    return open_sink(
        place,
        settings=definition.encode.for_view(definition.view.view),
        stream=definition.reconnect,
        threads=1,
        shared=True,
    )


def _pictures(definition: StreamDefinition, output: str) -> GuardedOutput:
    device = virtual_camera_of(output)

    def make() -> Sink:
        if device is not None:
            from rtseg.sinks.virtual_camera import VirtualCameraSink

            return VirtualCameraSink(device[0], settings=definition.virtual)
        place = picture_place(definition, output)
        if local_path(place) is not None and not place.endswith(HLS_SUFFIX):
            place = unused_output(place)
        return picture_sink(definition, place)

    return GuardedOutput(definition.name, shown(output), make, with_streams=is_sent(output))


def _data(definition: StreamDefinition, kind: DataKind, output: str) -> GuardedOutput:
    def make() -> Sink:
        place = data_place(definition, kind, output)
        return data_sink(kind, unused_output(place), overwrite=False)

    return GuardedOutput(definition.name, shown(output), make)


def data_place(definition: StreamDefinition, kind: DataKind, output: str) -> str:
    """The first destination of a stream's data; a file in a folder is named after the stream."""
    in_folder = any(map(is_folder, definition.outputs))
    return data_destination(kind, output, source=definition.name, in_folder=in_folder)


def unused_output(place: str) -> str:
    """An output's name, or the next numbered one if an earlier run has written there.

    `door.mkv` becomes `door-2.mkv`, a folder of pictures `masks` becomes `masks-2`, and a pattern
    `masks/%06d.png` becomes `masks/2-%06d.png`.

    Raises:
        SinkError: the folder that contains it cannot be created.
    """
    path = Path(place)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if "%" in path.name:
            pattern, number = path, 2
            while named_files(str(pattern)):
                pattern = path.with_name(f"{number}-{path.name}")
                number += 1
            return str(pattern)
        if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
            return place
    except OSError as error:
        raise SinkError(f"{path.parent}: cannot be created: {error.strerror}") from None
    return str(unused_path(path))
