"""A sink that keeps everything in memory, for tests, notebooks and short clips."""

from __future__ import annotations

from rtseg.frames import Frame, Packet, Picture, Segmentation
from rtseg.media.info import SourceInfo
from rtseg.sinks.base import Outcome, Sink


class MemorySink(Sink):
    """Collects the results of a run, including every picture, so not suitable for long videos.

    Args:
        pictures: whether to render and keep views.

    Attributes:
        info: the source's description, once open.
        size: (width, height) of the rendered views, once open.
        frames, segmentations, pictures, packets: everything received, in order.
        outcome: how the run ended, once closed.
    """

    def __init__(self, *, pictures: bool = True) -> None:
        self.wants_pixels = pictures
        self.info: SourceInfo | None = None
        self.size: tuple[int, int] | None = None
        self.frames: list[Frame] = []
        self.segmentations: list[Segmentation] = []
        self.pictures: list[Picture] = []
        self.packets: list[Packet] = []
        self.outcome: Outcome | None = None

    def open(self, info: SourceInfo, *, width: int, height: int) -> None:
        """Remember the source's description."""
        self.info, self.size = info, (width, height)

    def write(self, frame: Frame, segmentation: Segmentation, picture: Picture | None) -> None:
        """Keep the frame, its segmentation and its picture."""
        self.frames.append(frame)
        self.segmentations.append(segmentation)
        if picture is not None:
            self.pictures.append(picture)

    def copy(self, packet: Packet) -> None:
        """Keep the packet."""
        self.packets.append(packet)

    def close(self, outcome: Outcome) -> None:
        """Remember how the run ended."""
        self.outcome = outcome
