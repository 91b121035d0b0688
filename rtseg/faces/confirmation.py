"""Whether what a finder suggests is a face, by what the labels of a crop around it say."""

from __future__ import annotations

import math

from rtseg.faces.parsed_faces import ParsedFace
from rtseg.frames import Box
from rtseg.geometry.crop import Crop

# The log-odds of a face, as a sum of what the finder and the labels say: a logistic regression
# over what finders suggest in validation views and in pictures without a face
# (`python -m tests.benchmarks.faces.confirmation`).
_FINDER_WEIGHT, _LABELS_WEIGHT, _SIZE_WEIGHT, _SHIFT = 0.65, 0.95, 1.93, -1.32
_LEAST_FINDER, _LEAST_LABELS = 1e-4, 0.01  # and as far from 1: neither is ever surer
SMALL = 40.0
"""Pixels of a face's height below which a picture of it shows too little to be sure."""

UNKNOWN_SCORE = 0.5
"""What stands for the score of a suggestion that no finder made: it speaks neither way."""

# What a network that labels faces says all alone, with no finder to ask. Such a network was not
# trained to say that something is none; thresholds judge what it labels, set on composites of
# validation heads and on held-out pictures without a face
# (`python -m tests.benchmarks.faces --only finding`).
_CONFIRMED = 0.87  # score in its own crop from which it is a face
# … and how surely its upper and its lower parts must be seen, where the frame does not cut it: a
# cat may pass for a face, by its eyes, and has neither nose nor mouth
_CERTAIN = 0.55
_CONFIRMED_TURNED = 0.94  # more is asked of what is a face only when one turns the picture
# A crop of fewer pixels than cells are read shows little: a logo passes for a face in it.
_CONFIRMED_TINY = 0.94
_CUT = 0.05  # of its height from the frame's edge, a face is cut


def face_probability(finder_score: float, labels_score: float, *, height: float) -> float:
    """How likely something is a face, 0..1, by both networks.

    Args:
        finder_score: how likely it is by a finder alone, 0..1.
        labels_score: `ParsedFace.score` in a crop around it, 0..1.
        height: of the face, pixels of the picture.
    """
    finder = _FINDER_WEIGHT * _logit(finder_score, _LEAST_FINDER)
    labels = _LABELS_WEIGHT * _logit(labels_score, _LEAST_LABELS)
    small = _SIZE_WEIGHT * smallness(height)
    return 1 / (1 + math.exp(-(finder + labels + small + _SHIFT)))


def smallness(height: float) -> float:
    """How often a face of `SMALL` pixels is to be halved until it is so high, as a negative
    number; 0 from there on."""
    return min(0.0, math.log2(max(height, 1.0) / SMALL))


def _logit(share: float, least: float) -> float:
    inside = min(max(share, least), 1 - least)
    return math.log(inside / (1 - inside))


def is_surely_a_face(parsed: ParsedFace, crop: Crop, *, height: int, width: int) -> bool:
    """Whether the labels of a crop around it leave no doubt, no finder asked.

    Args:
        parsed: the face that the labels of the crop show.
        crop: around it.
        height, width: of the picture, pixels.
    """
    least = _CONFIRMED if crop.is_upright else _CONFIRMED_TURNED
    if crop.box.height < parsed.cells.shape[0]:
        least = max(least, _CONFIRMED_TINY)
    return parsed.score >= least and (
        parsed.certain >= _CERTAIN or _is_cut_by(parsed.face, height, width)
    )


def _is_cut_by(face: Box, height: int, width: int) -> bool:
    """Whether part of a face lies beyond the frame."""
    slack = _CUT * face.height
    inside = face.left > slack and face.right < width - slack
    return not (inside and face.top > slack and face.bottom < height - slack)
