"""What Helen*'s pictures do not show: small faces on other backgrounds, and no face at all.

Frames are 1280x720, composed of validation heads and held-out backgrounds from fixed seeds. They
are measured in the two ways in which rtseg sees them: the whole frame letterboxed into the
network's input, and a square crop 1.6 times as high as the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtseg.frames import Image, LabelMap
from rtseg.labels import HELEN
from training.augment import PhotometricSettings
from training.datasets.backgrounds import Backgrounds
from training.datasets.base import samples_of
from training.datasets.helen import Helen
from training.evaluate import Labeller
from training.metrics import Matrix, confusion_matrix, f1_of
from training.scenes import FaceViews, SceneSettings

WIDTH, HEIGHT = 1280, 720
HEAD_HEIGHTS = (0.1, 0.2, 0.4, 0.8)
"""Of skin and hair, as shares of the frame's height."""
CROP = 1.6
"""Side of the square crop in head heights."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """One composed frame.

    Attributes:
        image: RGB, uint8 (720, 1280, 3).
        labels: uint8 (720, 1280).
        centre: (x, y) of its head, pixels.
        head_height: pixels; 0 where it has none.
    """

    image: Image
    labels: LabelMap
    centre: tuple[float, float]
    head_height: float


def face_scenes(data: Path, *, share: float, count: int, seed: int = 7) -> list[Scene]:
    """Frames with one head each, `share` of the frame high."""
    views = _views(data, seed)
    margin = (WIDTH - HEIGHT) // 2
    scenes = []
    for index in range(count):
        rng = np.random.default_rng((seed, round(share * 1000), index))
        canvas = views.stage.backdrop(rng)
        labels = np.zeros(canvas.shape[:2], np.uint8)
        height = share * HEIGHT
        x = rng.uniform(0.5 * height, WIDTH - 0.5 * height)
        y = rng.uniform(margin + 0.5 * height, WIDTH - margin - 0.5 * height)
        views.paste(canvas, labels, rng, centre=(x, y), height=height)
        scenes.append(
            Scene(
                image=np.ascontiguousarray(canvas[margin : WIDTH - margin]),
                labels=np.ascontiguousarray(labels[margin : WIDTH - margin]),
                centre=(x, y - margin),
                head_height=height,
            )
        )
    return scenes


def empty_scenes(data: Path, *, count: int, seed: int = 7) -> list[Scene]:
    """Frames without a face: held-out backgrounds, textures, hands, texts and printed masks."""
    views = _views(data, seed)
    margin = (WIDTH - HEIGHT) // 2
    scenes = []
    for index in range(count):
        rng = np.random.default_rng((seed, index))
        canvas = views.stage.backdrop(rng) if index % 2 else views.negative(rng, people=False)[0]
        image = np.ascontiguousarray(canvas[margin : WIDTH - margin])
        labels = np.zeros(image.shape[:2], np.uint8)
        scenes.append(Scene(image=image, labels=labels, centre=(640.0, 360.0), head_height=0.0))
    return scenes


def frame_view(scene: Scene, *, size: int = 256) -> tuple[Image, LabelMap]:
    """The whole frame letterboxed, as the coarse pass sees it; padding is ignored."""
    height = round(size * HEIGHT / WIDTH)
    top = (size - height) // 2
    image = np.zeros((size, size, 3), np.uint8)
    labels = np.full((size, size), 255, np.uint8)
    image[top : top + height] = cv2.resize(
        scene.image, (size, height), interpolation=cv2.INTER_AREA
    )
    labels[top : top + height] = cv2.resize(
        scene.labels, (size, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return image, labels


def crop_view(scene: Scene, *, size: int = 256, side: float = 0.0) -> tuple[Image, LabelMap]:
    """A square crop around the head, as the fine pass sees it; beyond the frame is ignored."""
    side = side or CROP * scene.head_height
    whole = round(side)
    left, top = round(scene.centre[0] - side / 2), round(scene.centre[1] - side / 2)
    pad = max(0, -left, -top, left + whole - WIDTH, top + whole - HEIGHT)
    image = cv2.copyMakeBorder(scene.image, pad, pad, pad, pad, cv2.BORDER_CONSTANT)
    labels = cv2.copyMakeBorder(scene.labels, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=[255])
    part = np.s_[top + pad : top + pad + whole, left + pad : left + pad + whole]
    how = cv2.INTER_AREA if whole > size else cv2.INTER_LINEAR
    return (
        cv2.resize(np.ascontiguousarray(image[part]), (size, size), interpolation=how),
        cv2.resize(
            np.ascontiguousarray(labels[part]),
            (size, size),
            interpolation=cv2.INTER_NEAREST_EXACT,
        ),
    )


def measure(label: Labeller, data: Path, *, count: int = 48) -> dict[str, Any]:
    """F1 of composed frames by head height and view, and what is painted where no face is.

    Returns:
        `frame` and `crop`: head height in percent -> F1 of `parts`, `face` and `hair`, and
        `found`: the share of frames in which at least half of the face is labelled face.
        `empty`: percent of pixels labelled something: mean, median, 95th percentile, largest,
        for whole frames and for crops.
    """
    result: dict[str, Any] = {"frame": {}, "crop": {}, "empty": {}}
    for share in HEAD_HEIGHTS:
        scenes = face_scenes(data, share=share, count=count)
        for name, view in (("frame", frame_view), ("crop", crop_view)):
            result[name][f"{100 * share:.0f}%"] = _scores(label, [view(scene) for scene in scenes])
    scenes = empty_scenes(data, count=2 * count)
    frames = [frame_view(scene) for scene in scenes]
    crops = [crop_view(scene, side=60.0 + 6 * i) for i, scene in enumerate(scenes)]
    for name, pairs in (("frame", frames), ("crop", crops)):
        painted = [
            100 * float((predicted[truth == 0] != 0).mean())
            for (_, truth), predicted in zip(pairs, label([p[0] for p in pairs]), strict=True)
        ]
        result["empty"][name] = {
            "mean": round(float(np.mean(painted)), 3),
            "median": round(float(np.median(painted)), 3),
            "p95": round(float(np.percentile(painted, 95)), 3),
            "largest": round(max(painted), 3),
        }
    return result


def _scores(label: Labeller, pairs: Sequence[tuple[Image, LabelMap]]) -> dict[str, float]:
    total: Matrix = np.zeros((len(HELEN), len(HELEN)), np.int64)
    found = []
    for (_, truth), predicted in zip(pairs, label([pair[0] for pair in pairs]), strict=True):
        total += confusion_matrix(truth, predicted, classes=len(HELEN))
        face = np.isin(truth, HELEN.face)
        if face.any():
            found.append(np.isin(predicted[face], HELEN.face).mean() > 0.5)
    scores = {name: f1_of(total, HELEN.merged[name]) for name in ("parts", "face")}
    scores["hair"] = f1_of(total, HELEN.hair)
    scores["found"] = float(np.mean(found))
    return {name: round(value, 4) for name, value in scores.items()}


def _views(data: Path, seed: int) -> FaceViews:
    backgrounds = Backgrounds(root=data, split="val")
    return FaceViews(
        list(samples_of(Helen(root=data, split="val"))),
        [backgrounds[i] for i in range(len(backgrounds))],
        label_set=HELEN,
        settings=SceneSettings(
            size=WIDTH, degrees=20, occluded=0, photometric=PhotometricSettings()
        ),
        seed=seed,
    )
