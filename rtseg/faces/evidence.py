"""What the frames of a stream say together about the places that may be faces.

One look at a place (a finder's score and the labels of a crop around it) gives a probability. A
face that is hard to see gets a middling one again and again, and would be refused as often; a thing
that resembles a face gets a high one once in a while, and would be accepted then. So the looks at a
place count together. They are not independent: what is once taken for a face is taken for one
again. Of looks whose log-odds correlate by r, n are worth n / (1 + (n - 1) r) independent ones (the
effective sample size of a cluster; Kish, 1965), which is 1 / r for any number of them: repetition
alone decides nothing for ever.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rtseg.faces.overlap import is_same
from rtseg.frames import Box

# Correlation of the log-odds of two looks at one place, and the log-odds of a finder's candidate
# before any look at it; on shaky `val` pictures (`python -m tests.benchmarks.faces.shaken`).
_CORRELATION, _PRIOR = 0.6, -2.2
_HALF_FRAMES = 15  # after as many frames a look counts half: what is there may change
_LEAST, _MOST = -3.0, 9.0  # log-odds of a look: labels that show nothing may be of a bad crop
_PROMISING = 0.15  # probability from which a place is worth another look soon

# Frames until the next look at a promising place, and how often it is looked at so soon; then it is
# left to the usual searches for twice as long each time.
_WAIT, _SOON, _LONGEST_WAIT = 3, 4, 24
_REMEMBERED_FRAMES = 90


@dataclass(eq=False)
class _Place:
    """Where there may be a face.

    Attributes:
        box: where it was seen last.
        mean: the log-odds of the looks at it, the last ones weighing most.
        weight, squares: the sums of the looks' weights, and of their squares.
        visits: in how many frames there were any.
        age: frames since the last one.
        unseen: frames since then, or since a followed face was there.
        unsearched: frames since it was last searched closely, examined then or not.
        wait: frames from the last look to the next.
    """

    box: Box
    mean: float = 0.0
    weight: float = 0.0
    squares: float = 0.0
    visits: int = 0
    age: int = 0
    unseen: int = 0
    unsearched: int = _LONGEST_WAIT
    wait: int = _WAIT

    def add(self, log_odds: float) -> None:
        """Count another look."""
        faded = 0.5 ** (self.age / _HALF_FRAMES)
        self.weight = faded * self.weight + 1
        self.squares = faded**2 * self.squares + 1
        self.mean += (log_odds - self.mean) / self.weight
        self.visits += self.age > 0 or self.visits == 0
        self.age = self.unseen = 0
        self.wait = min(_LONGEST_WAIT, _WAIT * 2 ** max(0, self.visits - _SOON))

    @property
    def probability(self) -> float:
        """What all looks say together, 0..1."""
        count = self.weight**2 / self.squares
        worth = count / (1 + (count - 1) * _CORRELATION)
        return 1 / (1 + math.exp(-(_PRIOR + worth * (self.mean - _PRIOR))))


class Evidence:
    """The looks at the places of one stream."""

    def __init__(self) -> None:
        self._places: list[_Place] = []

    def next_frame(self) -> None:
        """Advance by one frame."""
        for place in self._places:
            place.age += 1
            place.unseen += 1
            place.unsearched += 1
        self._places = [place for place in self._places if place.unseen <= _REMEMBERED_FRAMES]

    def weigh(self, box: Box, probability: float) -> float:
        """Count a look at a place.

        Args:
            box: the place, in pixels of the picture.
            probability: of a face there according to this look, 0..1; 0 if it shows none at all.

        Returns:
            The probability of a face there according to all looks, 0..1. For the first look at a
            place it is that of the look itself, within the limits of what one look may say.
        """
        place = self._at(box)
        if place is None:
            place = _Place(box=box)
            self._places.append(place)
        place.box = box
        place.add(_log_odds(probability))
        return place.probability

    def expected(self, box: Box, probability: float) -> float:
        """What `weigh` would return, without counting the look."""
        place = self._at(box)
        place = _Place(box=box) if place is None else replace(place)
        place.add(_log_odds(probability))
        return place.probability

    def move(self, before: Box, after: Box) -> None:
        """A followed face, and what is known about its place, have moved."""
        place = self._at(before)
        if place is not None:
            place.box = after
            place.unseen = 0

    def searched(self, box: Box) -> None:
        """A place was searched closely: while it is left alone, it need not be in every frame."""
        place = self._at(box)
        if place is not None:
            place.unsearched = 0

    def is_promising(self, box: Box) -> bool:
        """Whether a place may be a face after all, and is worth another look."""
        place = self._at(box)
        return place is not None and place.probability >= _PROMISING

    def due(self) -> list[Box]:
        """The promising places whose next look is due, the most promising first."""
        waiting = [
            place
            for place in self._places
            if min(place.age, place.unsearched) >= place.wait and place.probability >= _PROMISING
        ]
        return [place.box for place in sorted(waiting, key=lambda place: -place.probability)]

    def _at(self, box: Box) -> _Place | None:
        same = [place for place in self._places if is_same(place.box, box)]
        return max(same, key=lambda place: place.box.overlap(box), default=None)


def _log_odds(probability: float) -> float:
    if not 0 < probability < 1:
        return _LEAST if probability <= 0 else _MOST
    return min(max(math.log(probability / (1 - probability)), _LEAST), _MOST)
