"""Measure how soon the labels show that an eye closes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from rtseg import Segmenter
from rtseg.backends.base import Backend
from rtseg.frames import LabelMap
from rtseg.labels import HELEN
from rtseg.settings import FaceSettings
from tests.benchmarks.faces.metered import Remembering
from tests.benchmarks.faces.report import Report, percent
from tests.benchmarks.faces.streams import USUAL_NOISE, Actor, Scene, Sprite, still_head

EYES = HELEN.groups["eyes"]
_OPEN_FRAMES, _CLOSED_FRAMES = 20, 10
_FEWEST_PIXELS = 60


def closed_eyes(head: Sprite) -> Sprite | None:
    """The same head with skin painted over its eyes; None if hardly any eye is visible."""
    eyes = np.isin(head.labels, EYES)
    if np.count_nonzero(eyes) < _FEWEST_PIXELS:
        return None
    lid = cv2.dilate(eyes.astype(np.uint8), np.ones((9, 9), np.uint8))
    painted = cv2.inpaint(head.colour, lid, 5, cv2.INPAINT_TELEA)
    return head.with_image(np.where(lid[:, :, None] > 0, painted, head.colour))


def measure(backend: Backend, data: Path, *, count: int) -> Report:
    """Measure how much of the closing of eyes, from one frame to the next, shows when.

    The response is the drop of labelled eye pixels, as a share of the drop in the unsmoothed
    stream.
    """
    backend = Remembering(backend)
    responses: list[list[float]] = []
    seed = -1
    while len(responses) < count and seed < 4 * count:
        seed += 1
        response = _blink_response(backend, data, seed=seed)
        if response is not None:
            responses.append(response)
    mean = np.mean(responses, axis=0)
    worst = np.min(responses, axis=0)
    return Report(
        name="blink",
        title="An eye that closes, 30 frames a second",
        headings=("response after", "mean", "worst"),
        rows=[
            [f"{index + 1} frames" if index else "1 frame", percent(float(a)), percent(float(b))]
            for index, (a, b) in enumerate(zip(mean, worst, strict=True))
        ],
        notes=(f"{len(responses)} heads, noise {USUAL_NOISE:.0f}. Aimed at: 90% after 2 frames.",),
    )


def _blink_response(backend: Backend, data: Path, *, seed: int) -> list[float] | None:
    """The response in the first frames after the eyes of one head closed.

    None if the network does not label these eyes, or still labels them under the painted lids.
    """
    before = still_head(data, seed=seed)
    closed = closed_eyes(before.actors[0].sprite)
    if closed is None:
        return None
    after = Scene(
        background=before.background,
        actors=(Actor(sprite=closed, start=before.actors[0].start),),
        noise=before.noise,
        seed=before.seed,
    )
    raw, steadied = (
        _eye_pixels(backend, before, after, smoothing=smoothing)
        for smoothing in (0.0, FaceSettings().smoothing)
    )
    is_open = float(np.mean(raw[_OPEN_FRAMES // 2 : _OPEN_FRAMES]))
    is_closed = float(np.mean(raw[_OPEN_FRAMES:]))
    if is_open - is_closed < 0.5 * is_open or is_open < _FEWEST_PIXELS:
        return None
    return [(is_open - pixels) / (is_open - is_closed) for pixels in steadied[_OPEN_FRAMES:][:3]]


def _eye_pixels(backend: Backend, before: Scene, after: Scene, *, smoothing: float) -> list[int]:
    segmenter = Segmenter(backend=backend, faces=FaceSettings(smoothing=smoothing))
    pixels = []
    for index in range(_OPEN_FRAMES + _CLOSED_FRAMES):
        frame, _ = (before if index < _OPEN_FRAMES else after)(index)
        pixels.append(_count(segmenter(frame).labels))
    return pixels


def _count(labels: LabelMap) -> int:
    return int(np.count_nonzero(np.isin(labels, EYES)))
