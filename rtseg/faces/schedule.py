"""Schedule the search of the whole picture: cheap per frame, and new faces are found soon."""

from __future__ import annotations

from collections.abc import Sequence

from rtseg.faces.tiles import Tiles, tile_picture
from rtseg.geometry.crop import Crop

_LOOKS_A_PERIOD = 3  # one at the whole picture, the others at parts of it, spread evenly


class Schedule:
    """The coarse looks of one stream, in turns that depend on nothing but the count of frames.

    While faces are followed, one small look at a time: the whole picture every `every` frames, and
    two fine tiles in between, so that all eight of a 16:9 frame are seen within four periods.
    While nobody is, or somebody was just lost, there is something to see in every frame.

    Args:
        every: frames between two looks at the whole picture while faces are followed.
        aspect, stretch: as `tile_picture` takes them.
        fine: look at the finest tiles too; a finder of small faces needs none.
    """

    def __init__(self, *, every: int, aspect: float, stretch: bool, fine: bool = True) -> None:
        self.every = every
        self.aspect = aspect
        self.stretch = stretch
        self.fine = fine
        self.reset()

    def reset(self) -> None:
        """The next frame is a first one."""
        self._frames = 0
        self._turn = 0
        self._is_first = True

    def exhaustive(self, height: int, width: int) -> list[Crop]:
        """Everything, as at a still."""
        whole, tiles, fine = self._regions(height, width)
        return [whole, *tiles, *fine]

    def searching(self, height: int, width: int) -> list[Crop]:
        """Where to look while nobody is followed."""
        whole, tiles, fine = self._regions(height, width)
        self._frames = 0
        # the first frame of a stream and the first after a cut show their faces too
        if self._is_first:
            self._is_first = False
            return [whole, *tiles]
        turn = self._next_turn()
        return [whole, _at(tiles, turn), *([_at(fine, turn)] if fine else [])]

    def missing(self, height: int, width: int) -> list[Crop]:
        """Where to look while one of the followed faces is lost."""
        whole, tiles, fine = self._regions(height, width)
        self._frames = 0
        turn = self._next_turn()
        return [whole, _at(fine, turn // 2) if fine and turn % 2 else _at(tiles, turn // 2)]

    def following(self, height: int, width: int) -> list[Crop]:
        """Where to look while all are in sight; mostly nowhere."""
        before = self._frames * _LOOKS_A_PERIOD // self.every
        self._frames += 1
        count = self._frames * _LOOKS_A_PERIOD // self.every - before
        if not count:
            return []
        whole, tiles, fine = self._regions(height, width)
        looks = []
        if self._frames >= self.every:
            self._frames = 0
            count -= 1
            looks = [whole]
        return looks + [_at(fine or tiles, self._next_turn()) for _ in range(count)]

    def _regions(self, height: int, width: int) -> Tiles:
        found = tile_picture(height, width, aspect=self.aspect, stretch=self.stretch)
        return found if self.fine else found._replace(fine=())

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn - 1


def _at(crops: Sequence[Crop], turn: int) -> Crop:
    return crops[turn % len(crops)]
