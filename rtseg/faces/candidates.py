"""Examine a finder's detections: read the labels of a crop around each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rtseg.faces.base import FaceDetection, InferCrops
from rtseg.faces.confirmation import face_probability, is_as_rotated_as, is_clearly_arranged
from rtseg.faces.overlap import is_one_of, is_same
from rtseg.faces.parsed_faces import ParsedFace, faces_in_crop, nearest
from rtseg.faces.refine import fits
from rtseg.faces.taken_for_neck import taken_for_neck
from rtseg.faces.track import planned_roll
from rtseg.faces.whole_face import (
    covered_height,
    lengthened,
    missing_height,
    no_further,
    whole_proportion,
)
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop, crop_around, crop_side, wrapped
from rtseg.labels import LabelSet

_CORRECTIONS = 1  # further crops of a new face, at most, where the first one did not fit
_FOUND_AGAIN = 0.5  # score from which a finder's box tells how much of a known face is covered
# Score below which no better crop is tried: on composites of 8% and 12% of the height, .04 finds
# two more faces of 257 than .1, and none in 116 validation pictures without a face.
_HOPELESS = 0.04
_HARDLY = 0.25  # of a face's box; the labels of a face with a medical mask cover some 40% of it

TURNS = (75.0, -75.0)
"""Degrees by which a crop is rotated against the finder's estimate, if that shows no face. Labels
tolerate some 45 degrees either way. On composites, no face was found by rotating by 180 as well."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceCandidate:
    """What may be a face, with the crop around it and its labels.

    Attributes:
        crop, probabilities: the examined crop, and what the network labels it.
        parsed: the face that the crop was made for.
        all_parsed: every face that the labels of the crop show.
        detection: what the tracker is given.
        suggested: the finder's box that the crop was made for; None for a followed face.
        best_score: the highest score of all crops that were made for it; None if this is the first.
    """

    crop: Crop
    probabilities: Probabilities
    parsed: ParsedFace
    all_parsed: list[ParsedFace]
    detection: FaceDetection
    suggested: Box | None = None
    best_score: float | None = None

    @property
    def likeliest(self) -> float:
        """The probability of a face according to the crop that shows one best."""
        return max(self.detection.score, self.best_score or 0.0)

    @property
    def is_hardly_labelled(self) -> bool:
        """Whether a finder sees far more of the face than the labels do, which may be nothing."""
        cell = self.crop.box.area / self.parsed.cells.size
        return bool(self.parsed.cells.sum() * cell < _HARDLY * self.parsed.face.area)

    def probability(self, finder_score: float) -> float:
        """The probability of a face with another finder score; see `face_probability`."""
        return face_probability(finder_score, self.parsed.sure, height=self.parsed.face.height)

    def with_whole_face(self, finder_box: Box) -> FaceCandidate:
        """Extend the face's box to what is covered below it, according to a finder's box."""
        roll = self.roll_degrees
        covered = covered_height(self.parsed.face, finder_box, roll)
        if not covered:
            return self
        whole = lengthened(self.parsed.face, covered, roll)
        proportion = whole_proportion(self.parsed.face, covered, roll)
        return replace(self, detection=replace(self.detection, box=whole, proportion=proportion))

    def with_proportion(
        self, proportion: float | None, *, within: Box | None = None
    ) -> FaceCandidate:
        """Extend the face's box to its known height in widths.

        Args:
            proportion: that height; None leaves the box as labelled.
            within: where the finder saw the face; its box is not extended beyond that.
        """
        if proportion is None:
            return self
        roll = self.roll_degrees
        missing = missing_height(self.parsed.face, proportion, roll)
        if not missing:
            return self
        whole = lengthened(self.parsed.face, missing, roll)
        if within is not None:
            whole = no_further(whole, self.parsed.face, within)
        return replace(self, detection=replace(self.detection, box=whole))

    @property
    def roll_degrees(self) -> float:
        """The face's rotation; its crop's, if too little of the face is visible to tell.

        Too little is visible as well where the labels say that the face lies otherwise than its
        crop by more than labels tolerate: of a masked face, the few cells of a nose that should
        not be there may be above the eyes.
        """
        roll = self.parsed.roll_degrees
        if roll is None or not is_as_rotated_as(self.crop, roll):
            return self.crop.roll_degrees
        return roll


def with_whole_face(candidate: FaceCandidate, detections: Sequence[FaceDetection]) -> FaceCandidate:
    """A face with what is covered of it, where a finder has just found it once more.

    Args:
        candidate: the face.
        detections: everything that the finder has found, the best of each face first.
    """
    if candidate.detection.is_turned_away:
        return candidate
    again = [face for face in detections if is_same(face.box, candidate.parsed.face)]
    if not again or again[0].score < _FOUND_AGAIN:
        return candidate
    return candidate.with_whole_face(again[0].box)


class CandidateExaminer:
    """Reads what the labelling network makes of a finder's detections.

    Args:
        label_set: of the labelling network; must say which ids make up a face.
        aspect: width over height of its input.
    """

    def __init__(self, label_set: LabelSet, *, aspect: float) -> None:
        self.label_set = label_set
        self.aspect = aspect

    def __call__(
        self,
        detections: Sequence[FaceDetection],
        infer_crops: InferCrops,
        *,
        beside: Sequence[Box] = (),
        known: Sequence[Box] = (),
    ) -> list[FaceCandidate | None]:
        """Read the labels of a crop around each detection, and of a better one if it does not fit.

        Args:
            detections: where a face may be.
            infer_crops: runs the labelling network.
            beside: the boxes of other faces, whose labels may touch those of the detections.
            known: faces that are labelled anyway, and need no better crop if the first one shows
                one of them, as it does around the neck or a hand below a followed face.

        Returns:
            One candidate per detection; None where the labels show no face.
        """
        plans = [
            (index, _crop_of(detection, self.aspect)) for index, detection in enumerate(detections)
        ]
        return self._read(detections, plans, infer_crops, known=known, beside=beside)

    def turned(
        self,
        detections: Sequence[FaceDetection],
        infer_crops: InferCrops,
        *,
        beside: Sequence[Box] = (),
        by: Sequence[float] = TURNS,
        known: Sequence[Box] = (),
    ) -> list[FaceCandidate | None]:
        """Read the labels of crops that are rotated otherwise than the detections say.

        A finder is often wrong about the rotation of a head that lies on its side or is upside
        down, and in a crop that is rotated wrongly, labels show nothing.

        Args:
            detections, infer_crops, beside: as for a call.
            by: degrees to rotate each crop by, clockwise; the crop that shows a face best counts.
            known: as for a call.

        Returns:
            One candidate per detection; None where no crop clearly shows every part of a face.
        """
        plans = []
        for index, detection in enumerate(detections):
            crop = _crop_of(detection, self.aspect)
            plans += [
                (index, replace(crop, roll_degrees=wrapped(crop.roll_degrees + degrees)))
                for degrees in by
            ]
        return self._read(
            detections, plans, infer_crops, known=known, beside=beside, is_turned=True
        )

    def _read(
        self,
        detections: Sequence[FaceDetection],
        plans: Sequence[tuple[int, Crop]],
        infer_crops: InferCrops,
        *,
        known: Sequence[Box],
        beside: Sequence[Box],
        is_turned: bool = False,
    ) -> list[FaceCandidate | None]:
        """Read the labels of crops, each of the detection with that index; the best of each."""
        candidates: list[FaceCandidate | None] = [None] * len(detections)
        again = list(plans)
        for attempt in range(1 + _CORRECTIONS):
            crops = [crop for _, crop in again]
            maps = infer_crops(crops) if crops else []
            waiting, changed = again, set()
            # a better fitting crop counts even if it is slightly less sure
            slack = 0.05 if attempt else 0.0
            for (index, crop), probabilities in zip(waiting, maps, strict=True):
                candidate = self._candidate(detections[index], crop, probabilities, beside)
                before = candidates[index]
                if candidate is None or (
                    is_turned and not is_clearly_arranged(candidate.parsed, crop)
                ):
                    continue
                if before is not None and candidate.parsed.score < before.parsed.score - slack:
                    continue
                if before is not None:
                    candidate = replace(candidate, best_score=before.likeliest)
                candidates[index] = candidate
                changed.add(index)
            again = []
            for index in sorted(changed):
                candidate = candidates[index]
                assert candidate is not None
                if (
                    candidate.detection.score >= _HOPELESS
                    and not fits(candidate.crop, candidate.parsed, aspect=self.aspect)
                    and not is_one_of(candidate.parsed.face, known)
                ):
                    again.append((index, self._anew(candidate)))
        return candidates

    def _anew(self, candidate: FaceCandidate) -> Crop:
        """The crop around the face that a candidate's labels show."""
        head = candidate.parsed.head
        roll = planned_roll(candidate.parsed.roll_degrees, candidate.crop)
        return crop_around(*head.centre, crop_side(head, self.aspect), self.aspect, roll)

    def _candidate(
        self,
        detection: FaceDetection,
        crop: Crop,
        probabilities: Probabilities,
        beside: Sequence[Box],
    ) -> FaceCandidate | None:
        """A detection with what the labels of its crop show; None where they show no face."""
        others = [box for box in beside if not is_same(box, detection.box)]
        all_parsed = faces_in_crop(
            probabilities, crop, self.label_set, boxes=others, doubtful=detection.box
        )
        parsed = nearest(all_parsed, detection.head or detection.box) or taken_for_neck(
            probabilities, crop, detection, self.label_set
        )
        if parsed is None:
            return None
        score = face_probability(detection.score, parsed.sure, height=parsed.face.height)
        candidate = FaceCandidate(
            crop=crop,
            probabilities=probabilities,
            parsed=parsed,
            all_parsed=all_parsed,
            detection=replace(parsed.detection(), score=score),
            suggested=detection.box,
        )
        # followed as it was examined: in a crop that is upright again, it may not be seen
        found = replace(candidate.detection, roll_degrees=candidate.roll_degrees)
        return replace(candidate, detection=found).with_whole_face(detection.box)


def _crop_of(detection: FaceDetection, aspect: float) -> Crop:
    """The crop around a detection, rotated like it."""
    head = detection.head or detection.box
    roll = planned_roll(detection.roll_degrees, Crop(box=head))
    side = crop_side(head, aspect)
    return crop_around(*head.centre, side, aspect, roll)
