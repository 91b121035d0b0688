"""A `FaceFinder` that runs the finder network and decodes its maps into faces."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtseg.faces.base import FaceDetection, InferCrops
from rtseg.faces.centres import ACROSS, DOWN, ROLL, SHAPE, SIZE, STRIDE, expected
from rtseg.faces.overlap import distinct
from rtseg.frames import Box, Image, Probabilities
from rtseg.geometry.crop import Crop, box_around

# A head relative to the face in it, in widths and heights of the face: medians of labelled heads.
_HEAD_WIDTH, _HEAD_HEIGHT, _HEAD_ABOVE = 1.35, 1.45, 0.12

_LEAST_SCORE = 1e-6  # and at most 1 minus this, so that logits stay finite

SUGGESTED_SCORE = 0.02
"""The score from which a candidate is examined by the network that labels faces."""


class NetworkFinder:
    """Finds faces with a network whose classes are `FACE_CENTRES`.

    Args:
        min_score: detections with a lower score are omitted, 0..1. Those below a follower's own
            threshold are candidates, which the labels must confirm.
        calibration: see `ModelSpec`.
    """

    def __init__(
        self,
        *,
        min_score: float = SUGGESTED_SCORE,
        calibration: tuple[float, float] = (1.0, 0.0),
    ) -> None:
        self.min_score = min_score
        self.calibration = calibration

    def reset(self) -> None:
        """See `FaceFinder`. There is no state to forget."""

    def __call__(
        self,
        picture: Image,
        infer: InferCrops,
        *,
        regions: Sequence[Crop],
        known: Sequence[Box] = (),
    ) -> list[FaceDetection]:
        """See `FaceFinder`. Known faces are included."""
        detections: list[FaceDetection] = []
        maps = infer(regions) if regions else []
        for region, probabilities in zip(regions, maps, strict=True):
            detections += read_centres(
                probabilities, region, min_score=self.min_score, calibration=self.calibration
            )
        height, width = picture.shape[:2]
        return distinct(face for face in detections if _reaches_into(face.box, height, width))


def read_centres(
    probabilities: Probabilities,
    region: Crop,
    *,
    min_score: float,
    calibration: tuple[float, float] = (1.0, 0.0),
) -> list[FaceDetection]:
    """Decode the faces in one map of a finder network, by falling score, each only once.

    Args:
        probabilities: float32 (rows, columns, classes), classes of `FACE_CENTRES`.
        region: the part of the picture that the map covers, upright.
        min_score: the least score, 0..1.
        calibration: see `ModelSpec`.
    """
    import cv2

    score = calibrated(1 - probabilities[..., 0], calibration)
    highest = cv2.dilate(score, np.ones((3, 3), np.uint8))
    peaks = np.flatnonzero((score >= min_score) & (score == highest))
    rows, columns = np.divmod(peaks, score.shape[1])
    if not len(rows):
        return []
    cells = probabilities[rows, columns]
    sizes, shapes = 2.0 ** expected(cells, SIZE), 2.0 ** expected(cells, SHAPE)
    rolls = expected(cells, ROLL)
    x = (columns + 0.5 + expected(cells, ACROSS)) * STRIDE
    y = (rows + 0.5 + expected(cells, DOWN)) * STRIDE
    scale_x = region.box.width / (probabilities.shape[1] * STRIDE)
    scale_y = region.box.height / (probabilities.shape[0] * STRIDE)
    detections = []
    for index, (row, column) in enumerate(zip(rows, columns, strict=True)):
        width = float(sizes[index] * math.sqrt(shapes[index]))
        height = float(sizes[index] / math.sqrt(shapes[index]))
        centre = (
            region.box.left + float(x[index]) * scale_x,
            region.box.top + float(y[index]) * scale_y,
        )
        upright = box_around(*centre, width * scale_x, height * scale_y)
        detections.append(
            FaceDetection(
                box=bounds_of(upright, float(rolls[index])),
                score=min(1.0, float(score[row, column])),
                roll_degrees=float(rolls[index]),
                head=head_around(upright, float(rolls[index])),
            )
        )
    return distinct(detections)


def calibrated(
    scores: npt.NDArray[np.float32], calibration: tuple[float, float]
) -> npt.NDArray[np.float32]:
    """Scale and shift the scores' logits (Platt, 1999); float32 of the same shape."""
    scale, shift = calibration
    inside = np.clip(scores, _LEAST_SCORE, 1 - _LEAST_SCORE).astype(np.float64)
    odds = scale * np.log(inside / (1 - inside)) + shift
    calibrated_scores: npt.NDArray[np.float32] = np.ascontiguousarray(
        1 / (1 + np.exp(-odds)), np.float32
    )
    return calibrated_scores


def bounds_of(upright: Box, roll_degrees: float) -> Box:
    """The upright rectangle around a rotated face, taken as the ellipse that fills its own."""
    cosine, sine = math.cos(math.radians(roll_degrees)), math.sin(math.radians(roll_degrees))
    width = 2 * math.hypot(upright.width / 2 * cosine, upright.height / 2 * sine)
    height = 2 * math.hypot(upright.width / 2 * sine, upright.height / 2 * cosine)
    return box_around(*upright.centre, width, height)


def head_around(upright: Box, roll_degrees: float) -> Box:
    """A head's rectangle, before it is rotated about its centre, from its face's."""
    x, y = upright.centre
    above = _HEAD_ABOVE * upright.height
    angle = math.radians(roll_degrees)
    return box_around(
        x + math.sin(angle) * above,
        y - math.cos(angle) * above,
        _HEAD_WIDTH * upright.width,
        _HEAD_HEIGHT * upright.height,
    )


def _reaches_into(box: Box, height: int, width: int) -> bool:
    """Whether a face's centre is inside the picture rather than in the letterbox's padding."""
    x, y = box.centre
    return 0 <= x <= width and 0 <= y <= height
