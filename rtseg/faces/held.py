"""What privacy views hide besides labels, so that they fail safe.

The region of a lost face, for a while, and that of a face that only a finder sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtseg.faces.overlap import is_one_of
from rtseg.faces.track import Track
from rtseg.frames import Box

_GROWN = 0.2  # how much the region is enlarged, since the head may have moved on


@dataclass(frozen=True, kw_only=True)
class _Place:
    box: Box
    seen_seconds: float


class HeldRegions:
    """The regions of recently lost and of unlabelled faces. Keeps the state of one stream.

    Args:
        seconds: how long a lost face's is held; 0 disables holding.
    """

    def __init__(self, *, seconds: float) -> None:
        self.seconds = seconds
        self.reset()

    def reset(self) -> None:
        """Stop holding all regions."""
        self._last: dict[int, _Place] = {}
        self.boxes: tuple[Box, ...] = ()

    def update(
        self,
        shown: Sequence[Box],
        tracks: Sequence[Track],
        *,
        seconds: float,
        unlabelled: Sequence[Box] = (),
    ) -> None:
        """Update the held regions.

        Args:
            shown: the boxes of visible heads in pixels.
            tracks: those of visible and of recently lost faces.
            seconds: the picture's time.
            unlabelled: those of the visible heads whose faces the labels hardly show.
        """
        present = {track.track_id: track.bounds for track in tracks if track.is_present}
        for track_id, bounds in present.items():
            self._last[track_id] = _Place(box=bounds, seen_seconds=seconds)
        self._last = {
            track_id: place
            for track_id, place in self._last.items()
            if 0 <= seconds - place.seen_seconds <= self.seconds
        }
        lost = [
            place.box
            for track_id, place in self._last.items()
            if track_id not in present and not is_one_of(place.box, shown)
        ]
        self.boxes = tuple(map(_grown, [*lost, *unlabelled]))


def _grown(box: Box) -> Box:
    x, y = box.centre
    width, height = (1 + _GROWN) * box.width / 2, (1 + _GROWN) * box.height / 2
    return Box(left=x - width, top=y - height, right=x + width, bottom=y + height)
