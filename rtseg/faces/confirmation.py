"""Whether what a network labels is surely a face: by the labels alone, no finder asked.

A network that labels faces was not trained to say that something is none; thresholds judge what it
labels. They were set on composites of validation heads and on held-out pictures without a face
(`python -m tests.benchmarks.faces --only finding`).
"""

from __future__ import annotations

from rtseg.faces.parsed_faces import ParsedFace
from rtseg.frames import Box
from rtseg.geometry.crop import Crop

_CONFIRMED = 0.87  # score in its own crop from which it is a face
# … and how surely its upper and its lower parts must be seen, where the frame does not cut it: a
# cat may pass for a face, by its eyes, and has neither nose nor mouth
_CERTAIN = 0.55
_CONFIRMED_TURNED = 0.94  # more is asked of what is a face only when one turns the picture
# A crop of fewer pixels than cells are read shows little: a logo passes for a face in it.
_CONFIRMED_TINY = 0.94
_CUT = 0.05  # of its height from the frame's edge, a face is cut


def is_surely_a_face(own: ParsedFace, crop: Crop, *, height: int, width: int) -> bool:
    """Whether the labels of a crop around it leave no doubt.

    Args:
        own: what was read off the crop.
        crop: around it.
        height, width: of the picture, pixels.
    """
    wanted = _CONFIRMED if crop.is_upright else _CONFIRMED_TURNED
    if crop.box.height < own.cells.shape[0]:
        wanted = max(wanted, _CONFIRMED_TINY)
    return own.score >= wanted and (own.certain >= _CERTAIN or _is_cut_by(own.face, height, width))


def _is_cut_by(face: Box, height: int, width: int) -> bool:
    """Whether part of a face lies beyond the frame."""
    slack = _CUT * face.height
    inside = face.left > slack and face.right < width - slack
    return not (inside and face.top > slack and face.bottom < height - slack)
