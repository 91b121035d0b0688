"""A sink that writes to several sinks, and closes each exactly once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rtseg.errors import SinkError
from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Event, Outcome, Sink


class TeeSink(Sink):
    """Gives everything to several sinks, in their order, and closes each exactly once.

    An error of one of them ends the run: the first one is raised, after all were closed. Sinks
    may come and go between two frames (a recording that a key starts and stops). Where only some
    hold transparency, the others are given the picture on black.

    Args:
        sinks: closed ones, in the order in which they are served.
    """

    def __init__(self, sinks: Iterable[Sink] = ()) -> None:
        self._sinks = list(sinks)
        self._open: list[Sink] = []
        self._refresh()

    def _refresh(self) -> None:
        self.wants_pixels = any(sink.wants_pixels for sink in self._sinks)
        self.has_alpha = any(sink.wants_pixels and sink.has_alpha for sink in self._sinks)
        self.wants_real_time = any(sink.wants_real_time for sink in self._sinks)

    @property
    def is_wanted(self) -> bool:  # type: ignore[override]
        """Whether any of them would be seen."""
        return any(sink.is_wanted for sink in tuple(self._sinks))

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Open every sink; where one fails, `close` closes those that were tried."""
        for sink in self._sinks:
            self._open.append(sink)
            sink.open(info, width=width, height=height)

    def add(self, sink: Sink, info: SourceInfo, *, width: int, height: int) -> None:
        """Open one more sink during the run, and serve it from the next frame on.

        Raises:
            SinkError: it cannot be opened; it is closed, and the others go on.
        """
        try:
            sink.open(info, width=width, height=height)
        except BaseException:
            sink.close("failed")
            raise
        self._sinks.append(sink)
        self._open.append(sink)
        self._refresh()

    def remove(self, sink: Sink, outcome: Outcome = "finished") -> None:
        """Close one sink during the run, and serve it no more.

        Raises:
            SinkError: it is not served here, or cannot be finished; the others go on.
        """
        if sink not in self._open:
            raise SinkError("this output is not being written (any more)")
        self._sinks.remove(sink)
        self._open.remove(sink)
        self._refresh()
        sink.close(outcome)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Give one frame to every sink."""
        flat = picture
        if picture is not None and picture.shape[2] == 4:
            flat = None
        for sink in self._open:
            if not sink.wants_pixels or picture is None:
                sink.write(frame, segmentation, None)
            elif sink.has_alpha:
                sink.write(frame, segmentation, picture)
            else:
                flat = on_black(picture) if flat is None else flat
                sink.write(frame, segmentation, flat)

    def copy(self, packet: Packet) -> None:
        """Give one packet to every sink."""
        for sink in self._open:
            sink.copy(packet)

    def poll(self) -> tuple[Event, ...]:
        """What was asked of any of them."""
        return tuple(event for sink in self._open for event in sink.poll())

    def close(self, outcome: Outcome) -> None:
        """Close every sink that was opened; then raise the first error, if there was one."""
        sinks, self._open = self._open, []
        first: BaseException | None = None
        for sink in sinks:
            try:
                sink.close(outcome)
            except BaseException as error:  # noqa: BLE001  (raised below, once all are closed)
                first = first or error
        if first is not None:
            raise first

    def describe(self) -> str:
        """Where the outputs are, by comma."""
        return ", ".join(filter(None, (sink.describe() for sink in self._sinks)))


def on_black(picture: Picture) -> Picture:
    """An RGBA picture over black: uint8 (height, width, 3)."""
    import cv2

    rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), np.uint8)
    cover = np.asarray(cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2RGB), np.uint8)
    return np.asarray(cv2.multiply(rgb, cover, scale=1 / 255), np.uint8)
