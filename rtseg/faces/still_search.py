"""Find the faces of a still picture: in all of it, then more closely in parts of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from rtseg.faces.base import FaceDetection, FaceFinder, InferCrops
from rtseg.faces.candidates import CandidateExaminer, FaceCandidate, with_whole_face
from rtseg.faces.closer_looks import CloserLooks
from rtseg.faces.confirmation import may_be_face, of_both_looks
from rtseg.faces.overlap import distinct, is_one_of, is_same
from rtseg.faces.schedule import Schedule
from rtseg.frames import Image
from rtseg.geometry.crop import Crop
from rtseg.settings import FaceSettings

# candidates beyond `max_faces` that are examined, at most; in parts of the picture as many again
_MORE = 8
_TURNED = 2  # of all, the likeliest that are also examined in crops that are rotated otherwise

# Probabilities between which a place is looked at closely, and height of the region around it in
# sizes of the place. Where that region is more than so much of the whole picture, the first look
# was as close already.
_LARGE = 0.8
_DOUBTFUL, _SIZES = (0.15, 0.85), 3.0

Examined = tuple[FaceDetection, FaceCandidate | None]
"""A finder's detection, and what the labels show there."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StillFaces:
    """What is known about the faces of a still picture.

    Attributes:
        confirmed: the faces.
        found: everything that the finder has found at first.
        examined: what came of the places that were examined, but in crops rotated otherwise.
    """

    confirmed: list[FaceCandidate]
    found: list[FaceDetection]
    examined: list[Examined]


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
        self.closer_looks = CloserLooks(finder, schedule, sizes=_SIZES)

    def __call__(
        self,
        picture: Image,
        infer_finder: InferCrops,
        infer_crops: InferCrops,
        *,
        regions: Sequence[Crop] = (),
    ) -> StillFaces:
        """Search a picture.

        Args:
            picture: RGB uint8 (height, width, 3).
            infer_finder: runs the finder's network on parts of it.
            infer_crops: runs the labelling network on parts of it.
            regions: the parts to search, all at once; else those of the schedule, one after the
                other.
        """
        most = self.settings.max_faces + _MORE
        height, width = picture.shape[:2]
        found = self.finder(
            picture, infer_finder, regions=regions or self.schedule.still(height, width)
        )
        examined = self._examined(found[:most], infer_crops)
        confirmed, doubtful = self._divided(examined)
        closer = [] if regions else self.schedule.closer(height, width, doubtful)
        if closer and len(confirmed) < self.settings.max_faces:
            known = [candidate.detection.box for candidate in confirmed]
            detections = self.finder(picture, infer_finder, regions=closer, known=known)
            # a face that is larger in these regions has a better box in them
            examined = [
                (detection, None if shown is None else with_whole_face(shown, detections))
                for detection, shown in examined
            ]
            again = [
                detection
                for detection in detections
                if not is_one_of(detection.box, known)
                and not any(
                    is_same(detection.box, before.box) and detection.score <= before.score
                    for before in doubtful
                )
            ][:_MORE]
            examined += self._examined(again, infer_crops)
        looked_at = self._looked_at(examined, picture, infer_finder)
        confirmed, doubtful = self._divided(looked_at)
        turned = self._turned(doubtful, confirmed, infer_crops)
        confirmed += self._divided(self._looked_at(turned, picture, infer_finder))[0]
        return StillFaces(confirmed=confirmed, found=found, examined=looked_at)

    def _examined(
        self, detections: Sequence[FaceDetection], infer_crops: InferCrops
    ) -> list[Examined]:
        return list(zip(detections, self.examine(detections, infer_crops), strict=True))

    def _divided(
        self, examined: Sequence[Examined]
    ) -> tuple[list[FaceCandidate], list[FaceDetection]]:
        """The confirmed faces, and the detections that are none."""
        confirmed = [shown for _, shown in examined if self._is_face(shown)]
        return confirmed, [detection for detection, shown in examined if not self._is_face(shown)]

    def _looked_at(
        self, examined: Sequence[Examined], picture: Image, infer_finder: InferCrops
    ) -> list[Examined]:
        """The same, with the doubtful ones scored by two looks of a finder, one from close by.

        Not where the face is too large in the picture for a closer look, nor where the labels show
        a face that is certain, to which another detection has led, nor for a finder that searches
        with the network that labels faces: crops around such places show it the same.
        """
        looked_at = list(examined)
        if self.schedule.fine:
            return looked_at
        most = _LARGE * self.schedule.whole(*picture.shape[:2]).box.height
        certain = [
            shown.parsed.face
            for _, shown in examined
            if shown is not None and shown.likeliest > _DOUBTFUL[1]
        ]
        doubtful = [
            (index, detection, shown)
            for index, (detection, shown) in enumerate(examined)
            if shown is not None
            and _DOUBTFUL[0] <= shown.likeliest <= _DOUBTFUL[1]
            and not is_one_of(shown.parsed.face, certain)
            and self.schedule.around(detection.box, sizes=_SIZES).box.height < most
        ]
        places = [detection.box for _, detection, _ in doubtful]
        scores = self.closer_looks(picture, infer_finder, places)
        for (index, detection, shown), closer in zip(doubtful, scores, strict=True):
            score = shown.probability(of_both_looks(detection.score, closer))
            scored = replace(shown, detection=replace(shown.detection, score=score))
            looked_at[index] = detection, scored
        return looked_at

    def _turned(
        self,
        doubtful: Sequence[FaceDetection],
        confirmed: Sequence[FaceCandidate],
        infer_crops: InferCrops,
    ) -> list[Examined]:
        """The likeliest of the doubtful places, in crops rotated otherwise."""
        known = [candidate.detection.box for candidate in confirmed]
        worth_it = [
            detection
            for detection in distinct(doubtful)
            if may_be_face(detection, min_score=self.settings.min_score)
            and not is_one_of(detection.box, known)
        ][:_TURNED]
        return list(zip(worth_it, self.examine.turned(worth_it, infer_crops), strict=True))

    def _is_face(self, candidate: FaceCandidate | None) -> TypeGuard[FaceCandidate]:
        return candidate is not None and candidate.detection.score >= self.settings.min_score
