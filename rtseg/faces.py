"""Where the faces are: the look over the whole picture, crops, and tracks.

Pure geometry over label probabilities: what runs the network comes in as a callable. Everything
depends only on the frames and their times, so the same input gives the same tracks twice.

A little over 400 lines, as the steps of `FaceTracker` are one story: look, follow, welcome, merge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rtseg.crops import crop_around, crop_side, regions
from rtseg.frames import Box, Probabilities
from rtseg.labels import LabelSet
from rtseg.one_euro import OneEuro
from rtseg.settings import FaceSettings
from rtseg.sightings import Mask, Sighting, distinct, is_one_of, sightings

_SEEN = 0.3  # promise from which a coarse look is worth a closer one
_CLOSER_LOOKS, _CLOSER_LOOKS_STILL = 2, 12  # at most so many new faces a frame, a still
# What turned out to be no face is left alone for so many frames, then twice as many, …
_REJECTED_FRAMES, _REJECTED_FRAMES_MOST = 2, 45
_CONFIRMED = 0.85  # score in its own crop from which a face is followed
_KEPT = 0.3  # score below which a followed face is lost from sight
_MIN_COARSE_CELLS = 5
_MIN_HEAD = 0.04  # of the frame's shorter side; what is smaller is a pattern more often than a face
_MIN_CROP_SHARE = 0.015  # of a crop's cells
_BESIDE = 0.6  # so many heights of the head away, it is another head and no part of this one
_ABSENCE_SECONDS = 0.5  # for so long a lost face keeps its id
_STILL_CENTRE, _STILL_SIDE = 0.02, 0.04  # moves below these shares of the side leave a crop alone
_USUAL_STEP_SECONDS = 1 / 30

Look = Callable[[Sequence[Box]], Sequence[Probabilities]]
"""Runs the network on parts of the current picture: boxes in frame pixels -> probabilities."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFace:
    """A face in the current frame.

    Attributes:
        track_id: the same from frame to frame, counting from 1.
        head: around face and hair, frame pixels.
        score: how sure it is a face, 0..1.
        crop: what was looked at, frame pixels; may reach over the frame's edges.
        probabilities: of the crop.
        foreign: bool (rows, columns), cells that belong to another followed face; None if none do.
    """

    track_id: int
    head: Box
    score: float
    crop: Box
    probabilities: Probabilities
    foreign: Mask | None = None


_Closer = tuple[Box, Probabilities, Sighting | None, list[Sighting]]
"""A crop, its map, the face that was expected in it, and everything that was seen in it."""


@dataclass(eq=False)
class _Track:
    track_id: int
    head: Box
    crop: Box
    score: float
    seen_seconds: float
    is_present: bool = True
    filters: tuple[OneEuro, OneEuro, OneEuro] = field(
        default_factory=lambda: (OneEuro(), OneEuro(), OneEuro())
    )

    def follow(self, sighting: Sighting, *, seconds: float, aspect: float) -> None:
        """Take over where the face is now, and plan the next crop."""
        step = seconds - self.seen_seconds
        if step <= 0:
            step = _USUAL_STEP_SECONDS
        self.head, self.score = sighting.head, sighting.score
        self.seen_seconds, self.is_present = seconds, True
        x, y = sighting.head.centre
        side = crop_side(sighting.head, aspect)
        unit = self.crop.height
        x = self.filters[0](x, step, unit=unit)
        y = self.filters[1](y, step, unit=unit)
        side = math.exp(self.filters[2](math.log(side), step))
        was_x, was_y = self.crop.centre
        moved = max(abs(x - was_x), abs(y - was_y)) / unit
        if moved > _STILL_CENTRE or abs(side / unit - 1) > _STILL_SIDE:
            self.crop = crop_around(x, y, side, aspect)


@dataclass(eq=False)
class _Rejected:
    """Where a closer look found no face."""

    head: Box
    frames: int
    age: int = 0

    @property
    def is_fresh(self) -> bool:
        return self.age <= self.frames

    def is_about(self, head: Box) -> bool:
        return self.head.overlap(head) > 0.4

    def goes_on(self) -> bool:
        """One frame later: whether it is still worth remembering."""
        self.age += 1
        return self.age <= 3 * _REJECTED_FRAMES_MOST


class FaceTracker:
    """Finds faces and follows them from frame to frame. State of one stream.

    Args:
        label_set: must say which ids make up a face.
        settings: how often to look for new faces, and how many to follow.
        aspect: width over height of the network's input.
        stretch: whole pictures are stretched to the input's shape, not letterboxed.
    """

    def __init__(
        self,
        label_set: LabelSet,
        settings: FaceSettings,
        *,
        aspect: float = 1.0,
        stretch: bool = False,
    ) -> None:
        self.label_set = label_set
        self.settings = settings
        self.aspect = aspect
        self.stretch = stretch
        self._next_id = 1
        self.reset()

    def reset(self) -> None:
        """Forget every face: what comes next has nothing to do with what was. Ids go on."""
        self._tracks: list[_Track] = []
        self._frames_since_coarse = 0
        self._turn = 0
        self._is_first = True
        self._rejected: list[_Rejected] = []

    def step(
        self, height: int, width: int, look: Look, *, seconds: float, thorough: bool = False
    ) -> tuple[TrackedFace, ...]:
        """Where the faces of the next frame are.

        Args:
            height, width: of the frame, pixels.
            look: runs the network on parts of it; called once, and once more where something new
                has come in sight.
            seconds: the frame's time; a lost face keeps its id for half a second.
            thorough: look at every tile and closer at more of what is seen, as at a still.

        Returns:
            The faces in the frame, largest first.
        """
        self._forget(seconds)
        self._rejected = [no for no in self._rejected if no.goes_on()]
        coarse = self._coarse_regions(height, width, thorough=thorough)
        followed = list(self._tracks)
        crops = [track.crop for track in followed]
        maps = look([*crops, *coarse])
        views = list(zip(followed, crops, maps, strict=False))
        seen = self._follow(views, seconds)
        if coarse:
            found = self._candidates(coarse, maps[len(crops) :], seen)
            smallest = _MIN_HEAD * min(height, width)
            found = [
                face
                for face in found
                if face.head.height >= smallest and _reaches_into(face.head, height, width)
            ]
            limit = _CLOSER_LOOKS_STILL if thorough else _CLOSER_LOOKS
            seen += self._welcome(distinct(found), look, seconds, known=seen, limit=limit)
        self._merge(seen)
        return self._faces(seen)

    def _forget(self, seconds: float) -> None:
        self._tracks = [
            track
            for track in self._tracks
            if track.is_present or 0 <= seconds - track.seen_seconds <= _ABSENCE_SECONDS
        ]

    def _coarse_regions(self, height: int, width: int, *, thorough: bool) -> list[Box]:
        """Nothing, or the whole picture and a tile or two in turns; more where nothing is known."""
        self._frames_since_coarse += 1
        someone_missing = not all(track.is_present for track in self._tracks)
        due = self._frames_since_coarse >= self.settings.detect_every
        if not (thorough or due or not self._tracks or someone_missing):
            return []
        self._frames_since_coarse = 0
        whole, tiles, fine = regions(height, width, aspect=self.aspect, stretch=self.stretch)
        if thorough:
            return [whole, *tiles, *fine]
        # the first frame of a stream and the first after a cut show their faces too
        if self._is_first:
            self._is_first = False
            return [whole, *tiles]
        turn = self._turn
        self._turn += 1
        if not fine:
            return [whole, tiles[turn % len(tiles)]]
        if not self._tracks:
            return [whole, tiles[turn % len(tiles)], fine[turn % len(fine)]]
        half = turn // 2
        return [whole, fine[half % len(fine)] if turn % 2 else tiles[half % len(tiles)]]

    def _candidates(
        self, coarse: Sequence[Box], maps: Sequence[Probabilities], seen: Iterable[_View]
    ) -> list[Sighting]:
        """What may be a face: in the whole picture, its tiles, and beside the followed faces."""
        found = [beside for view in seen for beside in view.here]
        for region, probabilities in zip(coarse, maps, strict=True):
            found += sightings(
                probabilities, region, self.label_set, min_cells=_MIN_COARSE_CELLS, bridge=0
            )
        return [sighting for sighting in found if sighting.promise >= _SEEN]

    def _follow(
        self, views: Iterable[tuple[_Track, Box, Probabilities]], seconds: float
    ) -> list[_View]:
        """Find each followed face in its own crop."""
        seen = []
        for track, crop, probabilities in views:
            here = self._in_crop(probabilities, crop)
            own = _nearest(here, track.head)
            wanted = _KEPT if track.is_present else _CONFIRMED
            if own is None or own.score < wanted:
                track.is_present = False
                continue
            track.follow(own, seconds=seconds, aspect=self.aspect)
            seen.append(_View(track, crop, probabilities, own, here))
        return seen

    def _in_crop(self, probabilities: Probabilities, crop: Box) -> list[Sighting]:
        rows, columns = probabilities.shape[:2]
        return sightings(
            probabilities,
            crop,
            self.label_set,
            min_cells=max(_MIN_COARSE_CELLS, round(_MIN_CROP_SHARE * rows * columns)),
            bridge=max(1, rows // 32),
        )

    def _welcome(
        self,
        found: Sequence[Sighting],
        look: Look,
        seconds: float,
        *,
        known: list[_View],
        limit: int,
    ) -> list[_View]:
        """Look closer at what the coarse pass saw, and follow what is a face."""
        faces = [view.own.face for view in known]
        fresh = [
            sighting
            for sighting in found
            if not is_one_of(sighting.face, faces)
            and not any(no.is_about(sighting.head) and no.is_fresh for no in self._rejected)
        ]
        room = max(0, self.settings.max_faces - len(known))
        if not room:
            return []
        fresh = sorted(fresh, key=lambda sighting: -sighting.promise)[:limit]
        closer = self._look_closer([sighting.head for sighting in fresh], look)
        # a crop planned from a coarse box can be off: once more where it was
        again = [
            index
            for index, (crop, _, own, _) in enumerate(closer)
            if own is not None and not _fits(crop, own.head, self.aspect)
        ]
        heads_again = [own.head for index in again if (own := closer[index][2]) is not None]
        for index, better in zip(again, self._look_closer(heads_again, look), strict=True):
            if better[2] is not None:
                closer[index] = better
        looked_at = list(zip(fresh, closer, strict=True))
        # where there is no room for all, the largest come in
        looked_at.sort(key=lambda pair: -pair[1][2].head.area if pair[1][2] else 0.0)
        seen: list[_View] = []
        for coarse, (crop, probabilities, own, here) in looked_at:
            if own is None or own.score < _CONFIRMED:
                self._reject(coarse.head)
                continue
            if len(seen) == room:
                break
            if is_one_of(own.face, [view.own.face for view in (*known, *seen)]):
                continue
            track = self._track_for(own, crop, seconds)
            track.follow(own, seconds=seconds, aspect=self.aspect)
            seen.append(_View(track, crop, probabilities, own, here))
        return seen

    def _reject(self, head: Box) -> None:
        """Leave a place alone for a while, the longer the more often it was no face."""
        before = [no for no in self._rejected if no.is_about(head)]
        frames = max((2 * no.frames for no in before), default=_REJECTED_FRAMES)
        self._rejected = [no for no in self._rejected if no not in before]
        self._rejected.append(_Rejected(head=head, frames=min(frames, _REJECTED_FRAMES_MOST)))

    def _look_closer(self, heads: Sequence[Box], look: Look) -> list[_Closer]:
        crops = [
            crop_around(*head.centre, crop_side(head, self.aspect), self.aspect) for head in heads
        ]
        closer = []
        for head, crop, probabilities in zip(
            heads, crops, look(crops) if crops else [], strict=True
        ):
            here = self._in_crop(probabilities, crop)
            closer.append((crop, probabilities, _nearest(here, head), here))
        return closer

    def _track_for(self, own: Sighting, crop: Box, seconds: float) -> _Track:
        """The lost track that this face continues, or a new one."""
        lost = [track for track in self._tracks if not track.is_present]
        lost = [track for track in lost if _may_be_same(track.head, own.head)]
        if lost:
            back = min(lost, key=lambda track: _gap(track.head, own.head))
            self._tracks.remove(back)
            track_id = back.track_id
        else:
            track_id = self._next_id
            self._next_id += 1
        track = _Track(
            track_id=track_id, head=own.head, crop=crop, score=own.score, seen_seconds=seconds
        )
        self._tracks.append(track)
        return track

    def _merge(self, seen: list[_View]) -> None:
        """Two tracks on one face: the older one stays."""
        seen.sort(key=lambda view: view.track.track_id)
        kept: list[_View] = []
        for view in seen:
            if is_one_of(view.own.face, [other.own.face for other in kept]):
                self._tracks.remove(view.track)
            else:
                kept.append(view)
        seen[:] = kept

    def _faces(self, seen: Sequence[_View]) -> tuple[TrackedFace, ...]:
        faces = [
            TrackedFace(
                track_id=view.track.track_id,
                head=view.own.head,
                score=view.own.score,
                crop=view.crop,
                probabilities=view.probabilities,
                foreign=_foreign(view, seen),
            )
            for view in seen
        ]
        return tuple(sorted(faces, key=lambda face: (-face.head.area, face.track_id)))


@dataclass(eq=False)
class _View:
    """One followed face in the current frame."""

    track: _Track
    crop: Box
    probabilities: Probabilities
    own: Sighting
    here: list[Sighting]


def _foreign(view: _View, seen: Iterable[_View]) -> Mask | None:
    """The cells of a crop that show somebody else: another followed head, or a face beside."""
    rows, columns = view.own.cells.shape
    crop = view.crop
    cells = np.zeros((rows, columns), np.bool_)
    for other in seen:
        if other is view:
            continue
        head = other.own.head
        # a cell of margin: borders are blurred
        left = math.floor((head.left - crop.left) / crop.width * columns) - 1
        right = math.ceil((head.right - crop.left) / crop.width * columns) + 1
        top = math.floor((head.top - crop.top) / crop.height * rows) - 1
        bottom = math.ceil((head.bottom - crop.top) / crop.height * rows) + 1
        cells[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = True
    for beside in view.here:
        if _gap(beside.head, view.own.head) > _BESIDE and beside.parts > 0.5:
            cells |= beside.cells
    cells &= ~view.own.cells
    return cells if cells.any() else None


def _gap(first: Box, second: Box) -> float:
    """Between two heads' middles, in the larger one's heights."""
    (x0, y0), (x1, y1) = first.centre, second.centre
    return math.hypot(x1 - x0, y1 - y0) / max(first.height, second.height)


def _may_be_same(lost: Box, found: Box) -> bool:
    """Whether a face may have come from there within an absence."""
    ratio = found.height / lost.height
    return _gap(lost, found) < 1.5 and 0.5 < ratio < 2.0


def _nearest(here: Sequence[Sighting], head: Box) -> Sighting | None:
    """The sighting that continues a head: the nearest of those that are not far off."""
    near = [seen for seen in here if _gap(seen.head, head) < 0.7 and seen.score > 0]
    return min(near, key=lambda seen: _gap(seen.head, head) - 0.3 * seen.score, default=None)


def _fits(crop: Box, head: Box, aspect: float) -> bool:
    """Whether a crop is about the one that would be planned around a head."""
    ratio = crop_side(head, aspect) / crop.height
    (x0, y0), (x1, y1) = crop.centre, head.centre
    return 0.8 < ratio < 1.25 and max(abs(x1 - x0), abs(y1 - y0)) < 0.12 * crop.height


def _reaches_into(head: Box, height: int, width: int) -> bool:
    """Whether a sighting lies in the picture, not in a letterbox's bands."""
    x, y = head.centre
    return 0 <= x <= width and 0 <= y <= height
