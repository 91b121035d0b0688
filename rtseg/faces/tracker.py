"""Finding faces and following them: look, follow, welcome, merge.

Pure geometry over label probabilities: what runs the network comes in as a callable. Everything
depends only on the frames and their times, so the same input gives the same tracks twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from rtseg.faces.detections import FaceDetection, distinct, is_one_of, read_detections, readable
from rtseg.faces.refine import MIN_COARSE_CELLS, InferCrops, Refined, Refiner, nearest
from rtseg.faces.rejected import Rejected
from rtseg.faces.schedule import Schedule
from rtseg.faces.scoring import Mask
from rtseg.faces.track import Track, gap, may_be_same
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet
from rtseg.settings import FaceSettings

_SEEN = 0.3  # promise from which a coarse look is worth a closer one
_CLOSER_LOOKS, _CLOSER_LOOKS_STILL = 2, 12  # at most so many new faces a frame, a still
_CONFIRMED = 0.87  # score in its own crop from which a face is followed
# … and how surely its upper and its lower parts must be seen, where the frame does not cut it: a
# cat may pass for a face, by its eyes, and has neither nose nor mouth
_CERTAIN = 0.55
_CONFIRMED_TURNED = 0.94  # more is asked of what is a face only when one turns the picture
# A crop of fewer pixels than cells are read shows little: a logo passes for a face in it.
_CONFIRMED_TINY = 0.94
_CUT = 0.05  # of its height from the frame's edge, a face is cut
_KEPT = 0.3  # score below which a followed face is lost from sight
_MIN_HEAD = 0.04  # of the frame's shorter side; what is smaller is a pattern more often than a face
_BESIDE = 0.6  # so many heights of the head away, it is another head and no part of this one
_ABSENCE_SECONDS = 0.5  # for so long a lost face keeps its id


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFace:
    """A face in the current frame.

    Attributes:
        track_id: the same from frame to frame, counting from 1.
        head: the upright rectangle around face and hair, frame pixels; steadied over time.
        score: how sure it is a face, 0..1.
        crop: what was looked at; may reach over the frame's edges.
        probabilities: of the crop.
        foreign: bool (rows, columns), cells that belong to another followed face; None if none do.
    """

    track_id: int
    head: Box
    score: float
    crop: Crop
    probabilities: Probabilities
    foreign: Mask | None = None


@dataclass(eq=False)
class _View:
    """One followed face in the current frame."""

    track: Track
    crop: Crop
    probabilities: Probabilities
    own: FaceDetection
    here: list[FaceDetection]


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
        self._schedule = Schedule(every=settings.detect_every, aspect=aspect, stretch=stretch)
        self._closer = Refiner(label_set, aspect=aspect)
        self._next_id = 1
        self._size = 0, 0
        self.reset()

    def reset(self) -> None:
        """Forget every face: what comes next has nothing to do with what was. Ids go on."""
        self._tracks: list[Track] = []
        self._rejected = Rejected()
        self._schedule.reset()

    def step(
        self,
        height: int,
        width: int,
        infer_crops: InferCrops,
        *,
        seconds: float,
        exhaustive: bool = False,
    ) -> tuple[TrackedFace, ...]:
        """Where the faces of the next frame are.

        Args:
            height, width: of the frame, pixels.
            infer_crops: runs the network on parts of it; called once, and up to five times more
                where something new has come in sight.
            seconds: the frame's time; a lost face keeps its id for half a second.
            exhaustive: look at every tile and closer at more of what is seen, as at a still.

        Returns:
            The faces in the frame, largest first.
        """
        self._size = height, width
        self._forget(seconds)
        self._rejected.next_frame()
        coarse = self._coarse_regions(height, width, exhaustive=exhaustive)
        followed = list(self._tracks)
        crops = [track.crop for track in followed]
        maps = infer_crops([*crops, *coarse])
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
            seen += self._welcome(
                distinct(found), infer_crops, seconds, known=seen, exhaustive=exhaustive
            )
        self._merge(seen)
        return self._faces(seen)

    def _forget(self, seconds: float) -> None:
        self._tracks = [
            track
            for track in self._tracks
            if track.is_present or 0 <= seconds - track.seen_seconds <= _ABSENCE_SECONDS
        ]

    def _coarse_regions(self, height: int, width: int, *, exhaustive: bool) -> list[Crop]:
        if exhaustive:
            return self._schedule.exhaustive(height, width)
        if not self._tracks:
            return self._schedule.searching(height, width)
        present = sum(track.is_present for track in self._tracks)
        if present >= self.settings.max_faces:  # no room for another
            return []
        if present < len(self._tracks):
            return self._schedule.missing(height, width)
        return self._schedule.following(height, width)

    def _candidates(
        self, coarse: Sequence[Crop], maps: Sequence[Probabilities], seen: Iterable[_View]
    ) -> list[FaceDetection]:
        """What may be a face: in the whole picture, its tiles, and beside the followed faces."""
        found = [beside for view in seen for beside in view.here]
        for region, probabilities in zip(coarse, maps, strict=True):
            found += read_detections(
                readable(probabilities),
                region,
                self.label_set,
                min_cells=MIN_COARSE_CELLS,
                bridge=0,
            )
        return [detection for detection in found if detection.promise >= _SEEN]

    def _follow(
        self, views: Iterable[tuple[Track, Crop, Probabilities]], seconds: float
    ) -> list[_View]:
        """Find each followed face in its own crop."""
        seen = []
        for track, crop, probabilities in views:
            here = self._closer.read(probabilities, crop)
            own = nearest(here, track.head)
            wanted = _KEPT if track.is_present else _CONFIRMED
            if own is None or own.score < wanted:
                track.is_present = False
                continue
            track.follow(own, seconds=seconds, aspect=self.aspect)
            seen.append(_View(track, crop, probabilities, own, here))
        return seen

    def _welcome(
        self,
        found: Sequence[FaceDetection],
        infer_crops: InferCrops,
        seconds: float,
        *,
        known: list[_View],
        exhaustive: bool,
    ) -> list[_View]:
        """Look closer at what the coarse pass saw, and follow what is a face."""
        faces = [view.own.face for view in known]
        fresh = [
            detection
            for detection in found
            if not is_one_of(detection.face, faces)
            and not self._rejected.is_left_alone(detection.head)
        ]
        room = max(0, self.settings.max_faces - len(known))
        if not room:
            return []
        limit = _CLOSER_LOOKS_STILL if exhaustive else _CLOSER_LOOKS
        fresh = sorted(fresh, key=lambda detection: -detection.promise)[:limit]
        looked_at = self._refine(fresh, infer_crops, exhaustive=exhaustive)
        # where there is no room for all, the largest come in
        looked_at.sort(key=lambda closer: -closer.own.head.area if closer.own else 0.0)
        seen: list[_View] = []
        for closer in looked_at:
            own = closer.own
            if len(seen) == room:
                break
            if own is None or is_one_of(own.face, [view.own.face for view in (*known, *seen)]):
                continue
            track = self._track_for(own, closer.crop, seconds)
            track.follow(own, seconds=seconds, aspect=self.aspect)
            seen.append(_View(track, closer.crop, closer.probabilities, own, closer.here))
        return seen

    def _refine(
        self, fresh: Sequence[FaceDetection], infer_crops: InferCrops, *, exhaustive: bool
    ) -> list[Refined]:
        """The looks that show a face; the places of the others are remembered."""
        looks = list(zip(fresh, self._closer.at(fresh, infer_crops), strict=True))
        confirmed = [closer for _, closer in looks if _is_face(closer, *self._size)]
        doubtful = [coarse for coarse, closer in looks if not _is_face(closer, *self._size)]
        # every second time, and one at a time: few heads lie on their side
        lying = [seen for seen in doubtful if exhaustive or self._rejected.tries(seen.head) % 2]
        lying = lying if exhaustive else lying[:1]
        for coarse, closer in zip(lying, self._closer.sideways(lying, infer_crops), strict=True):
            if _is_face(closer, *self._size):
                confirmed.append(closer)
                doubtful.remove(coarse)
        for coarse in doubtful:
            self._rejected.add(coarse.head)
        return confirmed

    def _track_for(self, own: FaceDetection, crop: Crop, seconds: float) -> Track:
        """The lost track that this face continues, or a new one."""
        lost = [track for track in self._tracks if not track.is_present]
        lost = [track for track in lost if may_be_same(track.head, own.head)]
        if lost:
            back = min(lost, key=lambda track: gap(track.head, own.head))
            self._tracks.remove(back)
            track_id = back.track_id
        else:
            track_id = self._next_id
            self._next_id += 1
        track = Track(
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
                head=view.track.bounds,
                score=view.own.score,
                crop=view.crop,
                probabilities=view.probabilities,
                foreign=_foreign(view, seen),
            )
            for view in seen
        ]
        return tuple(sorted(faces, key=lambda face: (-face.head.area, face.track_id)))


def _is_face(closer: Refined, height: int, width: int) -> bool:
    wanted = _CONFIRMED if closer.crop.is_upright else _CONFIRMED_TURNED
    if closer.own is not None and closer.crop.box.height < closer.own.cells.shape[0]:
        wanted = max(wanted, _CONFIRMED_TINY)
    return closer.score >= wanted and (
        closer.own is None
        or closer.own.certain >= _CERTAIN
        or _is_cut_by(closer.own.face, height, width)
    )


def _is_cut_by(face: Box, height: int, width: int) -> bool:
    """Whether part of a face lies beyond the frame."""
    slack = _CUT * face.height
    inside = face.left > slack and face.right < width - slack
    return not (inside and face.top > slack and face.bottom < height - slack)


def _foreign(view: _View, seen: Sequence[_View]) -> Mask | None:
    """The cells of a crop that show somebody else: another followed head, or a face beside."""
    cells = np.zeros_like(view.own.cells)
    for other in seen:
        if other is not view:
            head = Crop(box=other.own.head, roll_degrees=other.crop.roll_degrees)
            cells |= _cells_on(view.crop, head, *cells.shape)
    for beside in view.here:
        if gap(beside.head, view.own.head) > _BESIDE and beside.parts > 0.5:
            cells |= beside.cells
    cells &= ~view.own.cells
    if not cells.any():
        return None
    # a cell that was read is a block of the map's
    block = view.probabilities.shape[0] // cells.shape[0]
    return cells.repeat(block, axis=0).repeat(block, axis=1)


def _cells_on(crop: Crop, head: Crop, rows: int, columns: int) -> Mask:
    """The cells of a crop that lie on a head, with a cell of margin, as borders are blurred."""
    box = crop.box
    step_x, step_y = box.width / columns, box.height / rows
    x, y = np.meshgrid(
        box.left + (np.arange(columns) + 0.5) * step_x, box.top + (np.arange(rows) + 0.5) * step_y
    )
    x, y = head.from_frame(*crop.to_frame(x, y))
    margin_x, margin_y = 1.5 * step_x, 1.5 * step_y
    on: Mask = (x > head.box.left - margin_x) & (x < head.box.right + margin_x)
    on &= (y > head.box.top - margin_y) & (y < head.box.bottom + margin_y)
    return on


def _reaches_into(head: Box, height: int, width: int) -> bool:
    """Whether a detection lies in the picture, not in a letterbox's bands."""
    x, y = head.centre
    return 0 <= x <= width and 0 <= y <= height
