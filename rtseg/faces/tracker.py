"""Match detections to tracks, so that ids persist. Uses geometry and times only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rtseg.faces.base import FaceDetection
from rtseg.faces.overlap import is_one_of, is_same
from rtseg.faces.track import Track, gap, may_be_same
from rtseg.frames import Box
from rtseg.geometry.crop import crop_around, crop_side

KEPT_SCORE = 0.3
"""A followed face with a lower score is lost."""

REGAINED_SCORE = 0.6
"""A lost face is recovered where it was with this score or a higher one."""

ABSENCE_SECONDS = 0.5
"""For this long a lost face keeps its id."""

NEAR = 0.7
"""The farthest that a face moves between pictures, in heights of the head."""

_FAR = 2.5  # heights of the larger of two heads, beyond which neither gets to where the other is

_AWAY_COSTS = 0.5  # penalty, in the same unit, of hair without a face against a visible face


class FaceTracker:
    """A `Tracker` that uses the positions and sizes of faces.

    A face found in a track's own crop continues that track or none. The nearest pairs are matched
    first, over all tracks at once, so that two crossing faces keep their tracks; but a lost track
    never takes a face from one that was seen since, as its crop may show what that one's does. A
    finder's new detection continues a track that was lost nearby, or starts one.

    Args:
        max_faces: the most faces followed at once.
        aspect: width over height of the crops that tracks plan.
    """

    def __init__(self, *, max_faces: int, aspect: float = 1.0) -> None:
        self.max_faces = max_faces
        self.aspect = aspect
        self._next_id = 1
        self._tracks: list[Track] = []

    @property
    def tracks(self) -> Sequence[Track]:
        """See `Tracker`."""
        return tuple(self._tracks)

    def reset(self) -> None:
        """See `Tracker`."""
        self._tracks = []

    def forget(self, *, seconds: float) -> None:
        """Drop the tracks that have been lost for too long."""
        self._tracks = [
            track
            for track in self._tracks
            if track.is_present or 0 <= seconds - track.seen_seconds <= ABSENCE_SECONDS
        ]

    def update(
        self,
        detections: Sequence[FaceDetection],
        *,
        seconds: float,
        occupied: Sequence[Box] = (),
    ) -> Sequence[Track | None]:
        """See `Tracker`."""
        self.forget(seconds=seconds)
        owners: list[Track | None] = [None] * len(detections)
        for index, continued in self._continued(detections, occupied):
            owners[index] = continued
        for track in self._tracks:
            track.is_present = False
        for detection, owner in zip(detections, owners, strict=True):
            if owner is not None:
                owner.follow(detection, seconds=seconds, aspect=self.aspect)
        self._begin(detections, owners, occupied, seconds=seconds)
        return owners

    def _continued(
        self, detections: Sequence[FaceDetection], occupied: Sequence[Box]
    ) -> list[tuple[int, Track]]:
        """Match detections to tracks, those seen last and the nearest pairs first."""
        by_id = {track.track_id: track for track in self._tracks}
        pairs: list[tuple[float, float, int, Track]] = []
        for index, detection in enumerate(detections):
            track = by_id.get(detection.track_id) if detection.track_id is not None else None
            if track is None:
                continue
            apart = gap(_head(detection), track.head)
            least = KEPT_SCORE if track.is_present else REGAINED_SCORE
            if not track.is_present and is_somebody_else(track, detection, occupied):
                continue
            if apart < NEAR and detection.score >= least:
                cost = _cost(apart, detection.score) + _AWAY_COSTS * detection.is_turned_away
                pairs.append((-track.seen_seconds, cost, index, track))
        pairs.sort(key=lambda pair: (pair[0], pair[1], pair[3].track_id))
        chosen: list[tuple[int, Track]] = []
        for _, _, index, track in pairs:
            chosen_boxes = [detections[other].box for other, _ in chosen]
            is_free = all(track is not other for _, other in chosen)
            if is_free and not is_one_of(detections[index].box, chosen_boxes):
                chosen.append((index, track))
        return chosen

    def _begin(
        self,
        detections: Sequence[FaceDetection],
        owners: list[Track | None],
        occupied: Sequence[Box],
        *,
        seconds: float,
    ) -> None:
        """Assign new detections to tracks, the largest first if there is not room for all."""
        followed_boxes = [
            detections[index].box for index, track in enumerate(owners) if track is not None
        ]
        fresh = [index for index, detection in enumerate(detections) if detection.track_id is None]
        fresh.sort(key=lambda index: -_head(detections[index]).area)
        chosen: list[int] = []
        for index in fresh:
            if len(followed_boxes) >= self.max_faces:
                break
            if not is_one_of(detections[index].box, followed_boxes):
                chosen.append(index)
                followed_boxes.append(detections[index].box)
        back = self._back({index: detections[index] for index in chosen}, occupied)
        for index in chosen:
            track = self._begun(detections[index], back.get(index), seconds=seconds)
            track.follow(detections[index], seconds=seconds, aspect=self.aspect)
            owners[index] = track

    def _back(
        self, fresh: Mapping[int, FaceDetection], occupied: Sequence[Box]
    ) -> dict[int, Track]:
        """The lost tracks that new detections continue, by the detections' names.

        First those at the place of a lost face, of which the one that was seen last was there; then
        the nearest pairs, over all at once.
        """
        pairs: list[tuple[bool, float, float, int, Track]] = []
        for name, detection in fresh.items():
            head = _head(detection)
            for track in self._tracks:
                if track.is_present or is_somebody_else(track, detection, occupied):
                    continue
                is_there = is_same(track.seen_face, detection.box)
                # of a head, labels may have shown a part
                is_as_large = is_there and may_be_same(track.seen_face, detection.box)
                if not is_as_large and not may_be_same(track.head, head):
                    continue
                since = -track.seen_seconds if is_there else 0.0
                pairs.append((not is_there, since, gap(track.head, head), name, track))
        pairs.sort(key=lambda pair: (*pair[:3], pair[4].track_id))
        back: dict[int, Track] = {}
        for _, _, _, name, track in pairs:
            if name not in back and track not in back.values():
                back[name] = track
        return back

    def _begun(self, detection: FaceDetection, lost: Track | None, *, seconds: float) -> Track:
        """Make a track for a detection: with the id of a lost one that it continues, or a new."""
        if lost is not None:
            self._tracks.remove(lost)
            track_id = lost.track_id
        else:
            track_id = self._next_id
            self._next_id += 1
        head = _head(detection)
        side = crop_side(head, self.aspect)
        track = Track(
            track_id=track_id,
            head=head,
            crop=crop_around(*head.centre, side, self.aspect, 0.0),
            score=detection.score,
            seen_seconds=seconds,
        )
        self._tracks.append(track)
        return track


def _head(detection: FaceDetection) -> Box:
    return detection.head or detection.box


def is_somebody_else(track: Track, detection: FaceDetection, occupied: Sequence[Box]) -> bool:
    """Whether a detection is not where a track's face was lost, and a face is still seen there."""
    if is_same(detection.box, track.seen_face):
        return False
    return any(
        is_same(box, track.seen_face) and not is_same(box, detection.box) for box in occupied
    )


def outdoes_any_hair(detection: FaceDetection, track: Track) -> bool:
    """Whether a visible face continues its track, whatever hair without a face is in the crop.

    That holds unless another track takes the face; see `plainly_visible`.
    """
    apart = gap(_head(detection), track.head)
    return detection.score >= KEPT_SCORE and _cost(apart, detection.score) < (
        _cost(0.0, 1.0) + _AWAY_COSTS
    )


def plainly_visible(tracks: Sequence[Track], detections: Sequence[FaceDetection]) -> frozenset[int]:
    """The ids of tracks that visible faces continue, whatever hair is in their crops.

    Those with a face that outdoes any hair and that no other track can take: the crop of none shows
    the same face, and none that hair may continue is close by.

    Args:
        tracks: the followed faces.
        detections: the visible faces in their crops.
    """
    visible = {
        track.track_id
        for track in tracks
        if any(
            detection.track_id == track.track_id
            and outdoes_any_hair(detection, track)
            and not is_one_of(
                detection.box,
                [other.box for other in detections if other.track_id != track.track_id],
            )
            for detection in detections
        )
    }
    doubtful = [track.head for track in tracks if track.track_id not in visible]
    return frozenset(
        track.track_id
        for track in tracks
        if track.track_id in visible and all(gap(track.head, head) > _FAR for head in doubtful)
    )


def _cost(apart: float, score: float) -> float:
    """The cost of continuing a track with a face, the less the nearer and the surer it is."""
    return apart - 0.3 * score
