"""Schedule which regions of a stream to search next, and what to leave alone for a while."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtseg.faces.base import FaceDetection
from rtseg.faces.tiles import Tiles, tile_picture
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around

# Searches per period while faces are followed, one of the whole picture, the others of parts,
# evenly spread; then the parts searched per frame while nobody is followed, and while somebody is
# missing. A search with a network that only finds faces costs a third.
_PERIOD, _SEARCHING = 3, 1
_CHEAP_PERIOD, _CHEAP_SEARCHING, _CHEAP_MISSING = 4, 2, 2

# Frames after a stream's first in which the whole picture is searched again: whom the first one
# shows badly, the next ones show otherwise.
_FRAMES_AFTER_FIRST = 3

# A still is searched as a whole, then in this many tiles: around what may be a face, or else where
# people usually are, in the upper part. Whole pictures of more extreme shapes show too little.
_CLOSER, _PREFERRED = 2, (0, 2)
_LONG = 1.5  # times the aspect of the network's input

# Rejected places are left alone for this many frames, then for twice as many, and so on; those
# that may be faces after all always for the shortest time, as the next frames may show them better.
_FRAMES, _FRAMES_MOST = 2, 45
# Between two weak places, while nobody is followed and while somebody is.
_FRAMES_BETWEEN_WEAK, _FRAMES_BETWEEN_WEAK_BESIDE = 8, 16
_REMEMBERED_FRAMES = 3 * _FRAMES_MOST

AROUND = 3.5
"""Height of the region around a place that may be a face, in sizes of the place."""


IsWorthSearching = Callable[[Crop], bool]
"""Whether a search of a region may find somebody new."""


def _always(_region: Crop) -> bool:
    return True


class Schedule:
    """Chooses the regions of one stream to search, by the count of frames and by what is worth it.

    While faces are followed, one region at a time: the whole picture every `every` frames, and
    parts of it in between (two fine tiles, so that all eight of a 16:9 frame are searched within
    four periods; or without fine tiles, three of six tiles, and the whole picture in each of a
    stream's first frames). While nobody is followed, or somebody was just lost, there is a region
    to search in every frame. Regions that are not worth a search are left out, and other parts take
    their turns.

    Args:
        every: frames between two searches of the whole picture while faces are followed.
        aspect, stretch: as for `tile_picture`.
        fine: whether to search the finest tiles too. A network that finds small faces does not need
            them, and searches more often, as it costs less.
    """

    def __init__(self, *, every: int, aspect: float, stretch: bool, fine: bool = True) -> None:
        self.every = every
        self.aspect = aspect
        self.stretch = stretch
        self.fine = fine
        self._period = _PERIOD if fine else _CHEAP_PERIOD
        self._searching = _SEARCHING if fine else _CHEAP_SEARCHING
        self.reset()

    def reset(self) -> None:
        """Start again: the next frame counts as the first."""
        self._frames = 0
        self._tiles, self._fine_tiles = _Rotation(), _Rotation()
        self._is_fine_next = False
        self._is_first = True
        self._after_first = 0

    def whole(self, height: int, width: int) -> Crop:
        """The whole picture as one region."""
        return self._regions(height, width).whole

    def exhaustive(self, height: int, width: int) -> list[Crop]:
        """Every region."""
        whole, tiles, fine = self._regions(height, width)
        return [whole, *tiles, *fine]

    def around(self, face: Box, *, sizes: float = AROUND) -> Crop:
        """A region in which a face is large: other things that resemble one resemble it less.

        Args:
            face: a box in pixels.
            sizes: height of the region, in sizes of the face.
        """
        side = sizes * math.sqrt(face.area)
        return Crop(box=box_around(*face.centre, side * self.aspect, side))

    def still(self, height: int, width: int) -> list[Crop]:
        """The regions of a still picture to search first: every one without a network for it."""
        is_long = max(width / height / self.aspect, height / width / self.aspect) > _LONG
        return self.exhaustive(height, width)[: None if self.fine or is_long else 1]

    def closer(self, height: int, width: int, doubtful: Sequence[FaceDetection]) -> list[Crop]:
        """The regions of a still picture to search next, with larger faces; at most two.

        Args:
            height, width: as for `tile_picture`.
            doubtful: what was found in the first regions but not confirmed.
        """
        first = self.still(height, width)
        tiles = [] if len(first) > 1 else list(self._regions(height, width).tiles)
        preferred = [tiles[index] for index in _PREFERRED if index < len(tiles)]
        others = [tile for tile in tiles if tile not in preferred]
        tiles, waiting = [*preferred, *others], list(doubtful)
        chosen: list[Crop] = []
        for _ in range(min(_CLOSER, len(tiles))):
            promise = [
                sum(face.score for face in waiting if _is_inside(face.box, tile)) for tile in tiles
            ]
            tile = tiles.pop(promise.index(max(promise)))
            waiting = [face for face in waiting if not _is_inside(face.box, tile)]
            chosen.append(tile)
        return chosen

    def searching(
        self, height: int, width: int, *, worth: IsWorthSearching = _always
    ) -> list[Crop]:
        """The regions to search while nobody is followed."""
        whole, tiles, fine = self._regions(height, width)
        self._frames = 0
        # so that the first frame of a stream, and the first after a cut, already have their faces
        if self._is_first:
            self._is_first = False
            self._after_first = 0 if self.fine else _FRAMES_AFTER_FIRST
            return [whole, *tiles]
        regions = [whole] if worth(whole) else []
        regions += self._tiles.next_of(tiles, self._searching, worth=worth)
        return regions + self._fine_tiles.next_of(fine, 1, worth=worth)

    def missing(self, height: int, width: int) -> list[Crop]:
        """The regions to search while one of the followed faces is lost."""
        whole, tiles, fine = self._regions(height, width)
        self._frames = 0
        if not fine:
            return [whole, *self._tiles.next_of(tiles, _CHEAP_MISSING)]
        self._is_fine_next = not self._is_fine_next
        if self._is_fine_next:
            return [whole, *self._tiles.next_of(tiles, 1)]
        return [whole, *self._fine_tiles.next_of(fine, 1)]

    def following(
        self, height: int, width: int, *, worth: IsWorthSearching = _always
    ) -> list[Crop]:
        """The regions to search while all followed faces are visible; mostly none."""
        if self._after_first:
            self._after_first -= 1
            whole = self.whole(height, width)
            return [whole] if worth(whole) else []
        before = self._frames * self._period // self.every
        self._frames += 1
        count = self._frames * self._period // self.every - before
        if not count:
            return []
        whole, tiles, fine = self._regions(height, width)
        regions = []
        if self._frames >= self.every:
            self._frames = 0
            count -= 1
            regions = [whole] if worth(whole) else []
        rotation = self._fine_tiles if fine else self._tiles
        return regions + rotation.next_of(fine or tiles, count, worth=worth)

    def _regions(self, height: int, width: int) -> Tiles:
        tiles = tile_picture(height, width, aspect=self.aspect, stretch=self.stretch)
        return tiles if self.fine else tiles._replace(fine=())


class _Rotation:
    """Takes turns among tiles."""

    def __init__(self) -> None:
        self._turn = 0

    def next_of(
        self, tiles: Sequence[Crop], count: int, *, worth: IsWorthSearching = _always
    ) -> list[Crop]:
        """The next tiles that are worth a search, each once, at most `count`."""
        chosen: list[Crop] = []
        for _ in tiles:
            if len(chosen) == count:
                break
            tile = tiles[self._turn % len(tiles)]
            self._turn += 1
            if worth(tile):
                chosen.append(tile)
        return chosen


def _is_inside(face: Box, tile: Crop) -> bool:
    """Whether a face's centre is in a tile."""
    (x, y), box = face.centre, tile.box
    return box.left <= x <= box.right and box.top <= y <= box.bottom


@dataclass(eq=False)
class _Place:
    head: Box
    frames: int
    tries: int
    rotation_fits: bool
    is_weak: bool
    age: int = 0

    def is_about(self, head: Box) -> bool:
        return self.head.overlap(head) > 0.4


class RejectedPlaces:
    """The places of a stream that looked like a face only in a large region."""

    def __init__(self) -> None:
        self._places: list[_Place] = []
        self._until_weak = 0

    def next_frame(self) -> None:
        """Advance by one frame."""
        self._until_weak = max(0, self._until_weak - 1)
        for place in self._places:
            place.age += 1
        self._places = [place for place in self._places if place.age <= _REMEMBERED_FRAMES]

    def may_try_a_weak_place(self, *, beside: bool) -> bool:
        """Whether a place that is probably no face may be examined in this frame.

        If so, the next one may be only a quarter of a second later, at 30 frames a second.

        Args:
            beside: whether faces are followed, which cost a crop each; then twice as much later.
        """
        if self._until_weak:
            return False
        self._until_weak = _FRAMES_BETWEEN_WEAK_BESIDE if beside else _FRAMES_BETWEEN_WEAK
        return True

    def is_left_alone(self, head: Box, *, is_weak: bool = False) -> bool:
        """Whether it is too early to examine that place again.

        Args:
            head: the place.
            is_weak: whether the finder hardly sees a face there. What it saw as little of when the
                place was rejected is examined soon if it sees more of it now.
        """
        return any(
            place.age <= (_FRAMES if place.is_weak and not is_weak else place.frames)
            for place in self._places
            if place.is_about(head)
        )

    def tries(self, head: Box) -> int:
        """How often a closer crop has shown no face there."""
        return max((place.tries for place in self._places if place.is_about(head)), default=0)

    def rotation_fits(self, head: Box) -> bool:
        """Whether the last closer crop there was rotated as a face in it would be."""
        return any(place.rotation_fits for place in self._places if place.is_about(head))

    def add(
        self,
        head: Box,
        *,
        may_be_one: bool = False,
        rotation_fits: bool = False,
        is_weak: bool = False,
    ) -> None:
        """Leave a place alone for a while, longer each time that it was no face.

        Args:
            head: the place.
            may_be_one: whether it may be a face after all.
            rotation_fits: whether the closer crop may show a face, or shows every part of one,
                arranged as in a crop with the right rotation.
            is_weak: whether the finder hardly saw a face there.
        """
        before = [place for place in self._places if place.is_about(head)]
        frames = _FRAMES
        if not may_be_one:
            frames = min(max((2 * place.frames for place in before), default=_FRAMES), _FRAMES_MOST)
        tries = self.tries(head) + 1
        self._places = [place for place in self._places if place not in before]
        self._places.append(
            _Place(
                head=head,
                frames=frames,
                tries=tries,
                rotation_fits=rotation_fits,
                is_weak=is_weak,
            )
        )
