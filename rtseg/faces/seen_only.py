"""Followed faces of which the labels show nothing, although a finder is certain of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rtseg.faces.base import FaceDetection
from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.neighbours import continuing_faces
from rtseg.faces.overlap import is_one_of, is_same
from rtseg.faces.parsed_faces import ParsedFace, readable
from rtseg.faces.track import Track, gap
from rtseg.faces.tracker import KEPT_SCORE, NEAR
from rtseg.frames import Box, Probabilities

CLEARLY_SEEN = 0.7
"""Finder score from which a followed face stays, whatever its labels show."""


def seen_only(
    tracks: Sequence[Track],
    candidates: Sequence[FaceCandidate],
    detections: Sequence[FaceDetection],
    *,
    unsure: Mapping[int, Box],
    maps: Mapping[int, Probabilities],
) -> list[FaceCandidate]:
    """Candidates for the faces that would be lost, where a finder clearly sees them.

    A face that is lost already is not found again in this way: labels must show it first.

    Args:
        tracks: the followed faces.
        candidates: what the crops around them and around new places show.
        detections: what a finder has found in the same picture, the best of each face first.
        unsure: where the faces are that the labels do not show well enough, by track id.
        maps: what the labelling network makes of the followed faces' crops, by track id.
    """
    continuing = continuing_faces(tracks, candidates)
    away = {
        candidate.detection.track_id
        for candidate in candidates
        if candidate.detection.is_turned_away
    }
    known = [*continuing.values()]
    # a crop around a place that shows a known face again, or both, says nothing of the place
    new = [one.parsed.face for one in candidates if one.detection.track_id is None]
    known += [face for face in new if not is_one_of(face, continuing.values())]
    found: list[FaceCandidate] = []
    for track in tracks:
        name = track.track_id
        if not track.is_present or name in continuing or name not in unsure:
            continue
        # as far as the tracker follows labels: they may have led astray before they showed none;
        # the face of a head that has turned away is where it was, as another's may be near
        near = [
            face
            for face in detections
            if face.score >= CLEARLY_SEEN
            and gap(face.head or face.box, track.head) < NEAR
            and (name not in away or is_same(face.box, unsure[name]))
            and not is_one_of(face.box, known)
        ]
        if not near:
            continue
        seen = min(near, key=lambda face: gap(face.head or face.box, track.head))
        known.append(seen.box)
        beside = [one.parsed for one in candidates if one.detection.track_id == name]
        found.append(_unlabelled(track, seen, maps[name], beside))
    return found


def without_hair_of(
    faces: Sequence[FaceCandidate],
    unsure: Mapping[int, Box],
    candidates: Sequence[FaceCandidate],
) -> list[FaceCandidate]:
    """All candidates but the hair of heads whose faces a finder has just seen where they were."""
    seen = [candidate.suggested or candidate.detection.box for candidate in faces]
    seen_again = {track_id for track_id, place in unsure.items() if is_one_of(place, seen)}
    return [
        candidate
        for candidate in candidates
        if not candidate.detection.is_turned_away or candidate.detection.track_id not in seen_again
    ]


def _unlabelled(
    track: Track, seen: FaceDetection, probabilities: Probabilities, beside: list[ParsedFace]
) -> FaceCandidate:
    """A face where a finder sees it, in the crop of its track, of which no cell is labelled."""
    head = seen.head or seen.box
    parsed = ParsedFace(
        head=head,
        bounds=seen.bounds or head,
        face=seen.box,
        sure=0.0,
        parts=0.0,
        certain=0.0,
        roll_degrees=None,
        cells=np.zeros(readable(probabilities).shape[:2], np.bool_),
        is_cut=False,
    )
    return FaceCandidate(
        crop=track.crop,
        probabilities=probabilities,
        parsed=parsed,
        all_parsed=beside,
        detection=FaceDetection(
            box=seen.box, score=KEPT_SCORE, head=head, bounds=seen.bounds, track_id=track.track_id
        ),
    )
