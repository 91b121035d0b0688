"""Join the pieces of a long video to the files that an uncut run would write.

The source is read once more for its clock, its sound and its other streams; its pictures are not
segmented again. Each frame takes the pieces' next encoded picture, labels and JSON line unchanged:
nothing is encoded twice, and every time is that of the uncut run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rtseg.batch.joined_data import JoinedCocoSink, JoinedLinesSink, JoinedPicturesSink
from rtseg.batch.joined_video import JoinedGreySink, JoinedVideoSink
from rtseg.batch.tasks import BatchTask, Kind
from rtseg.errors import TruncatedError
from rtseg.frames import Packet
from rtseg.sinks.base import Outcome, Sink


def join(task: BatchTask, source: str, parts: Mapping[Kind, Sequence[Path]], into: Path) -> str:
    """Write a task's files into a folder from the files of its pieces.

    Args:
        task: the task, with its settings.
        source: the input's location, as for `open_source`.
        parts: the pieces' files in order, by kind, as in `BatchTask.files`.
        into: the folder for the files, named as in `task.files`.

    Returns:
        The message about a truncated input; "" for a complete one.

    Raises:
        SinkError: the pieces do not belong to this input, or a file cannot be written.
        SourceError: the input cannot be read.
    """
    from rtseg.sinks.tee import TeeSink
    from rtseg.sources import open_source
    from rtseg.views import rendered_size

    settings = task.settings
    sink = TeeSink(
        _sink(task, kind, replace(task, name=Path(task.name).name).place(kind, into), parts[kind])
        for kind in task.files
    )
    message = ""
    with open_source(
        source,
        settings=settings.read,
        with_streams=settings.encode.kept_streams if settings.pictures else False,
        exact_colour=settings.pictures,
    ) as opened:
        info = opened.info
        width, height = rendered_size(settings.view, info.width, info.height)
        outcome: Outcome = "failed"
        try:
            sink.open(info, width=width, height=height)
            try:
                for item in opened:
                    if isinstance(item, Packet):
                        sink.copy(item)
                    else:
                        sink.write(item, _NONE, None)
            except TruncatedError as error:
                message = str(error)
            outcome = "finished"
        finally:
            sink.close(outcome)
    return message


_NONE: Any = None
"""A placeholder segmentation: the joined files' content comes from the pieces."""


def _sink(task: BatchTask, kind: Kind, output: str, files: Sequence[Path]) -> Sink:
    settings = task.settings
    if kind == "records":
        return JoinedLinesSink(output, files)
    if kind == "coco":
        return JoinedCocoSink(output, files)
    if kind == "pictures" and settings.numbered:
        return JoinedPicturesSink(output, files)
    if kind == "labels" or settings.alpha is not None:
        return JoinedGreySink(output, files)
    return JoinedVideoSink(output, files, settings=settings.encode.for_view(settings.view.view))
