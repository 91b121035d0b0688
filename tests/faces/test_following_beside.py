"""A face that shows up in the crop of a followed one is passed on to be examined."""

from __future__ import annotations

import numpy as np
import pytest

from rtseg.faces.candidates import FaceCandidate
from rtseg.faces.confirmation import UNKNOWN_SCORE
from rtseg.faces.neighbours import faces_beside
from rtseg.faces.parsed_faces import ParsedFace
from rtseg.frames import Box
from rtseg.geometry.crop import Crop, box_around

FOLLOWED, OTHER = box_around(300, 300, 80, 100), box_around(420, 300, 80, 100)


def candidate(face: Box, *, sure: float, parts: float = 1.0) -> FaceCandidate:
    """What the crop of a followed face shows at a place."""
    parsed = ParsedFace(
        head=face,
        bounds=face,
        face=face,
        sure=sure,
        parts=parts,
        certain=sure,
        roll_degrees=0.0,
        cells=np.ones((8, 8), bool),
        is_cut=False,
    )
    return FaceCandidate(
        crop=Crop(box=box_around(360, 300, 200, 200)),
        probabilities=np.zeros((8, 8, 11), np.float32),
        parsed=parsed,
        all_parsed=[parsed],
        detection=parsed.detection(),
    )


def test_another_face_is_worth_examining_and_unscored() -> None:
    (found,) = faces_beside([candidate(OTHER, sure=0.9)], [FOLLOWED])
    assert found.box == OTHER
    assert found.score == UNKNOWN_SCORE


@pytest.mark.parametrize(
    "shown",
    [
        candidate(OTHER, sure=0.2),  # unlikely
        candidate(OTHER, sure=0.7, parts=0.0),  # skin alone
        candidate(FOLLOWED, sure=0.9),  # the followed face itself
    ],
)
def test_other_places_are_not(shown: FaceCandidate) -> None:
    assert faces_beside([shown], [FOLLOWED]) == []
