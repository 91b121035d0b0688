"""Which of the faces in the crops of followed ones continue those, and which are other people's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.confirmation import UNKNOWN_SCORE
from rtseg.faces.overlap import is_one_of
from rtseg.faces.parsed_faces import distinct_parsed
from rtseg.faces.track import Track, gap
from rtseg.faces.tracker import KEPT_SCORE, NEAR, REGAINED_SCORE, is_somebody_else
from rtseg.frames import Box

_SUGGESTED = 0.3  # promise from which a face beside a followed one is worth examining


def continuing_faces(
    tracks: Sequence[Track],
    candidates: Sequence[FaceCandidate],
    *,
    occupied: Sequence[Box] = (),
) -> dict[int, Box]:
    """The face boxes that continue tracks, by track id: all others in their crops may be new.

    So may a face that its track's crop does not show well enough: a finder may see it better. As
    in `FaceTracker`, the tracks that were seen last and the nearest pairs come first, and no face
    continues two tracks.

    Args:
        tracks: the followed faces.
        candidates: what the crops around them and around new places show.
        occupied: as for `Tracker.update`, as far as that is known already.
    """
    pairs = []
    for track in tracks:
        least = KEPT_SCORE if track.is_present else REGAINED_SCORE
        for candidate in candidates:
            detection, parsed = candidate.detection, candidate.parsed
            if detection.track_id == track.track_id and not detection.is_turned_away:
                if not track.is_present and is_somebody_else(track, detection, occupied):
                    continue
                apart = gap(parsed.head, track.head)
                if apart < NEAR and detection.score >= least:
                    cost = apart - 0.3 * detection.score
                    pairs.append((-track.seen_seconds, cost, track.track_id, parsed.face))
    continuing: dict[int, Box] = {}
    for _, _, track_id, face in sorted(pairs, key=lambda pair: pair[:3]):
        if track_id not in continuing and not is_one_of(face, continuing.values()):
            continuing[track_id] = face
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
