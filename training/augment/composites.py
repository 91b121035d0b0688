"""Make composites: labelled faces of any size on face-free pictures."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap
from rtseg.labels import LabelSet
from training.augment import drawing, transforms
from training.augment.canvas import ViewPainter
from training.augment.clothing import with_dyed_clothes
from training.augment.earrings import with_earrings
from training.augment.heads import Head, portrait
from training.augment.necklaces import with_necklace
from training.augment.scene_settings import SceneSettings
from training.losses.functions import Sets, members

OUTSIDE = 254
"""Marks the pixels outside the warped picture, until blending."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Composer:
    """Pastes heads into painted views.

    Attributes:
        heads: the heads to paste.
        painter: paints everything around them.
        label_set: the heads' label set.
        settings: the composition of views.
        shares: relative frequency of each head; None for equal.
        sets: sets of classes in the labels, see `training.losses.functions`.
        flipped_sets: the mirror images of sets, see `transforms.flip_table`.
        is_head: whether each label id belongs to a head, bool (256,).
        is_person: whether each label id belongs to a person, bool (256,).
        flipped: the table from `transforms.flip_table`.
    """

    heads: Sequence[Head]
    painter: ViewPainter
    label_set: LabelSet
    settings: SceneSettings
    shares: npt.NDArray[np.float64] | None = None
    sets: Sets = ()
    flipped_sets: Mapping[int, int] = field(default_factory=dict)
    is_head: npt.NDArray[np.bool_] = field(init=False)
    is_person: npt.NDArray[np.bool_] = field(init=False)
    flipped: npt.NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        is_head = members(self.label_set.head, self.sets)
        object.__setattr__(self, "is_head", is_head)
        is_person = members(self.label_set.foreground, self.sets)
        object.__setattr__(self, "is_person", is_person)
        object.__setattr__(
            self, "flipped", transforms.flip_table(self.label_set, sets=self.flipped_sets)
        )

    def mirrored(
        self, image: Image, labels: LabelMap, *, label_offset: float
    ) -> tuple[Image, LabelMap]:
        """Like `transforms.flip`, keeping the labels' offset to the right of the picture."""
        return transforms.flip(image, labels, self.flipped, shift=round(2 * label_offset))

    def any_head(self, rng: np.random.Generator) -> Head:
        """Draw a random head, now and then in other clothes or with jewellery painted on."""
        if self.shares is None:
            head = self.heads[int(rng.integers(len(self.heads)))]
        else:
            place = np.searchsorted(self._cumulative, rng.random() * self._cumulative[-1], "right")
            head = self.heads[min(int(place), len(self.heads) - 1)]
        return self._dressed(head, rng)

    def _dressed(self, head: Head, rng: np.random.Generator) -> Head:
        settings, labels = self.settings, self.label_set
        if settings.dyed and rng.random() < settings.dyed:
            head = with_dyed_clothes(head, rng, clothes=labels.clothes, hair=labels.hair)
        if settings.necklaces and rng.random() < settings.necklaces:
            head = with_necklace(
                head, rng, neck=labels.neck, clothes=labels.clothes, to=self._of("necklace")
            )
        if settings.earrings and rng.random() < settings.earrings:
            before = (0, *labels.hair, *labels.neck, *labels.clothes, *labels.skin)
            head = with_earrings(head, rng, ears=labels.ears, covers=before, to=self._of("earring"))
        return head

    def _of(self, name: str) -> int:
        if name not in self.label_set.names:
            raise SettingError(f"label set {self.label_set.name!r} has no {name}s to draw")
        return self.label_set.names.index(name)

    @functools.cached_property
    def _cumulative(self) -> npt.NDArray[np.float64]:
        assert self.shares is not None
        return np.cumsum(self.shares)

    def composite(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """Compose faces of any size on a face-free picture, often letterboxed."""
        settings = self.settings
        size = settings.size
        canvas = self.painter.backdrop(rng)
        labels = np.full((size, size), self.painter.background, np.uint8)
        pad_x, pad_y = self.painter.bands(rng)
        count = int(rng.choice([1, 1, 1, 1, 2, 2, 3, 4]))
        tallest = min(settings.largest_head, 1.1 * (size - 2 * pad_y))
        low, high = math.log(settings.smallest_head), math.log(tallest)
        heights = sorted(math.exp(rng.uniform(low, high)) for _ in range(count))
        placed: list[tuple[float, float, float]] = []
        for height in heights:
            for _ in range(6):
                x = rng.uniform(pad_x, size - pad_x)
                y = rng.uniform(pad_y + 0.3 * height, max(size - pad_y - 0.3 * height, size / 2))
                apart = [math.hypot(x - a, y - b) > 0.42 * (height + c) for a, b, c in placed]
                if all(apart):
                    break
            else:
                continue
            placed.append((x, y, height))
            head = self.paste(canvas, labels, rng, centre=(x, y), height=height)
            if rng.random() < settings.occluded:
                self.painter.occlude(
                    canvas, labels, rng, centre=(x, y), height=height, skin=head.skin
                )
        if rng.random() < 0.12:
            self.painter.hand(canvas, labels, rng, skin=drawing.skin_colour(rng))
        self.painter.letterbox(canvas, labels, rng, pad_x=pad_x, pad_y=pad_y)
        return canvas, labels

    def paste(
        self,
        canvas: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        centre: tuple[float, float],
        height: float,
    ) -> Head:
        """Paste a head with a given height: in its whole picture, as a portrait, or cut out."""
        size = self.settings.size
        head = self.any_head(rng)
        image, source_labels = head.image, head.composed
        mirrored = rng.random() < 0.5
        middle, chin_x = head.centre, head.chin[0]
        left, right = head.left, head.right
        if mirrored:
            image, source_labels = self.mirrored(
                image, source_labels, label_offset=head.label_offset
            )
            width = image.shape[1]
            middle, chin_x = (width - middle[0], middle[1]), width - chin_x
            left, right = width - head.right, width - head.left
        scale = height / head.height
        matrix = transforms.affine(
            source_centre=middle,
            target_centre=centre,
            scale=scale,
            degrees=self.settings.roll(rng),
            stretch=math.exp(rng.uniform(-0.2, 0.2)),
        )
        layer, layer_labels = transforms.warp(
            image,
            source_labels,
            matrix,
            size=size,
            border_label=OUTSIDE,
            label_offset=head.label_offset,
            sharp=self.settings.is_sharp(rng),
        )
        if rng.random() < 0.4:
            layer = transforms.colour_shift(layer, rng, gamma=1.5)
        inside = layer_labels != OUTSIDE
        style = rng.random()
        source_height, source_width = source_labels.shape
        if style < 0.35:
            low, high = rng.uniform(0, 0.5, 2), rng.uniform(0, 0.5, 2)
            x0, y0 = left * (1 - low[0]) - 1, head.top * (1 - low[1]) - 1
            x1 = source_width - (source_width - right) * high[0] + 1
            y1 = source_height - (source_height - head.bottom) * high[1] + 1
            corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])
            mask = self._outline(corners, matrix, rng, height=height)
        elif style < 0.7:
            corners = portrait(head, rng, left=left, right=right)
            mask = self._outline(corners, matrix, rng, height=height)
        else:
            chin = matrix[:, :2] @ np.array([chin_x, head.chin[1]]) + matrix[:, 2]
            self.painter.body(
                canvas, labels, rng, chin=tuple(chin), width=head.face_width * scale, skin=head.skin
            )
            is_pasted = self.is_person if head.whole_bust and rng.random() < 0.8 else self.is_head
            cut = is_pasted[layer_labels].astype(np.uint8)
            spread = max(1, round(height * rng.uniform(0.0, 0.03)))
            cut = cv2.dilate(cut, np.ones((spread, spread), np.uint8))
            mask = cv2.GaussianBlur(cut.astype(np.float32), (0, 0), max(0.4, height * 0.01))
        mask = mask * inside
        drawing.blend(canvas, layer, mask)
        shown = mask > 0.5
        labels[shown] = layer_labels[shown]
        return head

    def _outline(
        self,
        corners: npt.NDArray[np.float64],
        matrix: transforms.Matrix,
        rng: np.random.Generator,
        *,
        height: float,
    ) -> drawing.Mask:
        placed = corners @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2]
        softness = height * rng.choice([0.004, 0.02, 0.08])
        return drawing.feathered(self.settings.size, rng, corners=placed, softness=softness)
