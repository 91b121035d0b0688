"""Measure F1 on pictures degraded as by cameras, light and codecs, each at one strength."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np

from rtseg.frames import Image
from rtseg.geometry.fit import PADDING
from rtseg.labels import IGNORED, LabelSet
from training.augment import drawing, transforms
from training.augment.heads import head_of
from training.augment.pictures import fitted
from training.data.base import Dataset, Sample
from training.evaluation.metrics import f1_of
from training.evaluation.predictor import Labeller, evaluate

SIZE = 256
"""Side in pixels to which pictures are resized, so that strengths in pixels are comparable."""
SEED = 7

Change = Callable[[Sample, np.random.Generator, LabelSet], Sample]


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """A change of a labelled picture of SIZE x SIZE.

    Attributes:
        name, strength: shown in tables.
        change: makes a new sample; labels change too if pixels are moved or covered.
    """

    name: str
    strength: str
    change: Change


def picture_only(change: Callable[[Image, np.random.Generator], Image]) -> Change:
    """Make a change that affects the picture but not the labels."""

    def changed(sample: Sample, rng: np.random.Generator, label_set: LabelSet) -> Sample:
        image = np.ascontiguousarray(change(sample.image, rng), np.uint8)
        return replace(sample, image=image)

    return changed


def motion_blur(image: Image, rng: np.random.Generator, *, length: int) -> Image:
    """Motion blur of `length` pixels in a random direction."""
    kernel = transforms.motion_kernel(length, rng.uniform(0, 180))
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def defocus(image: Image, rng: np.random.Generator, *, radius: int) -> Image:
    """Defocus blur with a disc."""
    across = np.arange(-radius, radius + 1)
    disc = (across[:, None] ** 2 + across**2 <= radius**2 + radius).astype(np.float32)
    return np.asarray(cv2.filter2D(image, -1, disc / disc.sum()), np.uint8)


def sensor_noise(image: Image, rng: np.random.Generator, *, deviation: float) -> Image:
    """Gaussian noise in every channel of every pixel; `deviation` is in grey levels."""
    noise = rng.standard_normal(image.shape, np.float32) * deviation
    return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)


def gamma(image: Image, rng: np.random.Generator, *, exponent: float) -> Image:
    """Brightness 0..1 to the power of `exponent`; below 1 is brighter."""
    ramp = 255 * np.linspace(0, 1, 256) ** exponent
    return np.asarray(cv2.LUT(image, ramp.round().astype(np.uint8)), np.uint8)


def jpeg(image: Image, rng: np.random.Generator, *, quality: int) -> Image:
    """JPEG compression, with colour at half the resolution."""
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[:, :, ::-1]


def greyscale(image: Image, rng: np.random.Generator) -> Image:
    """Remove colour."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)


def roll(
    sample: Sample, rng: np.random.Generator, label_set: LabelSet, *, degrees: float
) -> Sample:
    """Rotate about the centre, anticlockwise on the screen; pixels from outside are ignored."""
    height, width = sample.labels.shape
    middle = ((width - 1) / 2, (height - 1) / 2)
    turn = cv2.getRotationMatrix2D(middle, degrees, 1.0)
    size = (width, height)
    image = cv2.warpAffine(sample.image, turn, size, borderValue=(PADDING,) * 3)
    offset = np.full(2, sample.label_offset)
    turn_labels = np.column_stack([turn[:, :2], turn[:, 2] - turn[:, :2] @ offset])
    labels = cv2.warpAffine(
        sample.labels, turn_labels, size, flags=cv2.INTER_NEAREST, borderValue=IGNORED
    )
    return replace(
        sample,
        image=np.asarray(image, np.uint8),
        labels=np.asarray(labels, np.uint8),
        label_offset=0.0,
    )


def hand(sample: Sample, rng: np.random.Generator, label_set: LabelSet, *, palm: float) -> Sample:
    """Put a hand in the person's skin colour in front of the face; what it covers is background.

    `palm` is the palm's radius in head heights; the hand is about three times as long.
    """
    head = head_of(sample, label_set)
    if head is None:
        return sample
    size = sample.labels.shape[0]
    place = (
        head.centre[0] + rng.uniform(-0.3, 0.3) * head.face_width,
        head.bottom - rng.uniform(0.1, 0.5) * head.height,
    )
    mask = drawing.hand_mask(size, rng, centre=place, palm=palm * head.height)
    image, labels = sample.image.copy(), sample.labels.copy()
    drawing.blend(image, drawing.texture(size, rng, colour=head.skin), mask)
    labels[mask > 0.5] = label_set.background or 0
    return replace(sample, image=image, labels=labels)


def enlarged(
    sample: Sample, rng: np.random.Generator, label_set: LabelSet, *, head_pixels: float
) -> Sample:
    """Shrink until the head has a given height, and enlarge again."""
    head = head_of(sample, label_set)
    if head is None or head.height <= head_pixels:
        return sample
    height, width = sample.labels.shape
    scale = head_pixels / head.height
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = cv2.resize(sample.image, small, interpolation=cv2.INTER_AREA)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return replace(sample, image=np.asarray(image, np.uint8))


CORRUPTIONS = (
    Corruption(
        name="motion blur",
        strength="11 pixels, any direction",
        change=picture_only(partial(motion_blur, length=11)),
    ),
    Corruption(
        name="defocus",
        strength="a disc of radius 3 pixels",
        change=picture_only(partial(defocus, radius=3)),
    ),
    Corruption(
        name="sensor noise",
        strength="standard deviation 15 of 255",
        change=picture_only(partial(sensor_noise, deviation=15.0)),
    ),
    Corruption(name="gamma", strength="0.4", change=picture_only(partial(gamma, exponent=0.4))),
    Corruption(name="gamma", strength="2.2", change=picture_only(partial(gamma, exponent=2.2))),
    Corruption(name="JPEG", strength="quality 20", change=picture_only(partial(jpeg, quality=20))),
    Corruption(name="roll", strength="+30 degrees", change=partial(roll, degrees=30.0)),
    Corruption(name="roll", strength="-30 degrees", change=partial(roll, degrees=-30.0)),
    Corruption(name="greyscale", strength="no colour", change=picture_only(greyscale)),
    Corruption(
        name="hand before the face",
        strength="palm 0.34 head heights across",
        change=partial(hand, palm=0.17),
    ),
    Corruption(
        name="small face enlarged",
        strength="head of 64 pixels",
        change=partial(enlarged, head_pixels=64.0),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Corrupted:
    """A data set at SIZE x SIZE, each picture changed from its own seed.

    Attributes:
        dataset: the pictures.
        corruption: the change; None leaves pictures clean.
        seed: with a picture's index, the seed of its change.
    """

    dataset: Dataset
    corruption: Corruption | None = None
    seed: int = SEED

    @property
    def names(self) -> tuple[str, ...]:
        """See `Dataset.names`."""
        return self.dataset.names

    @property
    def label_set(self) -> LabelSet:
        """See `Dataset.label_set`."""
        return self.dataset.label_set

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        whole = self.dataset[index]
        image, labels = fitted(whole, height=SIZE, width=SIZE, fit="letterbox")
        offset = whole.label_offset * image.shape[0] / whole.image.shape[0]
        sample = replace(whole, image=image, labels=labels, label_offset=offset)
        if self.corruption is None:
            return sample
        return self.corruption.change(
            sample, np.random.default_rng((self.seed, index)), self.label_set
        )


@dataclass(frozen=True, kw_only=True)
class CorruptedScore:
    """F1 of `parts` under one corruption, and how far it is below the clean one's."""

    corruption: str
    strength: str
    seed: int
    f1: float
    below: float


def measure_corruptions(label: Labeller, dataset: Dataset) -> Iterator[CorruptedScore]:
    """Yield the clean score first, then one per corruption."""
    clean = 0.0
    for corruption in (None, *CORRUPTIONS):
        matrix = evaluate(
            label, Corrupted(dataset=dataset, corruption=corruption), size=(SIZE, SIZE)
        )
        f1 = f1_of(matrix, dataset.label_set.groups["parts"])
        if corruption is None:
            clean = f1
        yield CorruptedScore(
            corruption=corruption.name if corruption else "none",
            strength=corruption.strength if corruption else "",
            seed=SEED,
            f1=f1,
            below=clean - f1,
        )
