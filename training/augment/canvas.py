"""Paint everything except faces in training views: backdrops, padding, bodies, occluders.

Labels are painted too: whatever covers a face turns its pixels into background.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.frames import Image, LabelMap
from rtseg.labels import IGNORED, LabelSet
from training.augment import drawing, transforms


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewPainter:
    """Paints images and labels of square training views, in place.

    Attributes:
        size: side of the views in pixels.
        pictures: face-free pictures, RGB uint8, of any size.
        background: the label id of everything painted that is not a person.
        neck, clothes: the label ids of painted bodies, or the background's if the label set has
            neither.
    """

    size: int
    pictures: Sequence[Image]
    background: int
    neck: int
    clothes: int

    @classmethod
    def for_labels(
        cls, label_set: LabelSet, *, size: int, pictures: Sequence[Image]
    ) -> ViewPainter:
        """Make a painter that labels bodies as the label set allows."""
        background = label_set.background or 0
        return cls(
            size=size,
            pictures=list(pictures),
            background=background,
            neck=next(iter(label_set.neck), background),
            clothes=next(iter(label_set.clothes), background),
        )

    def backdrop(self, rng: np.random.Generator) -> Image:
        """A random part of a face-free picture, (size, size, 3)."""
        size = self.size
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        height, width = picture.shape[:2]
        side = min(height, width) * math.exp(rng.uniform(math.log(0.25), 0))
        part_width = min(width, round(side * math.exp(rng.uniform(0, 0.6))))
        part_height = round(side)
        x = int(rng.integers(width - part_width + 1))
        y = int(rng.integers(height - part_height + 1))
        part = picture[y : y + part_height, x : x + part_width]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        if rng.random() < 0.15:
            part = np.rot90(part)
        shrinks = min(part.shape[:2]) > size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized: Image = cv2.resize(np.ascontiguousarray(part), (size, size), interpolation=how)
        if rng.random() < 0.5:
            return transforms.colour_shift(resized, rng, gamma=1.8)
        return resized

    def flat(self, rng: np.random.Generator) -> Image:
        """A uniform grey, as padding often is."""
        size = self.size
        grey = float(rng.choice([0, 114, 128, 255, rng.uniform(0, 255)]))
        return np.full((size, size, 3), grey, np.uint8)

    def bands(self, rng: np.random.Generator) -> tuple[int, int]:
        """Widths of the padding at the sides, and at top and bottom, for a common frame shape."""
        size = self.size
        ratio = rng.choice([9 / 16, 3 / 4, 1.0, 16 / 9], p=[0.5, 0.15, 0.25, 0.1])
        if ratio <= 1:
            return 0, round(size * (1 - ratio) / 2)
        return round(size * (1 - 1 / ratio) / 2), 0

    def letterbox(
        self,
        canvas: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        pad_x: int,
        pad_y: int,
    ) -> None:
        """Paint the padding of a letterboxed frame."""
        size = self.size
        padding = np.ones((size, size), bool)
        padding[pad_y : size - pad_y, pad_x : size - pad_x] = False
        canvas[padding] = self.flat(rng)[0, 0]
        labels[padding] = self.background

    def body(
        self,
        canvas: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        chin: tuple[float, float],
        width: float,
        skin: npt.NDArray[np.float64],
    ) -> None:
        """Paint neck, shoulders and clothes below a chin; some clothes show a printed face."""
        size = self.size
        neck, shoulders = drawing.body_mask(size, rng, chin=chin, width=width)
        shaded = skin * rng.uniform(0.6, 1.0)
        drawing.blend(canvas, drawing.texture(size, rng, colour=shaded), neck)
        bare = rng.random() < 0.1
        cloth = (
            drawing.texture(size, rng, colour=shaded if bare else rng.uniform(0, 255, 3))
            if rng.random() < 0.6
            else self.backdrop(rng)
        )
        drawing.blend(canvas, cloth, shoulders)
        if rng.random() < 0.2:
            place = (chin[0] + width * rng.uniform(-0.3, 0.3), chin[1] + width * rng.uniform(1, 2))
            drawn = drawing.draw_mask(canvas, rng, centre=place, height=width * rng.uniform(0.6, 2))
            labels[drawn > 0.5] = self.clothes
        labels[neck > 0.5] = self.neck
        labels[shoulders > 0.5] = IGNORED if bare else self.clothes

    def occlude(
        self,
        canvas: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        centre: tuple[float, float],
        height: float,
        skin: npt.NDArray[np.float64],
    ) -> None:
        """Paint an object in front of a face or beside it."""
        size = self.size
        angle, distance = rng.uniform(0, 2 * math.pi), height * rng.uniform(0.1, 0.75)
        place = (centre[0] + math.cos(angle) * distance, centre[1] + math.sin(angle) * distance)
        if rng.random() < 0.6:
            palm = max(2.0, height * rng.uniform(0.08, 0.24))
            mask = drawing.hand_mask(size, rng, centre=place, palm=palm)
            colour = skin * rng.uniform(0.75, 1.2) * rng.uniform(0.93, 1.07, 3)
            layer = drawing.texture(size, rng, colour=colour)
        else:
            radius = max(2.0, height * rng.uniform(0.08, 0.32))
            mask = drawing.shape_mask(size, rng, centre=place, radius=radius)
            layer = (
                self.backdrop(rng)
                if rng.random() < 0.5
                else drawing.texture(size, rng, colour=rng.uniform(0, 255, 3))
            )
        drawing.blend(canvas, layer, mask)
        labels[mask > 0.5] = self.background

    def hand(
        self,
        canvas: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        skin: npt.NDArray[np.float64],
    ) -> None:
        """Paint a hand of any size anywhere."""
        size = self.size
        x, y = rng.uniform(0, size, 2)
        palm = math.exp(rng.uniform(math.log(4), math.log(60)))
        mask = drawing.hand_mask(size, rng, centre=(x, y), palm=palm)
        drawing.blend(canvas, drawing.texture(size, rng, colour=skin), mask)
        labels[mask > 0.5] = self.background
