"""Join the encoded videos of several pieces without encoding them again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtseg.errors import SinkError
from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome
from rtseg.sinks.labels.grey_file import MILLISECOND, GreyVideoFile
from rtseg.sinks.video_file import VideoFile

if TYPE_CHECKING:
    from av.container.output import OutputContainer
    from av.video.stream import VideoStream


def next_of(items: Iterator[Any], output: str) -> Any:
    """Return the next item of the pieces.

    Raises:
        SinkError: there is none.
    """
    item = next(items, None)
    if item is None:
        raise SinkError(f"{output}: its pieces hold fewer frames than the input; start over")
    return item


def close_used_up(
    close: Callable[[Outcome], None], outcome: Outcome, items: Iterator[Any], output: str
) -> None:
    """Close a sink, but as failed if anything of the pieces is left over.

    Raises:
        SinkError: the pieces hold more than the input.
    """
    try:
        is_over = outcome != "finished" or next(items, None) is None
    except BaseException:
        close("failed")
        raise
    close(outcome if is_over else "failed")
    if not is_over:
        raise SinkError(f"{output}: its pieces hold more frames than the input; start over")


class _PiecePackets:
    """Yield the video packets of several files, one file after the other."""

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
            raise SinkError(f"{output}: its pieces were not encoded alike; start over")

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


class JoinedVideoSink(VideoFile):
    """A video of pictures that are already encoded, with the source's other streams.

    Args:
        output: the file's path.
        files: the pieces' files in order, in the output's container.
        settings: the settings with which the pieces were encoded.
    """

    wants_pixels = False

    def __init__(self, output: str, files: Sequence[Path], *, settings: Any) -> None:
        super().__init__(output, settings=settings)
        self._pieces = _PiecePackets(files, output)
        self._packets = iter(self._pieces)

    def _add_video(self, container: OutputContainer) -> VideoStream:
        stream: Any = container.add_stream_from_template(self._pieces.template)
        stream.time_base = self._time_base
        video_stream: VideoStream = stream
        return video_stream

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write the next picture at this frame's time."""
        self._part.check()
        if self._frame_count == 0:
            self._begin(frame)
        packet = next_of(self._packets, self._name)
        packet.pts = packet.dts = self._place(frame)
        packet.time_base = self._time_base
        packet.duration = self._duration(frame)
        packet.stream = self._video
        self._guarded(lambda: self._opened().mux(packet))
        self._frame_count += 1

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        try:
            close_used_up(super().close, outcome, self._packets, self._name)
        finally:
            self._pieces.close()


class JoinedGreySink(GreyVideoFile):
    """Labels or soft masks that are already encoded."""

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
        """Write the next plane at this frame's time."""
        self._part.check()
        packet = next_of(self._packets, self._output)
        packet.pts = packet.dts = self._place(frame)
        packet.time_base = MILLISECOND
        packet.stream = self._stream
        self._mux(lambda: packet)
        self._frames += 1

    def close(self, outcome: Outcome) -> None:
        """Finish the file."""
        try:
            close_used_up(super().close, outcome, self._packets, self._output)
        finally:
            self._pieces.close()
