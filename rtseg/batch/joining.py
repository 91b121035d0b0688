"""Joins the pieces of a long video to the files that an uncut run would write.

The source is read once more, for its clock, its sound and its other streams; its pictures are not
segmented again. Each frame takes the next encoded picture, label picture and line of the pieces, as
they are: nothing is encoded twice, and every time is the uncut run's.
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
    """Write a task's files into a folder, from the files of its pieces.

    Args:
        task: with its settings.
        source: what to open for its input.
        parts: the pieces' files in their order, by kind, as `BatchTask.files` has them.
        into: where the files go, under the names of `task.files`.

    Returns:
        The message of an input that ends in the middle; "" of a whole one.

    Raises:
        SinkError: the pieces are not those of this input, or nothing can be written.
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
"""A frame's segmentation: what joined files hold of it is in the pieces."""


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
