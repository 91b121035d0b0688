"""Measure F1 in poor light, with and without the stretching of `rtseg.geometry.exposure`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from rtseg.frames import Box, Image, LabelMap
from rtseg.geometry.crop import Crop
from rtseg.geometry.exposure import evened
from rtseg.labels import IGNORED, LabelSet
from training.data.base import Dataset, Sample
from training.evaluation.metrics import f1_table
from training.evaluation.predictor import Labeller, evaluate
from training.evaluation.robustness.corruptions import (
    SEED,
    SIZE,
    Corrupted,
    Corruption,
    picture_only,
)

_EDGE = 2.0  # pixels over which the light changes at the edge of a person


def dimmed(image: Image, rng: np.random.Generator, *, light: float, noise: float) -> Image:
    """Multiply brightness by `light`, and add Gaussian noise of a deviation in grey levels."""
    dark = image * np.float32(light) + noise * rng.standard_normal(image.shape, np.float32)
    return np.asarray(np.clip(np.rint(dark), 0, 255), np.uint8)


def hazy(image: Image, rng: np.random.Generator, *, contrast: float, level: float) -> Image:
    """Mix with a grey of `level`, keeping `contrast` of the picture."""
    mixed = image * np.float32(contrast) + level * (1 - contrast)
    return np.asarray(np.rint(mixed), np.uint8)


def backlit(
    sample: Sample, rng: np.random.Generator, label_set: LabelSet, *, light: float
) -> Sample:
    """Multiply the brightness of the person alone."""
    person = ((sample.labels != label_set.background) & (sample.labels < IGNORED)).astype(float)
    soft = cv2.GaussianBlur(person, (0, 0), _EDGE)[..., None]
    image = np.rint(sample.image * (1 - soft * (1 - light))).astype(np.uint8)
    return replace(sample, image=image)


POOR_LIGHT = (
    Corruption(
        name="dark",
        strength="an eighth of the light, noise of 2 grey levels",
        change=picture_only(partial(dimmed, light=1 / 8, noise=2.0)),
    ),
    Corruption(
        name="nearly black",
        strength="a thirtieth, noise of half a grey level",
        change=picture_only(partial(dimmed, light=1 / 30, noise=0.5)),
    ),
    Corruption(
        name="haze",
        strength="a fifth of the contrast, around 180",
        change=picture_only(partial(hazy, contrast=0.2, level=180.0)),
    ),
    Corruption(
        name="faded to black",
        strength="a tenth of the contrast, around 40",
        change=picture_only(partial(hazy, contrast=0.1, level=40.0)),
    ),
    Corruption(
        name="against the light",
        strength="an eighth of the light on the person",
        change=partial(backlit, light=1 / 8),
    ),
    Corruption(
        name="against strong light",
        strength="a sixteenth",
        change=partial(backlit, light=1 / 16),
    ),
)


@dataclass(frozen=True, kw_only=True)
class PoorLightScore:
    """Mean F1 of the classes other than background in one kind of light.

    Attributes:
        light, strength: the kind.
        as_it_is: of the network alone.
        stretched: of the network as rtseg runs it.
    """

    light: str
    strength: str
    as_it_is: float
    stretched: float


def measure_poor_light(label: Labeller, dataset: Dataset) -> Iterator[PoorLightScore]:
    """Yield the scores of good light first, then those of each kind.

    Args:
        label: the network.
        dataset: pictures in which every class is labelled.
    """

    def stretched(images: Sequence[Image], *, offset: float = 0.0) -> list[LabelMap]:
        seen = [evened(image, _whole(image), height=SIZE, width=SIZE) for image in images]
        return label(seen, offset=offset) if offset else label(seen)

    for kind in (None, *POOR_LIGHT):
        pictures = Corrupted(dataset=dataset, corruption=kind, seed=SEED)
        yield PoorLightScore(
            light=kind.name if kind else "as it is",
            strength=kind.strength if kind else "",
            as_it_is=_mean_f1(label, pictures),
            stretched=_mean_f1(stretched, pictures),
        )


def _whole(image: Image) -> Crop:
    return Crop(box=Box(left=0, top=0, right=image.shape[1], bottom=image.shape[0]))


def _mean_f1(label: Labeller, dataset: Dataset) -> float:
    label_set = dataset.label_set
    scores = f1_table(evaluate(label, dataset, size=(SIZE, SIZE)), label_set)
    names = [name for index, name in enumerate(label_set.names) if index != label_set.background]
    return float(np.mean([scores.get(name, 0.0) for name in names]))
