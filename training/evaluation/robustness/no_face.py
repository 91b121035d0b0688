"""Measure false labels in pictures without faces."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from rtseg.labels import LabelSet
from training.augment import drawing
from training.augment.canvas import ViewPainter
from training.evaluation.predictor import Labeller

SIZE = 256
SEED = 7
COUNT = 100
"""Number of crops of each kind."""

Paint = Callable[[ViewPainter, np.random.Generator], Image]


def _background(painter: ViewPainter, rng: np.random.Generator) -> Image:
    return painter.backdrop(rng)


def _texture(painter: ViewPainter, rng: np.random.Generator) -> Image:
    colour = drawing.skin_colour(rng) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
    return drawing.texture(painter.size, rng, colour=colour)


def _text(painter: ViewPainter, rng: np.random.Generator) -> Image:
    canvas = painter.backdrop(rng) if rng.random() < 0.5 else painter.flat(rng)
    drawing.write_text(canvas, rng)
    return canvas


def _hands(painter: ViewPainter, rng: np.random.Generator) -> Image:
    canvas = painter.backdrop(rng)
    size = painter.size
    for _ in range(int(rng.integers(1, 4))):
        palm = math.exp(rng.uniform(math.log(0.05), math.log(0.2))) * size
        mask = drawing.hand_mask(size, rng, centre=tuple(rng.uniform(0, size, 2)), palm=palm)
        skin = drawing.texture(size, rng, colour=drawing.skin_colour(rng))
        drawing.blend(canvas, skin, mask)
    return canvas


def _printed(painter: ViewPainter, rng: np.random.Generator) -> Image:
    canvas = painter.backdrop(rng)
    place = tuple(rng.uniform(0.3, 0.7, 2) * painter.size)
    drawing.draw_mask(canvas, rng, centre=place, height=rng.uniform(0.2, 0.7) * painter.size)
    return canvas


KINDS: Mapping[str, Paint] = MappingProxyType(
    {"backgrounds": _background, "textures": _texture, "text": _text, "hands": _hands}
)
"""The kinds of pictures without a face."""

PRINTED = "printed masks"
"""Drawings that resemble a face: reported, but not included in the total."""


@dataclass(frozen=True, kw_only=True)
class NoFaceScore:
    """Shares of pixels labelled as part of a head, 0..1, over the crops of one kind.

    Attributes:
        kind: the kind of crop.
        count: number of crops.
        median, mean, largest: statistics of the shares.
    """

    kind: str
    count: int
    median: float
    mean: float
    largest: float

    @classmethod
    def of(cls, kind: str, shares: npt.NDArray[np.float64]) -> NoFaceScore:
        """Make a score from one share per crop."""
        return cls(
            kind=kind,
            count=len(shares),
            median=float(np.median(shares)),
            mean=float(shares.mean()),
            largest=float(shares.max()),
        )


def measure_no_face(
    label: Labeller, backgrounds: Sequence[Image], label_set: LabelSet, *, count: int = COUNT
) -> Iterator[NoFaceScore]:
    """Yield the total without printed masks, then each kind separately.

    Labels of a head are counted: cloth on a washing line may well be clothes.
    """
    painter = ViewPainter.for_labels(label_set, size=SIZE, pictures=backgrounds)
    shares_by_kind: dict[str, npt.NDArray[np.float64]] = {}
    for number, (kind, paint) in enumerate({**KINDS, PRINTED: _printed}.items()):
        crops = [paint(painter, np.random.default_rng((SEED, number, i))) for i in range(count)]
        labels = label(crops)
        shares_by_kind[kind] = np.array([np.isin(ids, label_set.head).mean() for ids in labels])
    yield NoFaceScore.of("all", np.concatenate([shares_by_kind[kind] for kind in KINDS]))
    for kind, shares in shares_by_kind.items():
        yield NoFaceScore.of(kind, shares)
