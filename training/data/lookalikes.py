"""What a trained finder takes for faces in face-free pictures, to train it on that again.

The hardest negatives are those that the network itself proposes (Sung and Poggio, PAMI 1998;
Felzenszwalb et al., PAMI 2010).
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rtseg.checkpoint import Checkpoint
from rtseg.faces.base import FaceDetection
from rtseg.faces.finder import read_centres
from rtseg.faces.overlap import distinct
from rtseg.faces.tiles import tile_picture
from rtseg.frames import Box, Image
from rtseg.geometry.crop import cut
from rtseg.models import create_model
from training.augment.busts import Bust, bust_of
from training.evaluation.face_finding import probabilities_of

LEAST_SCORE = 0.001
"""Calibrated score from which a place is a lookalike: low, as the finder knows these pictures."""

MOST = 400
"""At most so many, those with the highest scores."""

_A_PICTURE = 3
_LEAST_SIZE = 24.0  # pixels: smaller ones would be blurs when enlarged, or passers-by far away


def lookalikes(finder: Checkpoint, pictures: Sequence[Image]) -> list[Bust]:
    """Search face-free pictures; return what looks most like a face, as busts with a picture each.

    Args:
        finder: a finder network.
        pictures: RGB uint8, without faces.
    """
    spec = finder.spec
    network = create_model(finder)
    found: list[tuple[float, int, Box]] = []
    for index, picture in enumerate(pictures):
        places = tile_picture(
            *picture.shape[:2], aspect=spec.input_width / spec.input_height, stretch=False
        )
        regions = (places.whole, *places.tiles)
        views = []
        for region in regions:
            view = np.empty((spec.input_height, spec.input_width, 3), np.uint8)
            cut(picture, region, out=view)
            views.append(view)
        maps = probabilities_of(network, views, mean=spec.mean, std=spec.std)
        detections: list[FaceDetection] = []
        for region, probabilities in zip(regions, maps, strict=True):
            detections += read_centres(
                probabilities,
                region,
                min_score=LEAST_SCORE,
                calibration=spec.calibration,
            )
        large = [one for one in distinct(detections) if one.box.height >= _LEAST_SIZE]
        best = sorted(large, key=lambda one: -one.score)[:_A_PICTURE]
        found += [(one.score, index, one.box) for one in best]
    found.sort(key=lambda one: -one[0])
    things = [_as_bust(pictures[index], box) for _, index, box in found[:MOST]]
    return [thing for thing in things if thing is not None]


def _as_bust(picture: Image, box: Box) -> Bust | None:
    height, width = picture.shape[:2]
    place = np.zeros((height, width), np.uint8)
    x, y = box.centre
    axes = (max(1, round(box.width / 2)), max(1, round(box.height / 2)))
    cv2.ellipse(place, (round(x), round(y)), axes, 0, 0, 360, 1, -1)
    return bust_of(picture, face=place > 0, person=None)
