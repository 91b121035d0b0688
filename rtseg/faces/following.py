"""Follow faces through a stream: search near known faces, search for new ones, match both.

Networks are passed in as functions. Results depend only on the pictures and their times, so the
same input gives the same faces every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rtseg.faces.anchors import Anchors, believed
from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.candidates import CandidateExaminer, FaceCandidate, with_whole_face
from rtseg.faces.changes import SearchedRegions
from rtseg.faces.closer_looks import CloserLooks
from rtseg.faces.confirmation import is_as_rotated_as
from rtseg.faces.foreign import foreign_cells
from rtseg.faces.held import HeldRegions
from rtseg.faces.neighbours import continuing_faces, faces_beside
from rtseg.faces.newcomers import Newcomers
from rtseg.faces.overlap import is_one_of
from rtseg.faces.parsed_faces import ParsedFace, faces_in_crop
from rtseg.faces.schedule import Schedule
from rtseg.faces.scoring import Mask
from rtseg.faces.second_finder import SecondFinder
from rtseg.faces.seen_only import seen_only, without_hair_of
from rtseg.faces.still_search import StillSearch
from rtseg.faces.track import Track
from rtseg.faces.tracker import FaceTracker, plainly_visible
from rtseg.faces.turned_away import head_without_face
from rtseg.frames import Box, Image, Probabilities
from rtseg.geometry.crop import Crop
from rtseg.labels import LabelSet
from rtseg.settings import FaceSettings

_CLEAR_PARTS = 0.3  # least certainty of its parts for the rotation of a face to be followed
_MOST_CLOSER = 2  # places at most that are searched more closely in a frame

SmoothProbabilities = Callable[[int, Probabilities, Crop], Probabilities]
"""Averages what the crop of a track (by its id) shows over time."""


def _as_read_in(crop: Crop, detection: FaceDetection, parsed: ParsedFace) -> FaceDetection:
    """A followed face without the rotation that its crop cannot have shown.

    Vague parts may be anywhere in a face; a crop that turned after them would show ever less.
    """
    if parsed.certain >= _CLEAR_PARTS and is_as_rotated_as(crop, detection.roll_degrees):
        return detection
    return replace(detection, roll_degrees=None)


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
        self.closer_looks = CloserLooks(finder, schedule)
        self.tracker = FaceTracker(max_faces=settings.max_faces, aspect=aspect)
        self._held = HeldRegions(seconds=settings.hold)
        self.searched = searched
        self.newcomers = Newcomers(self.examine, min_score=settings.min_score)
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
        self.newcomers.reset()
        self._anchors = Anchors()
        self._only_seen: set[int] = set()  # tracks of which the last labels showed nothing
        self._is_first = True

    @property
    def held(self) -> tuple[Box, ...]:
        """Boxes, in pixels, that privacy views hide besides labels: of heads that were just lost,
        and of those whose faces the labels hardly show."""
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
        self.newcomers.next_frame()
        if self.searched is not None:
            self.searched.next_frame(picture)
        tracks = self.tracker.tracks
        regions = [] if exhaustive else self._regions(picture, tracks)
        # everybody is found at once who can be, as the schedule then searches everywhere; finders
        # that search with the network that labels faces would take too long
        is_first = self._is_first and not exhaustive and not self.schedule.fine
        self._is_first = False
        candidates, maps = self._followed(tracks, infer_crops, smooth or _as_they_are)
        continuing = continuing_faces(tracks, candidates)
        infer = infer_finder or infer_crops

        def look_closer(place: Box) -> float:
            return self.closer_looks(picture, infer, [place])[0]

        confirmed_faces: list[Box] = []
        if self.second is not None and not exhaustive and not self._is_full(tracks):
            detections = self.second(picture, infer_crops, known=list(continuing.values()))
            confirmed = self.newcomers.confirmed_again(
                detections,
                infer_crops,
                beside=self._anchors.boxes,
                look_closer=None if self.schedule.fine else look_closer,
            )
            candidates += confirmed
            confirmed_faces = [candidate.parsed.face for candidate in confirmed]
        known_faces = [*continuing.values(), *confirmed_faces]
        seen: Sequence[FaceDetection] = []
        if exhaustive or is_first:
            still = self.still(picture, infer, infer_crops, regions=regions)
            candidates += still.confirmed
            seen = still.found
            self.newcomers.remember(still.examined)
        else:
            unsure = self._unsure(tracks, continuing)
            places = self._closer(list(unsure.values()), tracks, known=list(continuing.values()))
            if regions or places:
                closer = [self.schedule.around(place) for place in places]
                seen = self.finder(picture, infer, regions=[*regions, *closer], known=known_faces)
            self.newcomers.searched_closely(places, seen)
            candidates = self.newcomers.kept(candidates, seen, unsure=unsure)
            continued = continuing_faces(tracks, candidates, occupied=believed(seen))
            known_faces = [*continued.values(), *confirmed_faces]
            candidates = [with_whole_face(candidate, seen) for candidate in candidates]
            searched = [*places, *(face.box for face in seen)]
            unseen = faces_beside(candidates, [*known_faces, *searched])
            fresh, is_settled = self.newcomers.confirmed(
                [*seen, *unseen],
                infer_crops,
                known=known_faces,
                # what a finder alone sees is examined as any other place, not in every frame
                lost=[
                    place
                    for track_id, place in unsure.items()
                    if track_id not in continuing and track_id not in self._only_seen
                ],
                beside=self._anchors.boxes,
                is_anyone_followed=bool(tracks),
                has_room=not self._is_full(tracks),
                look_closer=None if self.schedule.fine else look_closer,
            )
            candidates = [*without_hair_of(fresh, unsure, candidates), *fresh]
            unlabelled = seen_only(tracks, candidates, seen, unsure=unsure, maps=maps)
            self._only_seen = {face.detection.track_id or 0 for face in unlabelled}
            candidates = [*without_hair_of(unlabelled, unsure, candidates), *unlabelled]
            if self.searched is not None:
                self.searched.add(regions, is_settled=is_settled)
        before = {track.track_id: track.seen_face for track in tracks}
        owners = self.tracker.update(
            [one.detection for one in candidates], seconds=seconds, occupied=believed(seen)
        )
        for candidate, track in zip(candidates, owners, strict=True):
            # a place such as the neck below a followed face, which led to that face again
            if track is None and candidate.suggested is not None:
                self.newcomers.reject(candidate.suggested)
        followed = [
            (candidate, track)
            for candidate, track in zip(candidates, owners, strict=True)
            if track is not None
        ]
        for candidate, track in followed:
            if track.track_id in continuing and not candidate.detection.is_turned_away:
                face = candidate.parsed.face
                self.newcomers.evidence.move(before[track.track_id], face)
                self.newcomers.seen_again(face, candidate.parsed.sure, seen)
        labelled = {track.track_id: candidate.parsed.face for candidate, track in followed}
        away = {track.track_id for one, track in followed if one.detection.is_turned_away}
        sightings = [] if exhaustive else seen
        self._anchors.update(labelled, sightings, seconds=seconds, turned_away=away)
        bounds = [track.bounds for _, track in followed]
        self._held.update(
            bounds,
            self.tracker.tracks,
            seconds=seconds,
            unlabelled=[track.bounds for one, track in followed if one.is_hardly_labelled],
        )
        return self._faces(followed, smooth or _as_they_are)

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

    def _unsure(self, tracks: Sequence[Track], continuing: Mapping[int, Box]) -> dict[int, Box]:
        """Where to look for the faces, by track id, that their crops do not show well enough.

        Those are the lost ones, and those of which the labels show another part than the finder
        last did, or a small one: a crop that followed that would show ever less.
        """
        return {
            track.track_id: self._anchors.of(track.track_id) or track.seen_face
            for track in tracks
            if track.track_id not in continuing
            or self._anchors.disagrees(track.track_id, continuing[track.track_id])
        }

    def _closer(
        self, unsure: Sequence[Box], tracks: Sequence[Track], *, known: Sequence[Box]
    ) -> list[Box]:
        """The places to search closely: faces in doubt, and what may be one after all.

        Not the faces that are plainly visible, as there is nothing to find out about them. There
        are none for a finder that searches with the network that labels faces: crops around such
        places show it the same.
        """
        if self.schedule.fine or self._is_full(tracks):
            return []
        due = [place for place in self.newcomers.evidence.due() if not is_one_of(place, known)]
        return [*unsure, *due][:_MOST_CLOSER]

    def _followed(
        self, tracks: Sequence[Track], infer_crops: InferCrops, smooth: SmoothProbabilities
    ) -> tuple[list[FaceCandidate], dict[int, Probabilities]]:
        """Every face in the crops of the followed ones, each of which may be the followed face, and
        the maps of these crops by track id."""
        crops = [track.crop for track in tracks]
        shown: list[list[FaceCandidate]] = []
        maps: dict[int, Probabilities] = {}
        for track, crop, inferred in zip(
            tracks, crops, infer_crops(crops) if crops else [], strict=True
        ):
            probabilities = maps[track.track_id] = smooth(track.track_id, inferred, crop)
            all_parsed = faces_in_crop(
                probabilities, crop, self.label_set, boxes=self._anchors.boxes
            )
            shown.append(
                [
                    FaceCandidate(
                        crop=crop,
                        probabilities=probabilities,
                        parsed=parsed,
                        all_parsed=all_parsed,
                        detection=_as_read_in(
                            crop, parsed.detection(track_id=track.track_id), parsed
                        ),
                    ).with_proportion(track.proportion, within=self._anchors.of(track.track_id))
                    for parsed in all_parsed
                ]
            )
        faces = [candidate.detection for of_track in shown for candidate in of_track]
        # hair cannot win against a face that is plainly visible, and is not looked for then
        visible = plainly_visible(tracks, faces)
        for track, of_track in zip(tracks, shown, strict=True):
            if track.is_present and track.track_id not in visible:
                of_track += self._turned_away(track, maps[track.track_id], of_track)
        return [candidate for of_track in shown for candidate in of_track], maps

    def _turned_away(
        self, track: Track, probabilities: Probabilities, faces: Sequence[FaceCandidate]
    ) -> list[FaceCandidate]:
        """What remains of a head whose face may no longer be visible, if anything does."""
        hair = head_without_face(probabilities, track.crop, self.label_set, track)
        if hair is None:
            return []
        away = hair.detection(track_id=track.track_id)
        return [
            FaceCandidate(
                crop=track.crop,
                probabilities=probabilities,
                parsed=hair,
                all_parsed=[face.parsed for face in faces],
                detection=replace(away, score=hair.sure, is_turned_away=True),
            )
        ]

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
