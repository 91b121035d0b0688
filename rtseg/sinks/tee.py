"""A sink that writes to several sinks and closes each exactly once."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rtseg.errors import SinkError
from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Event, Outcome, Sink


class TeeSink(Sink):
    """Passes everything to several sinks in order, and closes each exactly once.

    An error in one of them ends the run: the first error is raised after all were closed. Sinks can
    be added and removed between frames (a recording that a key starts and stops). If only some
    support transparency, the others get the picture on black.

    Args:
        sinks: closed sinks, in the order in which they are called.
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
        """Whether anybody is watching any of them."""
        return any(sink.is_wanted for sink in tuple(self._sinks))

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Open every sink. If one fails, `close` closes those that were tried."""
        for sink in self._sinks:
            self._open.append(sink)
            sink.open(info, width=width, height=height)

    def add(self, sink: Sink, info: SourceInfo, *, width: int, height: int) -> None:
        """Open another sink during the run and include it from the next frame on.

        Raises:
            SinkError: it cannot be opened; it is closed, and the others continue.
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
        """Close one sink during the run and stop using it.

        Raises:
            SinkError: it is not one of these sinks, or cannot be finished; the others continue.
        """
        if sink not in self._open:
            raise SinkError("this output is not being written (any more)")
        self._sinks.remove(sink)
        self._open.remove(sink)
        self._refresh()
        sink.close(outcome)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write one frame to every sink."""
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
        """Copy one packet to every sink."""
        for sink in self._open:
            sink.copy(packet)

    def poll(self) -> tuple[Event, ...]:
        """Return the requests of all sinks."""
        return tuple(event for sink in self._open for event in sink.poll())

    def close(self, outcome: Outcome) -> None:
        """Close every opened sink, then raise the first error, if any."""
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
        """Where the outputs are, separated by commas."""
        return ", ".join(filter(None, (sink.describe() for sink in self._sinks)))


def on_black(picture: Picture) -> Picture:
    """An RGBA picture over black: uint8 (height, width, 3)."""
    import cv2

    rgb = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGBA2RGB), np.uint8)
    cover = np.asarray(cv2.cvtColor(picture[..., 3], cv2.COLOR_GRAY2RGB), np.uint8)
    return np.asarray(cv2.multiply(rgb, cover, scale=1 / 255), np.uint8)
