"""A sink that calls a function with each frame."""

from __future__ import annotations

from collections.abc import Callable

from rtseg.frames import Frame, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink

OnResult = Callable[[Frame, Segmentation], object]


class CallbackSink(Sink):
    """Calls a function with each frame and its segmentation; an exception in it ends the run."""

    wants_pixels = False

    def __init__(self, on_result: OnResult) -> None:
        self._on_result = on_result

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Nothing to open."""

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Call the function."""
        self._on_result(frame, segmentation)

    def close(self, outcome: Outcome) -> None:
        """Nothing to close."""
