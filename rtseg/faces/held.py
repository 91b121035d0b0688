"""What privacy views hide besides labels, so that they fail safe.

The region of a lost face, for a while; that of a face of which suddenly little is seen, likewise;
and that of a face that only a finder sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rtseg.faces.overlap import is_one_of
from rtseg.faces.track import Track
from rtseg.frames import Box

_SHRUNK = 0.25  # share of its former region below which a head is likely only seen in part
_GROWN = 0.2  # how much the region is enlarged, since the head may have moved on


@dataclass(frozen=True, kw_only=True)
class _Place:
    box: Box
    seen_seconds: float


class HeldRegions:
    """The regions of recently lost, shrunk and unlabelled faces. Keeps the state of one stream.

    Args:
        seconds: how long that of a lost or shrunk face is held; 0 disables holding.
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
        self._last = {
            track_id: place
            for track_id, place in self._last.items()
            if 0 <= seconds - place.seen_seconds <= self.seconds
        }
        shrunk: list[Box] = []
        for track_id, bounds in present.items():
            last = self._last.get(track_id)
            if last is not None and bounds.area < _SHRUNK * last.box.area:
                shrunk.append(last.box)
            else:
                self._last[track_id] = _Place(box=bounds, seen_seconds=seconds)
        lost = [
            place.box
            for track_id, place in self._last.items()
            if track_id not in present and not is_one_of(place.box, shown)
        ]
        self.boxes = _outermost([_grown(box) for box in (*lost, *shrunk, *unlabelled)])


def _outermost(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """The boxes without those that are inside another one, as these would be blurred twice."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda box: -box.area):
        if not any(_is_inside(box, other) for other in kept):
            kept.append(box)
    return tuple(kept)


def _is_inside(box: Box, other: Box) -> bool:
    return (
        box.left >= other.left
        and box.top >= other.top
        and box.right <= other.right
        and box.bottom <= other.bottom
    )


def _grown(box: Box) -> Box:
    x, y = box.centre
    width, height = (1 + _GROWN) * box.width / 2, (1 + _GROWN) * box.height / 2
    return Box(left=x - width, top=y - height, right=x + width, bottom=y + height)
