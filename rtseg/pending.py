"""A stream's frame after the networks have run on it, before its labels are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rtseg.frames import Segmentation


@dataclass(frozen=True, eq=False)
class PendingSegmentation:
    """What remains to be done for a frame, so that another thread can do it.

    Upsampling and pasting take about a third as long as the networks, and the next frame does not
    depend on them. A frame that is dropped in between needs no labels.

    Attributes:
        finish: makes the segmentation. To be called at most once.
        size_bytes: bytes in memory that are kept for it, besides the frame.
    """

    finish: Callable[[], Segmentation]
    size_bytes: int
