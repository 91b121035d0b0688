"""Find the faces of a still picture: in all of it, then more closely in parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.candidates import CandidateExaminer, FaceCandidate, with_whole_face
from rtseg.faces.confirmation import may_be_face
from rtseg.faces.overlap import distinct, is_one_of, is_same
from rtseg.faces.schedule import Schedule
from rtseg.frames import Image
from rtseg.settings import FaceSettings

# candidates beyond `max_faces` that are examined, at most; in parts of the picture as many again
_DOUBTFUL = 8
_TURNED = 2  # of all, the likeliest that are also examined in crops that are rotated otherwise


class StillSearch:
    """Searches a still picture and has what it finds confirmed.

    Args:
        finder: finds faces.
        schedule: which regions the finder searches.
        examine: reads the labels of crops around detections.
        settings: the least score of a face, and how many there may be.
    """

    def __init__(
        self,
        finder: FaceFinder,
        schedule: Schedule,
        examine: CandidateExaminer,
        settings: FaceSettings,
    ) -> None:
        self.finder = finder
        self.schedule = schedule
        self.examine = examine
        self.settings = settings

    def __call__(
        self, picture: Image, infer_finder: InferCrops, infer_crops: InferCrops
    ) -> list[FaceCandidate]:
        """The confirmed faces.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer_finder: runs the finder's network on parts of it.
            infer_crops: runs the labelling network on parts of it.
        """
        most = self.settings.max_faces + _DOUBTFUL
        height, width = picture.shape[:2]
        regions = self.schedule.still(height, width)
        detections = self.finder(picture, infer_finder, regions=regions)[:most]
        candidates = self.examine(detections, infer_crops)
        confirmed = [candidate for candidate in candidates if self._is_face(candidate)]
        doubtful = [
            detection
            for detection, candidate in zip(detections, candidates, strict=True)
            if not self._is_face(candidate)
        ]
        closer = self.schedule.closer(height, width, doubtful)
        if closer and len(confirmed) < self.settings.max_faces:
            known = [candidate.detection.box for candidate in confirmed]
            detections = self.finder(picture, infer_finder, regions=closer, known=known)
            # a face that is larger in these regions has a better box in them
            confirmed = [with_whole_face(candidate, detections) for candidate in confirmed]
            again = [
                detection
                for detection in detections
                if not is_one_of(detection.box, known)
                and not any(
                    is_same(detection.box, before.box) and detection.score <= before.score
                    for before in doubtful
                )
            ][:_DOUBTFUL]
            candidates = self.examine(again, infer_crops)
            confirmed += [candidate for candidate in candidates if self._is_face(candidate)]
            doubtful += [
                detection
                for detection, candidate in zip(again, candidates, strict=True)
                if not self._is_face(candidate)
            ]
        return confirmed + self._turned(doubtful, confirmed, infer_crops)

    def _turned(
        self,
        doubtful: Sequence[FaceDetection],
        confirmed: Sequence[FaceCandidate],
        infer_crops: InferCrops,
    ) -> list[FaceCandidate]:
        """The faces among the likeliest of the doubtful places, in crops rotated otherwise."""
        known = [candidate.detection.box for candidate in confirmed]
        worth_it = [
            detection
            for detection in distinct(doubtful)
            if may_be_face(detection, min_score=self.settings.min_score)
            and not is_one_of(detection.box, known)
        ][:_TURNED]
        turned = self.examine.turned(worth_it, infer_crops)
        return [candidate for candidate in turned if self._is_face(candidate)]

    def _is_face(self, candidate: FaceCandidate | None) -> TypeGuard[FaceCandidate]:
        return candidate is not None and candidate.detection.score >= self.settings.min_score
