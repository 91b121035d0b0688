"""Whiten teeth and brighten eyes."""

from __future__ import annotations

import numpy as np

from rtseg.effects.colour_memory import ColourMemory
from rtseg.effects.parts import ids_of
from rtseg.effects.tones import lightened, smooth_step
from rtseg.frames import FaceAlpha, Image, Segmentation

_LEVELS = np.arange(256, dtype=np.float64)
_LEAST_PIXELS = 12


def whiten_teeth_in(
    picture: Image,
    segmentation: Segmentation,
    *,
    strength: float,
    memory: ColourMemory | None = None,
) -> None:
    """Make teeth lighter and less yellow, in place; tongue and gums are preserved.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        strength: 0 (nothing) to 1.
        memory: smooths the threshold for teeth over a stream.

    Raises:
        SettingError: there are no soft masks, or the model has no inner mouth.
    """
    ids = ids_of(segmentation.label_set, "teeth")
    for face in segmentation.soft_masks.by_face(ids):
        _whiten(picture, face, strength, memory)


def _whiten(picture: Image, face: FaceAlpha, strength: float, memory: ColourMemory | None) -> None:
    import cv2

    part = picture[face.region]
    inside = face.alpha > 0.6
    if np.count_nonzero(inside) < _LEAST_PIXELS:
        return
    lab = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2Lab), np.uint8)
    bright = np.array([np.percentile(lab[inside][:, 0], 90)])
    if memory is not None:
        bright = memory.steadied("teeth", face.track_id, bright)
    lightness, red, yellow = cv2.split(lab)
    # teeth are the lightest part of a mouth, and have hardly any red
    begin = max(0.55 * float(bright[0]), 70.0)
    by_light = smooth_step(_LEVELS.astype(np.float32), begin, 1.3 * begin)
    by_red = 1 - smooth_step(_LEVELS.astype(np.float32), 128 + 10, 128 + 22)
    weight = smooth_step(face.alpha, 0.3, 0.8) * strength
    weight *= cv2.LUT(lightness, by_light)
    weight *= cv2.LUT(red, by_red)
    light = 2.55 * lightened(_LEVELS / 2.55, 70.0, 80.0)
    pale = 128 + 0.35 * (_LEVELS - 128)
    painted = cv2.merge(
        (
            cv2.LUT(lightness, np.clip(light, 0, 255).astype(np.uint8)),
            cv2.LUT(red, (128 + 0.7 * (_LEVELS - 128)).astype(np.uint8)),
            cv2.LUT(yellow, pale.astype(np.uint8)),
        )
    )
    painted = cv2.cvtColor(painted, cv2.COLOR_Lab2RGB)
    picture[face.region] = cv2.blendLinear(painted, part, weight, 1 - weight)


def brighten_eyes_in(
    picture: Image,
    segmentation: Segmentation,
    *,
    strength: float,
    memory: ColourMemory | None = None,
) -> None:
    """Lighten the eyes, in place, with a curve through black that keeps pupils and lashes dark.

    Args:
        picture: uint8 (height, width, 3) RGB; changed.
        segmentation: with soft masks.
        strength: 0 (nothing) to 1.
        memory: smooths the curve over a stream.

    Raises:
        SettingError: there are no soft masks, or the model has no eyes.
    """
    ids = ids_of(segmentation.label_set, "eyes")
    for face in segmentation.soft_masks.by_face(ids):
        _brighten(picture, face, strength, memory)


def _brighten(
    picture: Image, face: FaceAlpha, strength: float, memory: ColourMemory | None
) -> None:
    import cv2

    part = picture[face.region]
    inside = face.alpha > 0.6
    if np.count_nonzero(inside) < _LEAST_PIXELS:
        return
    lab = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2Lab), np.uint8)
    mean = np.array([lab[inside][:, 0].mean() / 2.55])
    if memory is not None:
        mean = memory.steadied("eyes", face.track_id, mean)
    goal = float(mean[0]) + 0.4 * (100 - float(mean[0]))
    table = 2.55 * lightened(_LEVELS / 2.55, float(mean[0]), goal)
    lab[..., 0] = cv2.LUT(lab[..., 0], np.clip(table, 0, 255).astype(np.uint8))
    painted = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    weight = smooth_step(face.alpha, 0.35, 0.9) * strength
    picture[face.region] = cv2.blendLinear(painted, part, weight, 1 - weight)
