"""Confirm the new faces of a stream: which places to examine in a frame, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rtseg.faces.base import FaceDetection, InferCrops
from rtseg.faces.candidates import TURNS, CandidateExaminer, FaceCandidate
from rtseg.faces.confirmation import face_probability, is_clearly_arranged, may_be_face
from rtseg.faces.evidence import Evidence
from rtseg.faces.overlap import is_one_of, is_part, is_same
from rtseg.faces.schedule import RejectedPlaces
from rtseg.faces.seen_only import CLEARLY_SEEN
from rtseg.faces.still_search import Examined
from rtseg.faces.tracker import KEPT_SCORE
from rtseg.frames import Box

NEW_A_FRAME = 2
"""At most this many new faces are examined in a frame of a stream; others wait for the next one."""

LookCloser = Callable[[Box], float]
"""The finder's score of a place in a region in which it is large, 0..1; 0 if it finds nothing."""

_DOUBTFUL = 0.15, 0.9  # probabilities between which a place is searched more closely at once
_MAY_BE_ONE = 0.3  # of the least score: what scores as much is soon examined again
_WEAK = 0.3  # finder score below which a stream's candidates wait for each other
_WAITING_FRAMES = 8  # for as long a place that was found waits to be examined; then it may be gone


class Newcomers:
    """Examines a finder's detections, and remembers what came of it.

    Args:
        examine: reads the labels of crops around detections.
        min_score: the least probability of a face.

    Attributes:
        evidence: what the looks at each place say together.
    """

    def __init__(self, examine: CandidateExaminer, *, min_score: float) -> None:
        self.examine = examine
        self.min_score = min_score
        self.reset()

    def reset(self) -> None:
        """Forget every place: the next picture is unrelated to the last one."""
        self.evidence = Evidence()
        self._rejected = RejectedPlaces()
        self._waiting: list[tuple[FaceDetection, int]] = []
        self._own_looks: list[tuple[Box, float]] = []

    def next_frame(self) -> None:
        """Advance by one frame."""
        self.evidence.next_frame()
        self._rejected.next_frame()
        self._waiting = [
            (detection, frames - 1) for detection, frames in self._waiting if frames > 1
        ]

    def reject(self, place: Box) -> None:
        """Leave a place alone, as it led to a face that is known already."""
        self._rejected.add(place)

    def remember(self, examined: Sequence[Examined]) -> None:
        """Count what examined places show, for the next looks at them."""
        for detection, candidate in examined:
            if candidate is not None:
                self.evidence.weigh(detection.box, candidate.detection.score)

    def confirmed_again(
        self,
        detections: Sequence[FaceDetection],
        infer_crops: InferCrops,
        *,
        beside: Sequence[Box],
        look_closer: LookCloser | None = None,
    ) -> list[FaceCandidate]:
        """Those of the second finder's detections whose own crops show a face again."""
        chosen = detections[:NEW_A_FRAME]
        candidates = self.examine(chosen, infer_crops, beside=beside)
        weighed = [
            self._weighed(detection, candidate, look_closer, least=self.min_score)
            for detection, candidate in zip(chosen, candidates, strict=True)
        ]
        return [candidate for candidate in weighed if candidate is not None]

    def confirmed(
        self,
        detections: Sequence[FaceDetection],
        infer_crops: InferCrops,
        *,
        known: Sequence[Box],
        lost: Sequence[Box],
        beside: Sequence[Box],
        is_anyone_followed: bool,
        has_room: bool = True,
        look_closer: LookCloser | None = None,
    ) -> tuple[list[FaceCandidate], bool]:
        """Examine a finder's detections apart from the known faces.

        Args:
            detections: what a finder has found.
            infer_crops: runs the labelling network.
            known: faces that are labelled anyway.
            lost: where faces were followed that are not seen any more, which are examined at once.
            beside: the boxes of other faces, whose labels may touch those of the detections.
            is_anyone_followed: whether faces are followed, which cost a crop each.
            has_room: whether more faces may be followed; if not, what waits is forgotten.
            look_closer: has the finder look at a place once more, in a region around it.

        Returns:
            The confirmed ones, and whether nothing is left to be examined again soon.
        """
        boxes = [detection.box for detection in detections]
        waiting = [one for one, _ in self._waiting if has_room and not is_one_of(one.box, boxes)]
        unknown = [
            detection
            for detection in [*detections, *waiting]
            if not is_one_of(detection.box, known)
        ]
        left_alone = [
            detection
            for detection in unknown
            if self._rejected.is_left_alone(detection.box, is_weak=detection.score < _WEAK)
            and not is_one_of(detection.box, lost)
        ]
        fresh = [detection for detection in unknown if detection not in left_alone]
        chosen = self._worth_examining_now(fresh, lost, is_anyone_followed=is_anyone_followed)
        self._keep_waiting([detection for detection in fresh if detection not in chosen])
        # where nothing changes, it is searched again only for places that are to be examined again
        is_settled = len(chosen) == len(fresh) and not any(map(self._has_turns_left, left_alone))
        candidates = []
        for detection in chosen:
            candidate, is_turned = self._examined(detection, infer_crops, known, lost, beside)
            face = candidate
            if candidate is not None and is_one_of(candidate.parsed.face, known):
                # a neck or a hand that leads to a known face again says nothing of another one
                face = candidate if candidate.detection.score >= self.min_score else None
            elif candidate is not None or not is_turned:
                least = KEPT_SCORE if is_one_of(detection.box, lost) else self.min_score
                face = self._weighed(detection, candidate, look_closer, least=least)
            if face is not None:
                if is_one_of(detection.box, lost) and is_part(face.parsed.face, detection.box):
                    face = _where_seen(face, detection, score=face.detection.score)
                candidates.append(face)
                continue
            may_be_one = (
                candidate is not None and candidate.detection.score >= _MAY_BE_ONE * self.min_score
            )
            self._rejected.add(
                detection.box,
                may_be_one=may_be_one,
                rotation_fits=may_be_one
                or (
                    candidate is not None and is_clearly_arranged(candidate.parsed, candidate.crop)
                ),
                is_weak=detection.score < _WEAK,
            )
            is_settled = is_settled and not (may_be_one or self._has_turns_left(detection))
        for place, look in self._own_looks:
            self.evidence.weigh(place, look)
        self._own_looks = []
        return candidates, is_settled

    def searched_closely(self, places: Sequence[Box], detections: Sequence[FaceDetection]) -> None:
        """Count it against places if a finder sees nothing there even from close by."""
        for place in places:
            self.evidence.searched(place)
            if not is_one_of(place, [face.box for face in detections]):
                self.evidence.weigh(place, 0.0)

    def kept(
        self,
        candidates: Sequence[FaceCandidate],
        detections: Sequence[FaceDetection],
        *,
        unsure: Mapping[int, Box],
    ) -> list[FaceCandidate]:
        """Keep the followed faces that their labels alone would lose, where a finder sees them.

        What their crops show counts as a look once `confirmed` has not examined the places anew.

        Args:
            candidates: what the crops of followed faces show.
            detections: what a finder has found in the same frame, the best of each face first.
            unsure: where the faces are that the labels do not show well enough, by track id.

        Returns:
            The candidates. Those for which the labels or all looks at their places speak have that
            score, and are where the finder sees them. What else the crop of a face shows that the
            finder clearly sees is somebody or something else, and has no score.
        """
        kept = list(candidates)
        for track_id, place in unsure.items():
            seen = next((face for face in detections if is_same(face.box, place)), None)
            own = [
                index
                for index, candidate in enumerate(kept)
                if seen is not None
                and _is_shown_to(candidate, track_id)
                and is_same(candidate.parsed.face, seen.box)
            ]
            if seen is not None and not own and seen.score >= CLEARLY_SEEN:
                kept = [_not_followed(one) if _is_shown_to(one, track_id) else one for one in kept]
            if seen is None or not own:
                continue
            index = max(own, key=lambda index: kept[index].parsed.face.overlap(seen.box))
            parsed = kept[index].parsed
            look = face_probability(seen.score, parsed.sure, height=seen.box.height)
            self._own_looks.append((seen.box, look))
            score = max(parsed.score, self.evidence.expected(seen.box, look))
            if seen.score >= CLEARLY_SEEN:
                score = max(score, KEPT_SCORE)
            if score >= KEPT_SCORE:
                kept[index] = _where_seen(kept[index], seen, score=score)
        return kept

    def seen_again(
        self, face: Box, labels_sure: float, detections: Sequence[FaceDetection]
    ) -> None:
        """Count what a finder and the labels say of a followed face, where both have seen it.

        Args:
            face: where the labels see it.
            labels_sure: `ParsedFace.sure`.
            detections: what a finder has found in the same frame, the best of each face first.
        """
        for detection in detections:
            if is_same(detection.box, face):
                score = face_probability(detection.score, labels_sure, height=face.height)
                self.evidence.weigh(face, score)
                return

    def _weighed(
        self,
        detection: FaceDetection,
        candidate: FaceCandidate | None,
        look_closer: LookCloser | None,
        *,
        least: float,
    ) -> FaceCandidate | None:
        """A candidate with the score of all looks at its place; None if it is no face."""
        look = 0.0 if candidate is None else candidate.likeliest
        score = self.evidence.weigh(detection.box, max(look, self._own_look(detection.box)))
        if candidate is None:
            return None
        if look_closer is not None and _DOUBTFUL[0] <= look <= _DOUBTFUL[1]:
            look = candidate.probability(look_closer(detection.box))
            score = self.evidence.weigh(detection.box, look)
        if score < least:
            return None
        return replace(candidate, detection=replace(candidate.detection, score=score))

    def _own_look(self, place: Box) -> float:
        """What the crop of the face that is followed at a place has shown in this frame, 0..1.

        It is forgotten then: of several crops, the one that shows a face best counts.
        """
        own = [look for box, look in self._own_looks if is_same(box, place)]
        self._own_looks = [look for look in self._own_looks if not is_same(look[0], place)]
        return max(own, default=0.0)

    def _examined(
        self,
        detection: FaceDetection,
        infer_crops: InferCrops,
        known: Sequence[Box],
        lost: Sequence[Box],
        beside: Sequence[Box],
    ) -> tuple[FaceCandidate | None, bool]:
        """Examine a detection; every second time that a place is tried, in a crop that is rotated
        otherwise than the finder says, unless the last crop's rotation fits.

        Returns:
            What its labels show, and whether that crop was rotated otherwise.
        """
        tries = self._rejected.tries(detection.box)
        is_turned = (
            tries % 2 == 1
            and may_be_face(detection, min_score=self.min_score)
            and not self._rejected.rotation_fits(detection.box)
            and not is_one_of(detection.box, lost)
        )
        if is_turned:
            by = [TURNS[tries // 2 % len(TURNS)]]
            candidates = self.examine.turned(
                [detection], infer_crops, by=by, known=known, beside=beside
            )
        else:
            candidates = self.examine([detection], infer_crops, known=known, beside=beside)
        return candidates[0], is_turned

    def _has_turns_left(self, detection: FaceDetection) -> bool:
        """Whether a place still has to be examined in crops that are rotated otherwise."""
        return self._rejected.tries(detection.box) < 2 * len(TURNS) and may_be_face(
            detection, min_score=self.min_score
        )

    def _worth_examining_now(
        self, fresh: Sequence[FaceDetection], lost: Sequence[Box], *, is_anyone_followed: bool
    ) -> list[FaceDetection]:
        """Choose a frame's detections: strong ones at once, a weak one every few frames.

        A finder suggests weak places in nearly every picture, and each one costs as much as a
        followed face. Those that were examined least often come first, so that none starves. Where
        a face was, or earlier looks were promising, a weak one counts as strong.
        """
        strong: list[FaceDetection] = []
        weak: list[FaceDetection] = []
        for detection in fresh:
            is_strong = self._is_strong(detection) or is_one_of(detection.box, lost)
            (strong if is_strong else weak).append(detection)
        strong.sort(key=lambda detection: not is_one_of(detection.box, lost))
        chosen = strong[:NEW_A_FRAME]
        if (
            weak
            and len(chosen) < NEW_A_FRAME
            and self._rejected.may_try_a_weak_place(beside=is_anyone_followed)
        ):
            chosen.append(min(weak, key=lambda detection: self._rejected.tries(detection.box)))
        return chosen

    def _is_strong(self, detection: FaceDetection) -> bool:
        return detection.score >= _WEAK or self.evidence.is_promising(detection.box)

    def _keep_waiting(self, others: Sequence[FaceDetection]) -> None:
        """Have strong places wait to be examined, as their tile's next turn may be far off."""
        frames = dict(self._waiting)
        self._waiting = [
            (detection, frames.get(detection, _WAITING_FRAMES))
            for detection in others
            if self._is_strong(detection)
        ]


def _where_seen(candidate: FaceCandidate, seen: FaceDetection, *, score: float) -> FaceCandidate:
    """A face where a finder sees it, as its labels show another part of it, or a small one."""
    detection = replace(candidate.detection, score=score, box=seen.box, head=seen.head, bounds=None)
    parsed = replace(candidate.parsed, face=seen.box)
    return replace(candidate, detection=detection, parsed=parsed)


def _is_shown_to(candidate: FaceCandidate, track_id: int) -> bool:
    """Whether a face is visible in the crop of a track."""
    detection = candidate.detection
    return detection.track_id == track_id and not detection.is_turned_away


def _not_followed(candidate: FaceCandidate) -> FaceCandidate:
    return replace(candidate, detection=replace(candidate.detection, score=0.0))
