"""Follow faces through a stream: search near known faces, search for new ones, match both.

Networks are passed in as functions. Results depend only on the pictures and their times, so the
same input gives the same faces every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from rtseg.faces.anchors import Anchors
from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.candidates import TURNS, CandidateExaminer, FaceCandidate, with_whole_face
from rtseg.faces.changes import SearchedRegions
from rtseg.faces.confirmation import is_clearly_arranged, may_be_face
from rtseg.faces.foreign import foreign_cells
from rtseg.faces.held import HeldRegions
from rtseg.faces.neighbours import faces_beside, faces_that_continue
from rtseg.faces.overlap import is_one_of
from rtseg.faces.parsed_faces import faces_in_crop
from rtseg.faces.schedule import RejectedPlaces, Schedule
from rtseg.faces.scoring import Mask
from rtseg.faces.second_finder import SecondFinder
from rtseg.faces.still_search import StillSearch
from rtseg.faces.track import Track
from rtseg.faces.tracker import FaceTracker, outdoes_any_hair
from rtseg.faces.turned_away import head_without_face
from rtseg.frames import Box, Image, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet
from rtseg.settings import FaceSettings

_NEW_A_FRAME = 2  # at most this many new faces are examined in a frame of a stream
_MAY_BE_ONE = 0.3  # of the least score: what scores as much is soon examined again
_WEAK = 0.3  # finder score below which a stream's candidates wait for each other

SmoothProbabilities = Callable[[int, Probabilities, Crop], Probabilities]
"""Averages what the crop of a track (by its id) shows over time."""


def _as_they_are(_track_id: int, probabilities: Probabilities, _crop: Crop) -> Probabilities:
    return probabilities


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFace:
    """A face in the current picture.

    Attributes:
        track_id: constant from picture to picture, counting from 1.
        head: the upright rectangle around face and hair in pixels, smoothed over time.
        face: the upright rectangle around the face alone, forehead to chin, smoothed as well.
        score: the probability that it is a face, 0..1.
        crop: the rectangle that was labelled; may extend beyond the picture's edges.
        probabilities: the class probabilities of the crop.
        foreign: bool (rows, columns), cells that belong to another followed face; None if none do.
    """

    track_id: int
    head: Box
    face: Box
    score: float
    crop: Crop
    probabilities: Probabilities
    foreign: Mask | None = None


class FaceFollower:
    """Finds faces and follows them from picture to picture. Keeps the state of one stream.

    Args:
        label_set: of the labelling network; must say which ids make up a face.
        settings: how often to search for faces, how many to follow, how long to hold lost ones.
        finder: finds new faces.
        schedule: which regions the finder searches, and when.
        searched: leaves out what has not changed since it was searched, which is for finders whose
            result depends on the picture alone; None searches whatever the schedule says.
        second: also searches streams with the labelling network; None for no second finder.
        aspect: width over height of the labelling network's input.

    Attributes:
        examine: reads the labels of crops around detections.
        still: finds the faces of a still picture.
    """

    def __init__(
        self,
        label_set: LabelSet,
        settings: FaceSettings,
        *,
        finder: FaceFinder,
        schedule: Schedule,
        searched: SearchedRegions | None = None,
        second: SecondFinder | None = None,
        aspect: float = 1.0,
    ) -> None:
        self.label_set = label_set
        self.settings = settings
        self.finder = finder
        self.schedule = schedule
        self.second = second
        self.examine = CandidateExaminer(label_set, aspect=aspect)
        self.still = StillSearch(finder, schedule, self.examine, settings)
        self.tracker = FaceTracker(max_faces=settings.max_faces, aspect=aspect)
        self._held = HeldRegions(seconds=settings.hold)
        self.searched = searched
        self.reset()

    def reset(self) -> None:
        """Forget every face: the next picture is unrelated to the last one. Ids keep counting."""
        self.tracker.reset()
        self.finder.reset()
        self.schedule.reset()
        if self.second is not None:
            self.second.reset()
        self._held.reset()
        if self.searched is not None:
            self.searched.reset()
        self._rejected = RejectedPlaces()
        self._anchors = Anchors()

    @property
    def held(self) -> tuple[Box, ...]:
        """Boxes, in pixels, of heads lost so recently that privacy views still hide them."""
        return self._held.boxes

    def step(
        self,
        picture: Image,
        infer_crops: InferCrops,
        *,
        seconds: float,
        infer_finder: InferCrops | None = None,
        smooth: SmoothProbabilities | None = None,
        exhaustive: bool = False,
    ) -> tuple[TrackedFace, ...]:
        """Find and follow the faces in the next picture.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer_crops: runs the labelling network on parts of it.
            seconds: the picture's time; a lost face keeps its id for half a second.
            infer_finder: runs the finder's network; the same one if not given.
            smooth: averages the labels of a followed face over time, once per frame.
            exhaustive: search the whole of it at once, as for a still picture.

        Returns:
            The faces in the picture, largest first.
        """
        self.tracker.forget(seconds=seconds)
        self._rejected.next_frame()
        if self.searched is not None:
            self.searched.next_frame(picture)
        tracks = self.tracker.tracks
        regions = [] if exhaustive else self._regions(picture, tracks)
        candidates = self._followed(tracks, infer_crops, smooth or _as_they_are)
        known_faces = faces_that_continue(tracks, candidates)
        if self.second is not None and not exhaustive and not self._is_full(tracks):
            detections = self.second(picture, infer_crops, known=known_faces)
            confirmed = self._confirmed_again(detections, infer_crops)
            candidates += confirmed
            known_faces += [candidate.parsed.face for candidate in confirmed]
        infer = infer_finder or infer_crops
        seen: Sequence[FaceDetection] = []
        if exhaustive:
            candidates += self.still(picture, infer, infer_crops)
        else:
            if regions:
                seen = self.finder(picture, infer, regions=regions, known=known_faces)
            candidates = [with_whole_face(candidate, seen) for candidate in candidates]
            detections = [*seen, *faces_beside(candidates, known_faces)]
            fresh, is_settled = self._fresh(detections, known_faces, infer_crops)
            candidates += fresh
            if self.searched is not None:
                self.searched.add(regions, is_settled=is_settled)
        owners = self.tracker.update(
            [candidate.detection for candidate in candidates], seconds=seconds
        )
        for candidate, track in zip(candidates, owners, strict=True):
            # a place such as the neck below a followed face, which led to that face again
            if track is None and candidate.suggested is not None:
                self._rejected.add(candidate.suggested)
        followed = [
            (candidate, track)
            for candidate, track in zip(candidates, owners, strict=True)
            if track is not None
        ]
        labelled = {track.track_id: candidate.parsed.face for candidate, track in followed}
        self._anchors.update(labelled, seen, seconds=seconds)
        self._held.update(
            [track.bounds for _, track in followed], self.tracker.tracks, seconds=seconds
        )
        return self._faces(followed, smooth or _as_they_are)

    def _confirmed_again(
        self, detections: Sequence[FaceDetection], infer_crops: InferCrops
    ) -> list[FaceCandidate]:
        """Those of the second finder's detections whose own crops show a face again."""
        candidates = self.examine(
            detections[:_NEW_A_FRAME], infer_crops, beside=self._anchors.boxes
        )
        return [candidate for candidate in candidates if self._is_face(candidate)]

    def _is_full(self, tracks: Sequence[Track]) -> bool:
        return sum(track.is_present for track in tracks) >= self.settings.max_faces

    def _regions(self, picture: Image, tracks: Sequence[Track]) -> list[Crop]:
        height, width = picture.shape[:2]
        if self._is_full(tracks):
            return []
        if not all(track.is_present for track in tracks):
            return self.schedule.missing(height, width)
        # changes inside the crops of followed faces need no search: those are labelled anyway
        known = [track.crop.box for track in tracks if track.crop.is_upright]

        def worth(region: Crop) -> bool:
            return self.searched is None or self.searched.is_worth_searching(region, known=known)

        if not tracks:
            return self.schedule.searching(height, width, worth=worth)
        return self.schedule.following(height, width, worth=worth)

    def _followed(
        self, tracks: Sequence[Track], infer_crops: InferCrops, smooth: SmoothProbabilities
    ) -> list[FaceCandidate]:
        """Every face in the crops of the followed ones: each may be the followed face."""
        crops = [track.crop for track in tracks]
        candidates: list[FaceCandidate] = []
        for track, crop, inferred in zip(
            tracks, crops, infer_crops(crops) if crops else [], strict=True
        ):
            probabilities = smooth(track.track_id, inferred, crop)
            all_parsed = faces_in_crop(
                probabilities, crop, self.label_set, boxes=self._anchors.boxes
            )
            of_track = [
                FaceCandidate(
                    crop=crop,
                    probabilities=probabilities,
                    parsed=parsed,
                    all_parsed=all_parsed,
                    detection=parsed.detection(track_id=track.track_id),
                ).with_proportion(track.proportion, within=self._anchors.of(track.track_id))
                for parsed in all_parsed
            ]
            candidates += of_track
            hair = None
            # hair cannot win against a face that is plainly visible, and is not looked for then
            if track.is_present and not (
                len(tracks) == 1
                and any(outdoes_any_hair(candidate.detection, track) for candidate in of_track)
            ):
                hair = head_without_face(probabilities, crop, self.label_set, track)
            if hair is not None:
                away = replace(
                    hair.detection(track_id=track.track_id), score=hair.sure, is_turned_away=True
                )
                candidates.append(
                    FaceCandidate(
                        crop=crop,
                        probabilities=probabilities,
                        parsed=hair,
                        all_parsed=all_parsed,
                        detection=away,
                    )
                )
        return candidates

    def _fresh(
        self,
        detections: Sequence[FaceDetection],
        known_faces: Sequence[Box],
        infer_crops: InferCrops,
    ) -> tuple[list[FaceCandidate], bool]:
        """Examine a finder's detections apart from the known faces.

        Returns:
            The confirmed ones, and whether nothing is left to be examined again soon.
        """
        unknown = [
            detection for detection in detections if not is_one_of(detection.box, known_faces)
        ]
        left_alone = [
            detection for detection in unknown if self._rejected.is_left_alone(detection.box)
        ]
        fresh = [detection for detection in unknown if detection not in left_alone]
        chosen = self._worth_examining_now(fresh)
        # where nothing changes, it is searched again only for places that are to be examined again
        is_settled = len(chosen) == len(fresh) and not any(map(self._has_turns_left, left_alone))
        candidates = self._examined_in_turn(chosen, infer_crops, known=known_faces)
        for detection, candidate in zip(chosen, candidates, strict=True):
            if not self._is_face(candidate):
                may_be_one = self._is_face(candidate, _MAY_BE_ONE)
                self._rejected.add(
                    detection.box,
                    may_be_one=may_be_one,
                    rotation_fits=may_be_one
                    or (
                        candidate is not None
                        and is_clearly_arranged(candidate.parsed, candidate.crop)
                    ),
                )
                is_settled = is_settled and not (may_be_one or self._has_turns_left(detection))
        return [candidate for candidate in candidates if self._is_face(candidate)], is_settled

    def _examined_in_turn(
        self, detections: Sequence[FaceDetection], infer_crops: InferCrops, *, known: Sequence[Box]
    ) -> list[FaceCandidate | None]:
        """Examine detections; every second time that a place is tried, in a crop that is rotated
        otherwise than the finder says, unless the last crop's rotation fits.
        """
        candidates: list[FaceCandidate | None] = []
        beside = self._anchors.boxes
        for detection in detections:
            tries = self._rejected.tries(detection.box)
            if (
                tries % 2
                and may_be_face(detection, min_score=self.settings.min_score)
                and not self._rejected.rotation_fits(detection.box)
            ):
                by = TURNS[tries // 2 % len(TURNS)]
                candidates += self.examine.turned(
                    [detection], infer_crops, by=[by], known=known, beside=beside
                )
            else:
                candidates += self.examine([detection], infer_crops, known=known, beside=beside)
        return candidates

    def _has_turns_left(self, detection: FaceDetection) -> bool:
        """Whether a place still has to be examined in crops that are rotated otherwise."""
        return self._rejected.tries(detection.box) < 2 * len(TURNS) and may_be_face(
            detection, min_score=self.settings.min_score
        )

    def _is_face(
        self, candidate: FaceCandidate | None, share: float = 1.0
    ) -> TypeGuard[FaceCandidate]:
        """Whether a candidate reaches the least score, or a share of it."""
        return (
            candidate is not None and candidate.detection.score >= share * self.settings.min_score
        )

    def _worth_examining_now(self, fresh: Sequence[FaceDetection]) -> list[FaceDetection]:
        """Choose a frame's detections: strong ones at once, a weak one every few frames.

        A finder suggests weak places in nearly every picture, and each one costs as much as a
        followed face. Those that were examined least often come first, so that none starves.
        """
        chosen = [detection for detection in fresh if detection.score >= _WEAK][:_NEW_A_FRAME]
        weak = [detection for detection in fresh if detection.score < _WEAK]
        if (
            weak
            and len(chosen) < _NEW_A_FRAME
            and self._rejected.may_try_a_weak_place(beside=bool(self.tracker.tracks))
        ):
            chosen.append(min(weak, key=lambda detection: self._rejected.tries(detection.box)))
        return chosen

    def _faces(
        self, followed: Sequence[tuple[FaceCandidate, Track]], smooth: SmoothProbabilities
    ) -> tuple[TrackedFace, ...]:
        faces = []
        for candidate, track in followed:
            others = [
                Crop(box=other.parsed.head, roll_degrees=other.crop.roll_degrees)
                for other, whose in followed
                if whose is not track
            ]
            foreign = foreign_cells(
                candidate.crop,
                candidate.parsed,
                heads=others,
                beside=candidate.all_parsed,
                probabilities=candidate.probabilities,
            )
            probabilities = candidate.probabilities
            if candidate.detection.track_id is None:  # not in the track's own crop
                probabilities = smooth(track.track_id, probabilities, candidate.crop)
            faces.append(
                TrackedFace(
                    track_id=track.track_id,
                    head=track.bounds,
                    face=track.face,
                    score=candidate.detection.score,
                    crop=candidate.crop,
                    probabilities=probabilities,
                    foreign=foreign,
                )
            )
        return tuple(sorted(faces, key=lambda face: (-face.head.area, face.track_id)))
