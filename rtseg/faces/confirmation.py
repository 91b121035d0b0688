"""Decide whether a finder's candidate is a face, from the labels of a crop around it."""

from __future__ import annotations

import math
from typing import TypeGuard

from rtseg.faces.base import FaceDetection
from rtseg.faces.parsed_faces import ParsedFace
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, wrapped

# The log-odds of a face, as a weighted sum of the log-odds of the finder's score and of the labels'
# certainty, and the size: a logistic regression on candidates in validation views and in pictures
# without a face (`python -m tests.benchmarks.faces.confirmation --portraits 300`; with every
# portrait it misses more composites). Labels are certain of real faces (.93 to .98) and less so of
# animals' (.65 to .88), whatever parts they show. Unlike the candidates of the fit, most in the
# world are no faces, so the shift is .8 lower than fitted.
_FINDER_WEIGHT, _LABELS_WEIGHT, _SIZE_WEIGHT, _SHIFT = IN_USE = 0.61, 2.08, 0.89, -4.73
"""Weights of the finder's log-odds, of the labels' and of the size, and the shift."""

_LEAST_FINDER, _LEAST_LABELS = 1e-4, 0.01  # and at most 1 minus this: never certain
SMALL = 40.0
"""Face height in pixels below which a picture shows too little to be certain."""

_REAL_FACE = 0.95  # labels are at least as certain of 83% of the faces in validation views

UNKNOWN_SCORE = 0.5
"""Neutral finder score for candidates that no finder scored."""

# Thresholds for a network that labels faces when no finder network is used. Such a network was not
# trained to reject anything, so thresholds judge its labels. They were set on composites of
# validation heads and on held-out pictures without a face
# (`python -m tests.benchmarks.faces --only finding`).
_CONFIRMED = 0.87  # least score in its own crop
# … and the least certainty of its upper and its lower parts, unless the frame cuts it: a cat may
# pass for a face by its eyes, but has no such nose and mouth
_CERTAIN = 0.55
_CONFIRMED_TURNED = 0.94  # stricter for what is a face only if the picture is rotated
# A crop of fewer pixels than cells shows little: a logo may pass for a face in it.
_CONFIRMED_TINY = 0.94
_ARRANGED_DEGREES = 45.0  # from a crop's rotation: labels tolerate no more
_CUT = 0.05  # a face this close to the frame's edge, relative to its height, is cut


def face_probability(finder_score: float, labels_sure: float, *, height: float) -> float:
    """The probability that a candidate is a face, 0..1, from what both networks make of it.

    Args:
        finder_score: the finder's probability, 0..1.
        labels_sure: `ParsedFace.sure` in a crop around it, 0..1.
        height: the face's height in pixels of the picture.
    """
    finder = _FINDER_WEIGHT * _logit(finder_score, _LEAST_FINDER)
    labels = _LABELS_WEIGHT * _logit(labels_sure, _LEAST_LABELS)
    small = _SIZE_WEIGHT * smallness(height)
    return 1 / (1 + math.exp(-(finder + labels + small + _SHIFT)))


def of_both_looks(first: float, closer: float) -> float:
    """A finder's score of a place that it has searched twice, 0..1: the mean of the log-odds."""
    mean = (_logit(first, _LEAST_FINDER) + _logit(closer, _LEAST_FINDER)) / 2
    return 1 / (1 + math.exp(-mean))


def smallness(height: float) -> float:
    """How often a face of `SMALL` pixels has to be halved to get this height, as a negative
    number; 0 for larger faces."""
    return min(0.0, math.log2(max(height, 1.0) / SMALL))


def _logit(share: float, least: float) -> float:
    inside = min(max(share, least), 1 - least)
    return math.log(inside / (1 - inside))


def is_surely_a_face(parsed: ParsedFace, crop: Crop, *, height: int, width: int) -> bool:
    """Whether the labels of a crop around a face are convincing without a finder's score.

    Args:
        parsed: the face that the labels of the crop show.
        crop: the crop around it.
        height, width: the picture's size in pixels.
    """
    least = _CONFIRMED if crop.is_upright else _CONFIRMED_TURNED
    if crop.box.height < parsed.cells.shape[0]:
        least = max(least, _CONFIRMED_TINY)
    return parsed.score >= least and (
        parsed.certain >= _CERTAIN or _is_cut_by(parsed.face, height, width)
    )


def may_be_face(detection: FaceDetection, *, min_score: float) -> bool:
    """Whether labels as certain as those of real faces would make a finder's detection one."""
    return face_probability(detection.score, _REAL_FACE, height=detection.box.height) >= min_score


def is_clearly_arranged(parsed: ParsedFace, crop: Crop) -> bool:
    """Whether the labels of a crop show every part of a face clearly, and arranged as in the crop.

    Asked where a crop is rotated otherwise than a finder says: of several such crops of something
    that is no face, the labels of one are often fairly certain, but vague about its parts, or
    their arrangement is not that of a face with this rotation.
    """
    if not is_as_rotated_as(crop, parsed.roll_degrees):
        return False
    return parsed.parts >= 1 and parsed.certain >= _CERTAIN


def is_as_rotated_as(crop: Crop, roll_degrees: float | None) -> TypeGuard[float]:
    """Whether labels give a face a rotation that they can have read in a crop; not if it is None.

    Args:
        crop: the crop.
        roll_degrees: the face's rotation in the picture, clockwise.
    """
    if roll_degrees is None:
        return False
    return abs(wrapped(roll_degrees - crop.roll_degrees)) <= _ARRANGED_DEGREES


def _is_cut_by(face: Box, height: int, width: int) -> bool:
    """Whether part of a face is beyond the frame's edge."""
    slack = _CUT * face.height
    inside = face.left > slack and face.right < width - slack
    return not (inside and face.top > slack and face.bottom < height - slack)
