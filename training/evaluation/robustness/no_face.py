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
from training.augment.canvas import Stage
from training.evaluation.predictor import Labeller

SIZE = 256
SEED = 7
COUNT = 100
"""Crops of each kind."""

Paint = Callable[[Stage, np.random.Generator], Image]


def _background(stage: Stage, rng: np.random.Generator) -> Image:
    return stage.backdrop(rng)


def _texture(stage: Stage, rng: np.random.Generator) -> Image:
    colour = drawing.skin_colour(rng) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
    return drawing.texture(stage.size, rng, colour=colour)


def _text(stage: Stage, rng: np.random.Generator) -> Image:
    canvas = stage.backdrop(rng) if rng.random() < 0.5 else stage.flat(rng)
    drawing.write_text(canvas, rng)
    return canvas


def _hands(stage: Stage, rng: np.random.Generator) -> Image:
    canvas = stage.backdrop(rng)
    size = stage.size
    for _ in range(int(rng.integers(1, 4))):
        palm = math.exp(rng.uniform(math.log(0.05), math.log(0.2))) * size
        mask = drawing.hand_mask(size, rng, centre=tuple(rng.uniform(0, size, 2)), palm=palm)
        skin = drawing.texture(size, rng, colour=drawing.skin_colour(rng))
        drawing.blend(canvas, skin, mask)
    return canvas


def _printed(stage: Stage, rng: np.random.Generator) -> Image:
    canvas = stage.backdrop(rng)
    place = tuple(rng.uniform(0.3, 0.7, 2) * stage.size)
    drawing.draw_mask(canvas, rng, centre=place, height=rng.uniform(0.2, 0.7) * stage.size)
    return canvas


KINDS: Mapping[str, Paint] = MappingProxyType(
    {"backgrounds": _background, "textures": _texture, "text": _text, "hands": _hands}
)
"""What "no face" means."""

PRINTED = "printed masks"
"""Drawn like a face, and none: shown beside the others, and not counted with them."""


@dataclass(frozen=True, kw_only=True)
class NoFaceScore:
    """Shares of labelled pixels, 0..1, over the crops of one kind.

    Attributes:
        kind: what they show.
        count: how many there are.
        median, mean, largest: of the shares.
    """

    kind: str
    count: int
    median: float
    mean: float
    largest: float

    @classmethod
    def of(cls, kind: str, shares: npt.NDArray[np.float64]) -> NoFaceScore:
        """From one share a crop."""
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
    """All kinds but the printed masks together, then each by itself."""
    stage = Stage.for_labels(label_set, size=SIZE, pictures=backgrounds)
    found: dict[str, npt.NDArray[np.float64]] = {}
    for number, (kind, paint) in enumerate({**KINDS, PRINTED: _printed}.items()):
        crops = [paint(stage, np.random.default_rng((SEED, number, i))) for i in range(count)]
        labels = label(crops)
        found[kind] = np.array([(ids != label_set.background).mean() for ids in labels])
    yield NoFaceScore.of("all", np.concatenate([found[kind] for kind in KINDS]))
    for kind, shares in found.items():
        yield NoFaceScore.of(kind, shares)
