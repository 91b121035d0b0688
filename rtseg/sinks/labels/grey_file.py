"""A lossless video of grey planes that is being written: its container and its clock."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from rtseg.frames import Frame
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink
from rtseg.sinks.disk_space import cannot_write
from rtseg.sinks.partial_file import PartialFile

MILLISECOND = Fraction(1, 1000)


class GreyVideoFile(Sink):
    """A Matroska file with one video stream, whose packets a subclass supplies.

    Times are rounded to Matroska's tick, a millisecond.

    Args:
        output: the file's path.
        overwrite: whether a file there may be replaced.
    """

    wants_pixels = False

    def __init__(self, output: str, *, overwrite: bool) -> None:
        self._output = output
        self._part = PartialFile(output, overwrite=overwrite)
        self._container: Any = None
        self._stream: Any = None
        self._frames = 0
        self._last_pts: int | None = None
        self._size = (0, 0)

    @abstractmethod
    def _add_stream(self, info: SourceInfo) -> Any:
        """Add the video stream to the container."""

    def _rest(self) -> Any:
        """The packets that are still to be written at the end."""
        return ()

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the file, at the source's size. See `Sink.open`."""
        # OpenCV must be loaded before PyAV, or a window of the same process hangs: see window.py.
        import cv2  # noqa: F401

        # isort: split
        import av

        self._part.claim(info.read_files)
        self._size = (info.width, info.height)
        try:
            # Named explicitly, because otherwise it is guessed from the temporary name.
            self._container = av.open(
                str(self._part.path), "w", format="matroska", options={"flush_packets": "1"}
            )
            self._stream = self._add_stream(info)
        except OSError as error:  # PyAV's system errors are OSErrors too
            raise cannot_write(self._output, error) from None

    def _place(self, frame: Frame) -> int:
        """The frame's time in milliseconds."""
        pts = round(frame.pts_seconds / MILLISECOND)
        if self._last_pts is not None and pts <= self._last_pts:
            # Matroska cannot distinguish two frames within one millisecond.
            pts = self._last_pts + 1
        self._last_pts = pts
        return pts

    def _mux(self, packets: Callable[[], Any]) -> None:
        try:
            self._container.mux(packets())
        except OSError as error:
            raise cannot_write(self._output, error) from None

    def close(self, outcome: Outcome) -> None:
        """Finish the file. See `Sink.close`."""
        container, self._container = self._container, None
        try:
            if container is not None:
                try:
                    if self._frames or outcome == "finished":
                        container.mux(self._rest())
                finally:
                    container.close()
        except OSError as error:
            raise cannot_write(self._output, error) from None
        self._part.settle(outcome, frames=self._frames)

    def describe(self) -> str:
        """The file's path."""
        return self._output
