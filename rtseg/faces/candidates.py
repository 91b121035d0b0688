"""Examine a finder's detections: read the labels of a crop around each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rtseg.faces.base import FaceDetection, InferCrops
from rtseg.faces.confirmation import face_probability
from rtseg.faces.parsed_faces import ParsedFace, faces_in_crop, nearest
from rtseg.faces.refine import fits
from rtseg.faces.track import planned_roll
from rtseg.faces.whole_face import covered_height, height_in_widths, lengthened, missing_height
from rtseg.frames import Box, Probabilities
from rtseg.geometry.crop import Crop, crop_around, crop_side
from rtseg.labels import LabelSet

_CORRECTIONS = 1  # further crops of a new face, at most, where the first one did not fit
_HOPELESS = 0.1  # score below which no better crop has ever shown a face


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceCandidate:
    """What may be a face, with the crop around it and its labels.

    Attributes:
        crop, probabilities: the examined crop, and what the network labels it.
        parsed: the face that the crop was made for.
        all_parsed: every face that the labels of the crop show.
        detection: what the tracker is given.
        suggested: the finder's box that the crop was made for; None for a followed face.
    """

    crop: Crop
    probabilities: Probabilities
    parsed: ParsedFace
    all_parsed: list[ParsedFace]
    detection: FaceDetection
    suggested: Box | None = None

    def with_whole_face(self, found: Box) -> FaceCandidate:
        """Extend the face's box to what is covered below it, according to a finder's box."""
        roll = self.roll_degrees
        covered = covered_height(self.parsed.face, found, roll)
        if not covered:
            return self
        whole = lengthened(self.parsed.face, covered, roll)
        proportion = height_in_widths(whole, roll)
        return replace(self, detection=replace(self.detection, box=whole, proportion=proportion))

    def with_proportion(self, proportion: float | None) -> FaceCandidate:
        """Extend the face's box to its known height in widths; None leaves it as labelled."""
        if proportion is None:
            return self
        roll = self.roll_degrees
        missing = missing_height(self.parsed.face, proportion, roll)
        if not missing:
            return self
        whole = lengthened(self.parsed.face, missing, roll)
        return replace(self, detection=replace(self.detection, box=whole))

    @property
    def roll_degrees(self) -> float:
        """The face's rotation; its crop's, if too little of the face is visible to tell."""
        roll = self.parsed.roll_degrees
        return self.crop.roll_degrees if roll is None else roll


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
    ) -> list[FaceCandidate | None]:
        """Read the labels of a crop around each detection, and of a better one if it does not fit.

        Args:
            detections: where a face may be.
            infer_crops: runs the labelling network.

        Returns:
            One candidate per detection; None where the labels show no face.
        """
        candidates: list[FaceCandidate | None] = [None] * len(detections)
        again = [
            (index, _crop_of(detection, self.aspect)) for index, detection in enumerate(detections)
        ]
        for attempt in range(1 + _CORRECTIONS):
            crops = [crop for _, crop in again]
            maps = infer_crops(crops) if crops else []
            waiting, again = again, []
            for (index, crop), probabilities in zip(waiting, maps, strict=True):
                candidate = self._candidate(detections[index], crop, probabilities)
                before = candidates[index]
                if candidate is None or (
                    before is not None and candidate.parsed.score < before.parsed.score - 0.05
                ):
                    continue
                candidates[index] = candidate
                if (
                    attempt < _CORRECTIONS
                    and candidate.detection.score >= _HOPELESS
                    and not fits(crop, candidate.parsed, aspect=self.aspect)
                ):
                    roll = planned_roll(candidate.parsed.roll_degrees, crop)
                    side = crop_side(candidate.parsed.head, self.aspect)
                    anew = crop_around(*candidate.parsed.head.centre, side, self.aspect, roll)
                    again.append((index, anew))
        return candidates

    def _candidate(
        self, detection: FaceDetection, crop: Crop, probabilities: Probabilities
    ) -> FaceCandidate | None:
        """A detection with what the labels of its crop show; None where they show no face."""
        all_parsed = faces_in_crop(probabilities, crop, self.label_set)
        parsed = nearest(all_parsed, detection.head or detection.box)
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
        return candidate.with_whole_face(detection.box)


def _crop_of(detection: FaceDetection, aspect: float) -> Crop:
    """The crop around a detection, rotated like it."""
    head = detection.head or detection.box
    roll = planned_roll(detection.roll_degrees, Crop(box=head))
    side = crop_side(head, aspect)
    return crop_around(*head.centre, side, aspect, roll)
