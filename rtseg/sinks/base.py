"""The interface of every sink, which receives frames with their results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rtseg.frames import Frame, Packet, Segmentation
from rtseg.frames import Picture as Picture
from rtseg.media.info import SourceInfo

Key = Literal[
    "quit",
    "pause",
    "snapshot",
    "next-view",
    "more-opacity",
    "less-opacity",
    "hud",
    "legend",
    "record",
    "help",
]
"""What a key press in a window requests."""


@dataclass(frozen=True, kw_only=True)
class ViewChange:
    """A request to change the view: fields of `ViewSettings` and their new values."""

    fields: Mapping[str, Any]


Event = Key | ViewChange
"""A user's request."""

Outcome = Literal["finished", "failed"]
"""`finished`: the run ended normally (end of stream, stopped, or a truncated input).
`failed`: an error ended it."""


class Sink(ABC):
    """Takes each frame with its segmentation and rendered view, in order.

    Attributes:
        wants_pixels: whether `write` needs the rendered view. If no sink of a run does, nothing is
            rendered and `picture` is None.
        has_alpha: whether it stores the transparency of an RGBA view.
        wants_real_time: whether its viewers watch as it is written, so that a file must be read
            at its own speed.
        is_wanted: whether anybody is watching now. If no sink of a live run is wanted, frames are
            discarded before the network runs.
    """

    wants_pixels: bool = True
    has_alpha: bool = False
    wants_real_time: bool = False
    is_wanted: bool = True

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the output. Called before the run is reported as started.

        A sink that creates its output later, or has none, may leave this method out.

        Args:
            info: the source's description (times, colour, streams to copy, chapters).
            width, height: size of every rendered view in pixels.

        Raises:
            OutputExistsError: it exists and may not be replaced.
            SinkError: it cannot be created, or cannot hold the source's streams.
        """

    @abstractmethod
    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Write one frame.

        Raises:
            SinkError: it cannot be written (disk full, encoder failed).
        """

    def copy(self, packet: Packet) -> None:
        """Copy one audio or subtitle packet. Sinks that store none ignore it."""

    def poll(self) -> tuple[Event, ...]:
        """Return the user's requests since the last call. Called often, on the main thread."""
        return ()

    @abstractmethod
    def close(self, outcome: Outcome) -> None:
        """Finish the output. Called exactly once, even if `open` failed.

        A `finished` output has its final name. A `failed` one is left, valid, under its temporary
        name (`out.1f0c9a3e.part.mp4`), or removed if no frame was written.
        """

    def describe(self) -> str:
        """Say where the output is, for the summary: a path, or "" if there is none."""
        return ""
