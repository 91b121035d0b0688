"""The interface of every sink: where results go."""

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
"""What a person asked of a window by one key."""


@dataclass(frozen=True, kw_only=True)
class ViewChange:
    """A person asked for another picture: fields of `ViewSettings`, and their new values."""

    fields: Mapping[str, Any]


Event = Key | ViewChange
"""What a person asked."""

Outcome = Literal["finished", "failed"]
"""`finished`: the run ended in order (end of stream, asked to stop, a truncated input).
`failed`: an error ended it."""


class Sink(ABC):
    """Takes each frame with its segmentation and rendered view, in order.

    Attributes:
        wants_pixels: whether `write` needs the rendered view; where no sink of a run does,
            nothing is rendered and `picture` is None.
        has_alpha: whether an RGBA view is stored with its transparency.
        wants_real_time: who receives it sees it when it comes: a file is to be read by its clock.
        is_wanted: whether anybody would see what is written now; where no sink of a live run is
            wanted, its frames are let go before the network.
    """

    wants_pixels: bool = True
    has_alpha: bool = False
    wants_real_time: bool = False
    is_wanted: bool = True

    @abstractmethod
    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Create the output, before the run is reported as started.

        Args:
            info: the source's description (times, colour, streams to copy, chapters).
            width, height: of every rendered view, in pixels.

        Raises:
            OutputExistsError: it exists and may not be replaced.
            SinkError: it cannot be created, or cannot hold what the source has.
        """

    @abstractmethod
    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Take one frame.

        Raises:
            SinkError: it cannot be written (disk full, encoder failed).
        """

    def copy(self, packet: Packet) -> None:
        """Take one packet of a stream that rides along. Sinks that keep none ignore it."""

    def poll(self) -> tuple[Event, ...]:
        """What a person asked since the last call. Called often, on the main thread."""
        return ()

    @abstractmethod
    def close(self, outcome: Outcome) -> None:
        """Finish the output; called exactly once, also where `open` failed.

        A `finished` output lies under its final name. A `failed` one keeps what was written, valid,
        under its temporary name (`out.1f0c9a3e.part.mp4`), or nothing where no frame was written.
        """

    def describe(self) -> str:
        """Where the output is, for the summary: a path, or "" where there is none."""
        return ""
