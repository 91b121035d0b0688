"""Measure face detection: recall on views of held-out people, and false faces."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from rtseg.faces.base import FaceDetection
from rtseg.faces.finder import read_centres
from rtseg.frames import Box, Image
from rtseg.geometry.crop import Crop
from rtseg.models.normalisation import normalised
from training.augment.face_maps import PlacedFace
from training.augment.face_scenes import FaceScenes

HIT = 0.5
"""The least overlap (intersection over union) of a hit."""

SHARES = (0.03, 0.05, 0.08, 0.15, 0.3, 1.3)
"""Bin edges of face heights, as shares of the view's height."""

View = tuple[Image, Sequence[PlacedFace], Sequence[PlacedFace]]
"""A picture of the network's size, the faces that must be found, and those that may be."""

_LEAST = 0.1  # lowest score considered
_BATCH = 16


@dataclass(kw_only=True, eq=False)
class Finding:
    """The detections in a set of views, matched with the true faces.

    Attributes:
        scores: for each true face, the score of the detection that hits it, or 0.
        heights: for each true face, its height as a share of the view's.
        rolls: for each true face, the error of the detected roll in degrees, or NaN.
        false_scores: the score of each detection that hits no face.
        views: number of views.
        faceless_scores: the highest score in each view without a face.
    """

    scores: list[float]
    heights: list[float]
    rolls: list[float]
    false_scores: list[float]
    views: int
    faceless_scores: list[float]

    def figures(self, min_score: float) -> dict[str, Any]:
        """Recall by height, false faces, and roll errors, at one threshold."""
        scores, heights = np.array(self.scores), np.array(self.heights)
        by_name: dict[str, Any] = {"min_score": min_score, "views": self.views}
        for low, high in itertools.pairwise(SHARES):
            row = (heights >= low) & (heights < high)
            name = f"recall from {low:.0%}"
            by_name[name] = (
                round(float((scores[row] >= min_score).mean()), 4) if row.any() else None
            )
        by_name["faces"] = len(scores)
        by_name["false per view"] = round(
            float((np.array(self.false_scores) >= min_score).sum()) / max(1, self.views), 4
        )
        if self.faceless_scores:
            wrong = np.array(self.faceless_scores) >= min_score
            by_name["faceless views with a face"] = round(float(wrong.mean()), 4)
        rolls = np.array(self.rolls)
        if np.isfinite(rolls).any():
            by_name["roll off by, degrees (median)"] = round(float(np.nanmedian(rolls)), 1)
        return by_name


@torch.inference_mode()
def probabilities_of(
    model: nn.Module,
    views: Sequence[Image],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Compute the network's maps for some views: float32 (views, rows, columns, classes)."""
    images = torch.from_numpy(np.stack(views))
    logits = model(normalised(images, mean=tuple(mean), std=tuple(std)))
    maps: np.ndarray[Any, np.dtype[np.float32]] = (
        functional.softmax(logits.float(), 1).permute(0, 2, 3, 1).numpy()
    )
    return maps


def measure_finding(
    model: nn.Module,
    scenes: FaceScenes,
    *,
    count: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> Finding:
    """Run the finder on `count` views."""
    return measure_views(model, (scenes.scene(index) for index in range(count)), mean=mean, std=std)


def measure_views(
    model: nn.Module,
    views: Iterable[View],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> Finding:
    """Find the faces of views that have the network's size."""
    result = Finding(scores=[], heights=[], rolls=[], false_scores=[], views=0, faceless_scores=[])
    left = iter(views)
    while drawn := list(itertools.islice(left, _BATCH)):
        maps = probabilities_of(model, [image for image, _, _ in drawn], mean=mean, std=std)
        for (image, faces, uncertain), face_map in zip(drawn, maps, strict=True):
            height, width = image.shape[:2]
            whole = Crop(box=Box(left=0, top=0, right=width, bottom=height))
            detections = read_centres(face_map, whole, min_score=_LEAST)
            _match(detections, faces, uncertain, height=height, width=width, into=result)
            result.views += 1
    return result


def _match(
    detections: Sequence[FaceDetection],
    faces: Sequence[PlacedFace],
    uncertain: Sequence[PlacedFace],
    *,
    height: int,
    width: int,
    into: Finding,
) -> None:
    left = list(detections)
    for face in faces:
        truth = _box(face)
        hits = [one for one in left if _inside(one.box, height, width).overlap(truth) >= HIT]
        best = max(hits, key=lambda one: one.score, default=None)
        into.scores.append(best.score if best else 0.0)
        into.heights.append(face.height / height)
        off = float("nan")
        if best is not None:
            left.remove(best)
            turned = (best.roll_degrees or 0.0) - face.roll_degrees
            off = abs((turned + 180) % 360 - 180)
        into.rolls.append(off)
    left = [one for one in left if not any(_about(one, face) for face in (*uncertain, *faces))]
    into.false_scores.extend(one.score for one in left)
    if not faces and not uncertain:
        into.faceless_scores.append(max((one.score for one in left), default=0.0))


def _about(detection: FaceDetection, face: PlacedFace) -> bool:
    """Whether a detection roughly matches a face although it does not count as a hit."""
    return detection.box.overlap(_box(face)) > 0.1


def _box(face: PlacedFace) -> Box:
    left, top, right, bottom = face.box
    return Box(left=left, top=top, right=right, bottom=bottom)


def _inside(box: Box, height: int, width: int) -> Box:
    """Clip a box to the view."""
    left, top = max(0.0, min(box.left, width - 1.0)), max(0.0, min(box.top, height - 1.0))
    return Box(
        left=left,
        top=top,
        right=max(left + 1, min(box.right, float(width))),
        bottom=max(top + 1, min(box.bottom, float(height))),
    )
