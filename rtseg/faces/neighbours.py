"""Which of the faces in the crops of followed ones continue those, and which are other people's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.confirmation import UNKNOWN_SCORE
from rtseg.faces.overlap import is_one_of
from rtseg.faces.parsed_faces import distinct_parsed, nearest
from rtseg.faces.track import Track
from rtseg.frames import Box

_SUGGESTED = 0.3  # promise from which a face beside a followed one is worth examining


def faces_that_continue(tracks: Sequence[Track], candidates: Sequence[FaceCandidate]) -> list[Box]:
    """The face boxes that continue tracks, one each: all others in their crops may be new."""
    continuing = []
    for track in tracks:
        of_track = [
            candidate.parsed
            for candidate in candidates
            if candidate.detection.track_id == track.track_id
            and not candidate.detection.is_turned_away
        ]
        parsed = nearest(of_track, track.head)
        if parsed is not None:
            continuing.append(parsed.face)
    return continuing


def faces_beside(
    candidates: Sequence[FaceCandidate], known_faces: Sequence[Box]
) -> list[FaceDetection]:
    """Other people's faces in the crops of followed ones, which the finder has not scored."""
    others = [
        candidate.parsed
        for candidate in candidates
        if not candidate.detection.is_turned_away
        and candidate.parsed.promise >= _SUGGESTED
        and not is_one_of(candidate.parsed.face, known_faces)
    ]
    return [replace(parsed.detection(), score=UNKNOWN_SCORE) for parsed in distinct_parsed(others)]
