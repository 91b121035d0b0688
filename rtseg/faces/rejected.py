"""Remember where refinement found no face, so that it is not repeated on every frame."""

from __future__ import annotations

from dataclasses import dataclass

from rtseg.frames import Box

# What turned out to be no face is left alone for so many frames, then twice as many, …; but what
# may be one after all, only ever for so many: the next frames may show it better.
_FRAMES, _FRAMES_MOST = 2, 45
_REMEMBERED_FRAMES = 3 * _FRAMES_MOST


@dataclass(eq=False)
class _Place:
    head: Box
    frames: int
    tries: int
    age: int = 0

    def is_about(self, head: Box) -> bool:
        return self.head.overlap(head) > 0.4


class Rejected:
    """The places of a stream that looked like a face from afar only."""

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def next_frame(self) -> None:
        """One frame later."""
        for place in self._places:
            place.age += 1
        self._places = [place for place in self._places if place.age <= _REMEMBERED_FRAMES]

    def is_left_alone(self, head: Box) -> bool:
        """Whether it is too early to look there again."""
        return any(place.age <= place.frames for place in self._places if place.is_about(head))

    def tries(self, head: Box) -> int:
        """How often a closer look has found no face there."""
        return max((place.tries for place in self._places if place.is_about(head)), default=0)

    def add(self, head: Box, *, may_be_one: bool = False) -> None:
        """Leave a place alone for a while, the longer the more often it was no face.

        Args:
            head: the place.
            may_be_one: it was not clear that it is none.
        """
        before = [place for place in self._places if place.is_about(head)]
        frames = _FRAMES
        if not may_be_one:
            frames = min(max((2 * place.frames for place in before), default=_FRAMES), _FRAMES_MOST)
        tries = self.tries(head) + 1
        self._places = [place for place in self._places if place not in before]
        self._places.append(_Place(head=head, frames=frames, tries=tries))
