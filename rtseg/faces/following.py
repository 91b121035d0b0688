"""Follow faces through a stream: search near known faces, search for new ones, match both.

What runs the networks comes in as callables. Everything depends only on the pictures and their
times, so the same input gives the same faces twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.confirmation import UNKNOWN_SCORE, face_probability, is_surely_a_face
from rtseg.faces.foreign import foreign_cells
from rtseg.faces.held import HeldRegions
from rtseg.faces.overlap import is_one_of
from rtseg.faces.parsed_faces import ParsedFace, distinct_parsed, faces_in_crop, nearest
from rtseg.faces.refine import fits
from rtseg.faces.schedule import RejectedPlaces, Schedule
from rtseg.faces.scoring import Mask
from rtseg.faces.second_finder import SecondFinder
from rtseg.faces.track import Track, planned_roll
from rtseg.faces.tracker import FaceTracker
from rtseg.faces.turned_away import head_without_face
from rtseg.frames import Box, Image, Probabilities
from rtseg.geometry.crop import Crop, crop_around, crop_side, wrapped
from rtseg.labels import LabelSet
from rtseg.settings import FaceSettings

_NEW_A_FRAME = 2  # at most so many new faces are looked at closely in a frame of a stream
_SUGGESTED = 0.3  # promise from which a face beside a followed one is worth a look
_OTHER_TURNS = (90.0, -90.0, 180.0)  # degrees, of a doubtful face's crop
_MAY_BE_ONE = 0.3  # of the least score: what scores as much is soon looked at again
_WORTH_TURNING = 0.1  # score of a doubtful place from which it is looked at turned
_TURNED = 3  # so many doubtful faces of a still are looked at turned
_DOUBTFUL = 8  # places more than there may be faces, at most, are looked at closely in a still
_CORRECTIONS = 1  # at most so many further looks, where a new face's crop was off


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFace:
    """A face in the current picture.

    Attributes:
        track_id: the same from picture to picture, counting from 1.
        head: the upright rectangle around face and hair, pixels; steadied over time.
        face: the upright rectangle around the face alone, forehead to chin; steadied as well.
        score: how sure it is a face, 0..1.
        crop: what was looked at; may reach over the picture's edges.
        probabilities: of the crop.
        foreign: bool (rows, columns), cells that belong to another followed face; None if none do.
    """

    track_id: int
    head: Box
    face: Box
    score: float
    crop: Crop
    probabilities: Probabilities
    foreign: Mask | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class CloserLook:
    """What may be a face in its own crop.

    Attributes:
        crop, probabilities: what was looked at, and what the network labels it.
        own: the face that the crop is about.
        here: everything that was read off it.
        detection: what a tracker sees of it.
    """

    crop: Crop
    probabilities: Probabilities
    own: ParsedFace
    here: list[ParsedFace]
    detection: FaceDetection


class FaceFollower:
    """Finds faces and follows them from picture to picture. State of one stream.

    Args:
        label_set: of the network that labels faces; must say which ids make up a face.
        settings: how often to look for new faces, how many to follow, how long to hold.
        finder: what finds new ones.
        schedule: when the finder looks where.
        second: looks with the labelling network besides, in streams; None for no other.
        aspect: width over height of the labelling network's input.
    """

    def __init__(
        self,
        label_set: LabelSet,
        settings: FaceSettings,
        *,
        finder: FaceFinder,
        schedule: Schedule,
        second: SecondFinder | None = None,
        aspect: float = 1.0,
    ) -> None:
        self.label_set = label_set
        self.settings = settings
        self.finder = finder
        self.schedule = schedule
        self.second = second
        self.aspect = aspect
        self.tracker = FaceTracker(max_faces=settings.max_faces, aspect=aspect)
        self._held = HeldRegions(seconds=settings.hold)
        self.reset()

    def reset(self) -> None:
        """Forget every face: what comes next has nothing to do with what was. Ids go on."""
        self.tracker.reset()
        self.finder.reset()
        self.schedule.reset()
        if self.second is not None:
            self.second.reset()
        self._held.reset()
        self._rejected = RejectedPlaces()

    @property
    def held(self) -> tuple[Box, ...]:
        """Where faces were lost so lately that privacy views still hide the place, pixels."""
        return self._held.boxes

    def step(
        self,
        picture: Image,
        infer_crops: InferCrops,
        *,
        seconds: float,
        infer_finder: InferCrops | None = None,
        exhaustive: bool = False,
    ) -> tuple[TrackedFace, ...]:
        """Where the faces of the next picture are.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer_crops: runs the labelling network on parts of it.
            seconds: the picture's time; a lost face keeps its id for half a second.
            infer_finder: runs the finder's network; the same one if not given.
            exhaustive: look everywhere at once, as at a still.

        Returns:
            The faces in the picture, largest first.
        """
        self.tracker.forget(seconds=seconds)
        self._rejected.next_frame()
        tracks = self.tracker.tracks
        regions = self._regions(picture, tracks, exhaustive=exhaustive)
        views = self._followed(tracks, infer_crops)
        known = _expected(tracks, views)
        if self.second is not None and not exhaustive and not self._is_full(tracks):
            found = self.second(picture, infer_crops, known=known)
            others = self._believed(found, infer_crops)
            views += others
            known += [view.own.face for view in others]
        if regions:
            found = self.finder(picture, infer_finder or infer_crops, regions=regions, known=known)
            found = [*found, *_beside(views, known)]
            views += self._fresh(
                found, known, infer_crops, size=picture.shape[:2], exhaustive=exhaustive
            )
        owners = self.tracker.update([view.detection for view in views], seconds=seconds)
        seen = [
            (view, track) for view, track in zip(views, owners, strict=True) if track is not None
        ]
        self._held.update([track.bounds for _, track in seen], self.tracker.tracks, seconds=seconds)
        return self._faces(seen)

    def _believed(
        self, found: Sequence[FaceDetection], infer_crops: InferCrops
    ) -> list[CloserLook]:
        """Closer looks at what has been looked at once, that show a face again."""
        looked = self.look_closely(found[:_NEW_A_FRAME], infer_crops)
        least = self.settings.min_score
        return [view for view in looked if view is not None and view.detection.score >= least]

    def _is_full(self, tracks: Sequence[Track]) -> bool:
        return sum(track.is_present for track in tracks) >= self.settings.max_faces

    def _regions(self, picture: Image, tracks: Sequence[Track], *, exhaustive: bool) -> list[Crop]:
        height, width = picture.shape[:2]
        if exhaustive:
            return self.schedule.exhaustive(height, width)
        if not tracks:
            return self.schedule.searching(height, width)
        if self._is_full(tracks):
            return []
        if not all(track.is_present for track in tracks):
            return self.schedule.missing(height, width)
        return self.schedule.following(height, width)

    def _followed(self, tracks: Sequence[Track], infer_crops: InferCrops) -> list[CloserLook]:
        """What is seen in the crop of each followed face: every face that may be it."""
        crops = [track.crop for track in tracks]
        views: list[CloserLook] = []
        for track, crop, probabilities in zip(
            tracks, crops, infer_crops(crops) if crops else [], strict=True
        ):
            here = faces_in_crop(probabilities, crop, self.label_set)
            views += [
                CloserLook(
                    crop=crop,
                    probabilities=probabilities,
                    own=own,
                    here=here,
                    detection=own.detection(track_id=track.track_id),
                )
                for own in here
            ]
            hair = None
            if track.is_present:
                hair = head_without_face(probabilities, crop, self.label_set, track)
            if hair is not None:
                away = replace(
                    hair.detection(track_id=track.track_id), score=hair.sure, is_turned_away=True
                )
                views.append(
                    CloserLook(
                        crop=crop,
                        probabilities=probabilities,
                        own=hair,
                        here=here,
                        detection=away,
                    )
                )
        return views

    def _fresh(
        self,
        found: Sequence[FaceDetection],
        known: Sequence[Box],
        infer_crops: InferCrops,
        *,
        size: tuple[int, int],
        exhaustive: bool,
    ) -> list[CloserLook]:
        """Look closely at what a finder has found beside the known faces."""
        fresh = [
            seen
            for seen in found
            if not is_one_of(seen.box, known) and not self._rejected.is_left_alone(seen.box)
        ]
        fresh = fresh[: self.settings.max_faces + _DOUBTFUL if exhaustive else _NEW_A_FRAME]
        looked = self.look_closely(fresh, infer_crops)
        rows, columns = size
        least = self.settings.min_score
        believed = [view is not None and view.detection.score >= least for view in looked]
        # a finder may be sure of a place and wrong about the roll there
        doubtful = [
            index
            for index, is_face in enumerate(believed)
            if not is_face and fresh[index].score >= _WORTH_TURNING
        ]
        doubtful = doubtful[:_TURNED] if exhaustive else []
        turned = [(index, turn) for index in doubtful for turn in _OTHER_TURNS]
        again = self._closer(
            [fresh[index] for index, _ in turned],
            [_crop_of(fresh[index], self.aspect, turn=turn) for index, turn in turned],
            infer_crops,
        )
        for (index, _), view in zip(turned, again, strict=True):
            before = looked[index] if believed[index] else None
            if view is None or view.detection.score < least:
                continue
            # more is asked of what is a face only when one turns the picture
            if not is_surely_a_face(view.own, view.crop, height=rows, width=columns):
                continue
            if before is None or view.own.score > before.own.score:
                looked[index], believed[index] = view, True
        for seen, view, is_face in zip(fresh, looked, believed, strict=True):
            if not is_face:
                may_be_one = view is not None and view.detection.score >= _MAY_BE_ONE * least
                self._rejected.add(seen.box, may_be_one=may_be_one)
        return [
            view
            for view, is_face in zip(looked, believed, strict=True)
            if view is not None and is_face
        ]

    def look_closely(
        self, seen: Sequence[FaceDetection], infer_crops: InferCrops
    ) -> list[CloserLook | None]:
        """What the labels of a crop around each show; None where they show no face."""
        return self._closer(seen, [_crop_of(one, self.aspect) for one in seen], infer_crops)

    def _closer(
        self,
        fresh: Sequence[FaceDetection],
        plans: Sequence[Crop],
        infer_crops: InferCrops,
    ) -> list[CloserLook | None]:
        """What the labels of a crop around each show, and of a better one where it was off."""
        looked: list[CloserLook | None] = [None] * len(fresh)
        again = list(enumerate(plans))
        for attempt in range(1 + _CORRECTIONS):
            crops = [crop for _, crop in again]
            maps = infer_crops(crops) if crops else []
            waiting, again = again, []
            for (index, crop), probabilities in zip(waiting, maps, strict=True):
                view = self._looked(fresh[index], crop, probabilities)
                before = looked[index]
                if view is None or (
                    before is not None and view.own.score < before.own.score - 0.05
                ):
                    continue
                looked[index] = view
                if attempt < _CORRECTIONS and not fits(crop, view.own, aspect=self.aspect):
                    roll = planned_roll(view.own.roll_degrees, crop)
                    side = crop_side(view.own.head, self.aspect)
                    anew = crop_around(*view.own.head.centre, side, self.aspect, roll)
                    again.append((index, anew))
        return looked

    def _looked(
        self, seen: FaceDetection, crop: Crop, probabilities: Probabilities
    ) -> CloserLook | None:
        """A finder's face in its own crop; None where the labels show none."""
        here = faces_in_crop(probabilities, crop, self.label_set)
        own = nearest(here, seen.head or seen.box)
        if own is None:
            return None
        score = face_probability(seen.score, own.score, height=own.face.height)
        return CloserLook(
            crop=crop,
            probabilities=probabilities,
            own=own,
            here=here,
            detection=replace(own.detection(), score=score),
        )

    def _faces(self, seen: Sequence[tuple[CloserLook, Track]]) -> tuple[TrackedFace, ...]:
        faces = []
        for view, track in seen:
            others = [
                Crop(box=other.own.head, roll_degrees=other.crop.roll_degrees)
                for other, whose in seen
                if whose is not track
            ]
            foreign = foreign_cells(
                view.crop,
                view.own,
                heads=others,
                beside=view.here,
                rows=view.probabilities.shape[0],
            )
            faces.append(
                TrackedFace(
                    track_id=track.track_id,
                    head=track.bounds,
                    face=track.face,
                    score=view.detection.score,
                    crop=view.crop,
                    probabilities=view.probabilities,
                    foreign=foreign,
                )
            )
        return tuple(sorted(faces, key=lambda face: (-face.head.area, face.track_id)))


def _expected(tracks: Sequence[Track], views: Sequence[CloserLook]) -> list[Box]:
    """The faces that go on, one a track: all else that shows in their crops is to be found."""
    known = []
    for track in tracks:
        mine = [
            view.own
            for view in views
            if view.detection.track_id == track.track_id and not view.detection.is_turned_away
        ]
        own = nearest(mine, track.head)
        if own is not None:
            known.append(own.face)
    return known


def _beside(views: Sequence[CloserLook], known: Sequence[Box]) -> list[FaceDetection]:
    """Other people's faces in the crops of followed ones: the finder has not said a thing."""
    others = [
        view.own
        for view in views
        if not view.detection.is_turned_away
        and view.own.promise >= _SUGGESTED
        and not is_one_of(view.own.face, known)
    ]
    return [replace(own.detection(), score=UNKNOWN_SCORE) for own in distinct_parsed(others)]


def _crop_of(seen: FaceDetection, aspect: float, *, turn: float = 0.0) -> Crop:
    """The crop around a detection, turned further by some degrees."""
    head = seen.head or seen.box
    roll = planned_roll(seen.roll_degrees, Crop(box=head))
    side = crop_side(head, aspect)
    return crop_around(*head.centre, side, aspect, wrapped(roll + turn))
