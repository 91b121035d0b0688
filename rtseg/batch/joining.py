"""Joins the pieces of a long video to the files that an uncut run would write.

The source is read once more, for its clock, its sound and its other streams; its pictures are not
segmented again. Each frame takes the next encoded picture, label picture and line of the pieces, as
they are: nothing is encoded twice, and every time is the uncut run's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.batch.tasks import BatchTask
from rtseg.errors import SinkError, TruncatedError
from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.labels.video import MILLISECOND, LabelsVideoSink
from rtseg.sinks.partial_file import PartialFile
from rtseg.sinks.video import VideoSink

if TYPE_CHECKING:
    from av.container.output import OutputContainer
    from av.video.stream import VideoStream


def join(task: BatchTask, source: str, parts: Mapping[str, Sequence[Path]], into: Path) -> str:
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
    makers: dict[str, Callable[[str, Sequence[Path]], Sink]] = {
        "pictures": lambda output, files: JoinedVideoSink(
            output, files, settings=settings.encode.for_view(settings.view.view)
        ),
        "labels": JoinedLabelsSink,
        "records": JoinedLinesSink,
    }
    sink = TeeSink(
        makers[kind](str(into / Path(name).name), parts[kind]) for kind, name in task.files.items()
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
"""What joined files hold of a segmentation is in the pieces."""


def _next(items: Iterator[Any], output: str) -> Any:
    item = next(items, None)
    if item is None:
        raise SinkError(f"{output}: its pieces hold fewer frames than the input; start anew")
    return item


class _PiecePackets:
    """The video packets of several files, one after the other."""

    def __init__(self, files: Sequence[Path], output: str) -> None:
        import av

        self._output = output
        self._stack = ExitStack()
        self._containers = [self._stack.enter_context(av.open(f"file:{file}")) for file in files]
        self.template: Any = self._containers[0].streams.video[0]
        self.metadata = dict(self._containers[0].metadata)
        ways = {self._way(container) for container in self._containers}
        if len(ways) > 1:
            self.close()
            raise SinkError(f"{output}: its pieces were not encoded alike; start anew")

    @staticmethod
    def _way(container: Any) -> tuple[Any, ...]:
        context = container.streams.video[0].codec_context
        return context.name, context.width, context.height, context.pix_fmt, context.extradata

    def __iter__(self) -> Iterator[Any]:
        for container in self._containers:
            for packet in container.demux(container.streams.video[0]):
                if packet.size:
                    yield packet

    def close(self) -> None:
        self._stack.close()


class JoinedVideoSink(VideoSink):
    """As `VideoSink`, with pictures that are encoded already.

    Args:
        output: the file's path.
        files: the pieces, in their order, of the output's own container.
        settings: as the pieces were encoded.
    """

    wants_pixels = False

    def __init__(self, output: str, files: Sequence[Path], *, settings: Any) -> None:
        super().__init__(output, settings=settings)
        self._pieces = _PiecePackets(files, output)
        self._packets = iter(self._pieces)

    def _add_video(self, container: OutputContainer, *, alpha: bool) -> VideoStream:
        self._time_base = Fraction(1, self._info.time_base.denominator)
        stream: Any = container.add_stream_from_template(self._pieces.template)
        stream.time_base = self._time_base
        made: VideoStream = stream
        return made

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the next picture at this frame's time."""
        self._part.check()
        if self._frame_count == 0:
            self._begin(frame, transparent=False)
        packet = _next(self._packets, self._name)
        packet.pts = packet.dts = self._place(frame)
        packet.time_base = self._time_base
        packet.duration = self._duration(frame)
        packet.stream = self._video
        self._guarded(lambda: self._opened().mux(packet))
        self._frame_count += 1

    def _flush(self) -> None:
        self._others.flush()

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        try:
            if outcome == "finished" and next(self._packets, None) is not None:
                raise SinkError(f"{self._name}: its pieces hold more frames than the input")
        except BaseException:
            super().close("failed")
            raise
        else:
            super().close(outcome)
        finally:
            self._pieces.close()


class JoinedLabelsSink(LabelsVideoSink):
    """As `LabelsVideoSink`, with pictures of labels that are encoded already."""

    def __init__(self, output: str, files: Sequence[Path]) -> None:
        super().__init__(output, overwrite=True)
        self._pieces = _PiecePackets(files, output)
        self._packets = iter(self._pieces)

    def _add_stream(self, info: SourceInfo) -> Any:
        self._container.metadata.update(self._pieces.metadata)
        stream = self._container.add_stream_from_template(self._pieces.template)
        stream.time_base = MILLISECOND
        return stream

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the next labels at this frame's time."""
        self._part.check()
        packet = _next(self._packets, self._output)
        packet.pts = packet.dts = self._place(frame)
        packet.time_base = MILLISECOND
        packet.stream = self._stream
        self._mux(lambda: packet)
        self._frames += 1

    def _rest(self) -> Any:
        return []

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        try:
            super().close(outcome)
        finally:
            self._pieces.close()


class JoinedLinesSink(Sink):
    """The pieces' lines, with the whole's numbers and times."""

    wants_pixels = False

    def __init__(self, output: str, files: Sequence[Path]) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=True)
        self._lines = self._read(files)
        self._file: Any = None
        self._frames = 0

    def _read(self, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
        for number, file in enumerate(files):
            with file.open(encoding="utf-8") as lines:
                for index, line in enumerate(lines):
                    if index or not number:  # the header is the first piece's
                        yield json.loads(line)

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file."""
        self._part.claim(info.read_files)
        self._file = self._part.path.open("w", encoding="utf-8", newline="\n")

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the next line as this frame's."""
        self._part.check()
        if self._frames == 0:
            self._write(_next(self._lines, self._output))
        line = _next(self._lines, self._output)
        line |= {
            "index": frame.index,
            "pts": frame.pts,
            "seconds": float(frame.pts_seconds),
        }
        self._write(line)
        self._frames += 1

    def _write(self, line: dict[str, Any]) -> None:
        from rtseg.sinks.disk_space import cannot_write

        try:
            self._file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        if self._file is not None:
            self._file.close()
        self._part.settle(outcome, frames=self._frames)
