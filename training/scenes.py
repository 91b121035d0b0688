"""The training views of a face-part model: labelled faces as cameras show them.

Helen* always has one large face in the middle. A net trained on that alone paints walls and
hands, and misses small faces; so a part of the views are composites: faces of any size, several
or none, on pictures without faces, with hands and things before them.

Every view is a pure function of (seed, index), so that a resumed run sees what it would have seen.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap
from rtseg.labels import IGNORED, LabelSet
from training import augment, painting
from training.datasets.base import Sample
from training.heads import Head, head_of, portrait
from training.stage import Stage

OUTSIDE = 254
"""Marks, between warping and blending, the pixels that the warped picture does not reach."""


@dataclass(frozen=True, kw_only=True)
class SceneSettings:
    """What the views are made of.

    Attributes:
        size: of the square views, pixels.
        composites, negatives, partial: shares of the views that are composites, pictures without
            a face, and partially labelled pictures; the rest shows one labelled picture.
        scale_min, scale_max: of a labelled picture in such a view.
        as_is: share of those views that show the picture as it is, or mirrored.
        head_crops: share of the rest that is cropped around the head.
        own_scale: share of the others that stay within an eighth of their own scale.
        degrees, rolled: largest roll, and the share of views that may have it; others have 8.
        stretch: largest change of shape, as a logarithm.
        smallest_head, largest_head: heights of skin and hair in a composite, pixels.
        sharp: share of the moved pictures that are interpolated cubically; others bilinearly.
        bent: share of the moved pictures that are bent, see `augment.bends`.
        bend: largest reach of a bend, pixels.
        occluded: share of views with something painted before a face.
        photometric: what happens to the colours.
    """

    size: int = 256
    composites: float = 0.33
    negatives: float = 0.09
    partial: float = 0.0
    scale_min: float = 0.6
    scale_max: float = 2.0
    as_is: float = 0.0
    head_crops: float = 0.45
    own_scale: float = 0.4
    degrees: float = 35.0
    rolled: float = 0.55
    stretch: float = 0.25
    sharp: float = 0.0
    bent: float = 0.0
    bend: float = 4.0
    smallest_head: float = 12.0
    largest_head: float = 200.0
    occluded: float = 0.25
    photometric: augment.PhotometricSettings = field(default_factory=augment.PhotometricSettings)

    def __post_init__(self) -> None:
        shares = (self.composites, self.negatives, self.partial)
        if min(shares) < 0 or sum(shares) > 1:
            raise SettingError(f"the shares of views must be 0..1 and sum to at most 1: {shares}")
        if not 0 < self.scale_min <= self.scale_max:
            raise SettingError(f"scales must be positive: {self.scale_min}..{self.scale_max}")
        if not 4 <= self.smallest_head <= self.largest_head:
            raise SettingError(
                f"head heights must be 4 pixels or more: {self.smallest_head}..{self.largest_head}"
            )


class FaceViews:
    """An endless sequence of training views: `views[index]` -> (image, target).

    Args:
        samples: labelled pictures.
        backgrounds: pictures without a face.
        others: masks of the heads in the samples that are not labelled, one a sample.
        partial: pictures whose labels may hold sets (`training.losses.FIRST_SET`).
        label_set: of the samples; must say what a face is.
        settings: what views are made of.
        seed: of the whole sequence.
        mirror_shift, label_offset: of the samples' labels, see `augment.flip` and `augment.warp`.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        backgrounds: Sequence[Image],
        *,
        label_set: LabelSet,
        settings: SceneSettings,
        seed: int,
        others: Sequence[npt.NDArray[np.bool_]] | None = None,
        partial: Sequence[Sample] = (),
        mirror_shift: int = 0,
        label_offset: float = 0.0,
    ) -> None:
        if not label_set.face:
            raise SettingError(f"label set {label_set.name!r} does not say what a face is")
        masks = others if others is not None else [None] * len(samples)
        found = (
            head_of(sample, label_set, others=mask)
            for sample, mask in zip(samples, masks, strict=True)
        )
        self.heads = [head for head in found if head is not None]
        if not self.heads or not backgrounds:
            raise SettingError("composites need labelled faces and pictures without a face")
        self.stage = Stage(
            size=settings.size, pictures=list(backgrounds), background=label_set.background or 0
        )
        self.partial = list(partial)
        self.label_set = label_set
        self.settings = settings
        self.seed = seed
        self.flipped = augment.flip_table(label_set)
        self.mirror_shift, self.label_offset = mirror_shift, label_offset
        self._later: FaceViews | None = None
        self._later_at = 0
        self.is_head = np.zeros(256, bool)
        self.is_head[[*label_set.face, *label_set.hair]] = True

    def settled(self, settings: SceneSettings, *, at: int) -> FaceViews:
        """The same sequence, which goes on with other settings from view `at` on."""
        later, views = copy.copy(self), copy.copy(self)
        later.settings = settings
        views._later, views._later_at = later, at
        return views

    def __getitem__(self, index: int) -> tuple[Image, LabelMap]:
        """RGB uint8 (size, size, 3) and target ids uint8 (size, size)."""
        if self._later is not None and index >= self._later_at:
            return self._later[index]
        rng = np.random.default_rng((self.seed, index))
        settings = self.settings
        kind = rng.random()
        if kind < settings.composites:
            image, labels = self.composite(rng)
        elif kind < settings.composites + settings.negatives:
            image, labels = self.negative(rng)
        elif kind < settings.composites + settings.negatives + settings.partial and self.partial:
            image, labels = self.partly_labelled(rng)
        else:
            image, labels = self.near(rng)
        return augment.photometric(image, rng, settings.photometric), labels

    def near(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """One labelled picture around its own scale, or cropped around its head."""
        settings = self.settings
        head = self._any_head(rng)
        height, width = head.labels.shape
        whole = height == width == settings.size
        if settings.as_is and rng.random() < settings.as_is and whole:
            if rng.random() < 0.5:
                return self._mirrored(head.image, head.labels)
            return head.image.copy(), head.labels.copy()
        if rng.random() < settings.head_crops:
            # what the second pass sees: a crop 1.6 heads high, not quite centred
            centre = head.centre
            scale = settings.size / (1.6 * head.height) * math.exp(rng.uniform(-0.35, 0.35))
        else:
            centre = (width / 2, height / 2)
            low, high = math.log(settings.scale_min), math.log(settings.scale_max)
            another = rng.random() < 1 - settings.own_scale
            drawn = rng.uniform(low, high) if another else rng.uniform(-0.12, 0.12)
            scale = settings.size / height * math.exp(drawn)
            if scale * height > 1.3 * settings.size:
                centre = head.centre
        alone = scale * head.height > 0.35 * settings.size
        image, labels = self._placed(
            head.image, head.labels if alone else head.composed, rng, centre=centre, scale=scale
        )
        if rng.random() < settings.occluded:
            middle = settings.size / 2
            self.stage.occlude(
                image,
                labels,
                rng,
                centre=(middle, middle),
                height=head.height * scale,
                skin=head.skin,
            )
        return image, labels

    def partly_labelled(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """One picture of the coarser label set, its background often another."""
        size = self.settings.size
        sample = self.partial[int(rng.integers(len(self.partial)))]
        image, labels = sample.image, sample.labels
        height, width = labels.shape
        if rng.random() < 0.6:
            shown = cv2.GaussianBlur(
                (labels != self.stage.background).astype(np.float32), (0, 0), 1.0
            )
            backdrop = cv2.resize(self.stage.backdrop(rng), (width, height))
            image = backdrop.astype(np.uint8)
            painting.blend(image, sample.image, shown)
        scale = size / height * math.exp(rng.uniform(-1.8, 0.4))
        return self._placed(
            image,
            labels,
            rng,
            centre=(width / 2, height / 2),
            scale=scale,
            mirror_shift=0,
            label_offset=0.0,
        )

    def _mirrored(
        self, image: Image, labels: LabelMap, *, shift: int | None = None
    ) -> tuple[Image, LabelMap]:
        shift = self.mirror_shift if shift is None else shift
        return augment.flip(image, labels, self.flipped, shift=shift)

    def _placed(
        self,
        image: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        centre: tuple[float, float],
        scale: float,
        mirror_shift: int | None = None,
        label_offset: float | None = None,
    ) -> tuple[Image, LabelMap]:
        settings = self.settings
        wide = rng.random() < settings.rolled
        matrix = augment.affine(
            source_centre=centre,
            target_centre=tuple(settings.size * (0.5 + rng.uniform(-0.13, 0.13, 2))),
            scale=scale,
            degrees=rng.uniform(-1, 1) * (settings.degrees if wide else 8.0),
            stretch=math.exp(rng.uniform(-1, 1) * settings.stretch),
        )
        if rng.random() < 0.5:
            image, labels = self._mirrored(image, labels, shift=mirror_shift)
            matrix[:, 2] -= matrix[:, 0] * (image.shape[1] - 1 - 2 * centre[0])
        border = rng.random()
        warp = functools.partial(
            augment.warp,
            size=settings.size,
            label_offset=self.label_offset if label_offset is None else label_offset,
            sharp=self._sharp(rng),
            bend=self._bend(rng),
        )
        if border < 0.3:  # mirrored sides are not mirrored faces: their labels do not count
            return warp(image, labels, matrix, border=cv2.BORDER_REFLECT_101)
        image, labels = warp(image, labels, matrix, border_label=OUTSIDE)
        outside = labels == OUTSIDE
        fill = self.stage.backdrop(rng) if border < 0.75 else self.stage.flat(rng)
        image = np.where(outside[:, :, None], fill, image)
        labels[outside] = self.stage.background
        return image, labels

    def composite(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """Faces of any size on a picture without one, often letterboxed."""
        settings = self.settings
        size = settings.size
        canvas = self.stage.backdrop(rng)
        labels = np.full((size, size), self.stage.background, np.uint8)
        pad_x, pad_y = self.stage.bands(rng)
        count = int(rng.choice([1, 1, 1, 1, 2, 2, 3, 4]))
        tallest = min(settings.largest_head, 1.1 * (size - 2 * pad_y))
        low, high = math.log(settings.smallest_head), math.log(tallest)
        heights = sorted(math.exp(rng.uniform(low, high)) for _ in range(count))
        taken: list[tuple[float, float, float]] = []
        for height in heights:
            for _ in range(6):
                x = rng.uniform(pad_x, size - pad_x)
                y = rng.uniform(pad_y + 0.3 * height, max(size - pad_y - 0.3 * height, size / 2))
                apart = [math.hypot(x - a, y - b) > 0.42 * (height + c) for a, b, c in taken]
                if all(apart):
                    break
            else:
                continue
            taken.append((x, y, height))
            head = self.paste(canvas, labels, rng, centre=(x, y), height=height)
            if rng.random() < settings.occluded:
                self.stage.occlude(
                    canvas, labels, rng, centre=(x, y), height=height, skin=head.skin
                )
        if rng.random() < 0.12:
            self.stage.hand(canvas, labels, rng, skin=painting.skin_colour(rng))
        self.stage.letterbox(canvas, labels, rng, pad_x=pad_x, pad_y=pad_y)
        return canvas, labels

    def negative(self, rng: np.random.Generator, *, people: bool = True) -> tuple[Image, LabelMap]:
        """No face at all: places, things, textures, hands, text, people without their head.

        `people` must be off where faces of bystanders in the pictures are not known.
        """
        size = self.settings.size
        labels = np.full((size, size), self.stage.background, np.uint8)
        kind = rng.uniform(0.0 if people else 0.35, 1.0)
        if kind < 0.35:
            canvas, labels = self._headless(rng)
        elif kind < 0.8:
            canvas = self.stage.backdrop(rng)
        else:
            colour = painting.skin_colour(rng) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
            canvas = painting.texture(size, rng, colour=colour)
        for _ in range(int(rng.choice([0, 0, 0, 1, 2, 3]))):
            self.stage.hand(canvas, labels, rng, skin=painting.skin_colour(rng))
        if rng.random() < 0.2:
            painting.write_text(canvas, rng)
        if rng.random() < 0.2:
            place, height = tuple(rng.uniform(0, size, 2)), rng.uniform(12, 0.8 * size)
            painting.draw_mask(canvas, rng, centre=place, height=height)
        pad_x, pad_y = self.stage.bands(rng)
        self.stage.letterbox(canvas, labels, rng, pad_x=pad_x, pad_y=pad_y)
        return canvas, labels

    def _sharp(self, rng: np.random.Generator) -> bool:
        return self.settings.sharp > 0 and rng.random() < self.settings.sharp

    def _bend(self, rng: np.random.Generator) -> augment.Field | None:
        settings = self.settings
        if not settings.bent or rng.random() >= settings.bent:
            return None
        return augment.bends(rng, size=settings.size, reach=rng.uniform(0, settings.bend))

    def _any_head(self, rng: np.random.Generator) -> Head:
        return self.heads[int(rng.integers(len(self.heads)))]

    def paste(
        self,
        canvas: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        centre: tuple[float, float],
        height: float,
    ) -> Head:
        """Put a head of that height there: with its picture, its portrait, or cut out."""
        size = self.settings.size
        head = self._any_head(rng)
        image, source_labels = head.image, head.composed
        mirrored = rng.random() < 0.5
        middle, chin_x = head.centre, head.chin[0]
        left, right = head.left, head.right
        if mirrored:
            image, source_labels = self._mirrored(image, source_labels)
            width = image.shape[1]
            middle, chin_x = (width - middle[0], middle[1]), width - chin_x
            left, right = width - head.right, width - head.left
        scale = height / head.height
        matrix = augment.affine(
            source_centre=middle,
            target_centre=centre,
            scale=scale,
            degrees=rng.uniform(-1, 1) * self.settings.degrees * (1 if rng.random() < 0.3 else 0.3),
            stretch=math.exp(rng.uniform(-0.2, 0.2)),
        )
        layer, layer_labels = augment.warp(
            image,
            source_labels,
            matrix,
            size=size,
            border_label=OUTSIDE,
            label_offset=self.label_offset,
            sharp=self._sharp(rng),
        )
        if rng.random() < 0.4:
            layer = augment.colour_shift(layer, rng, gamma=1.5)
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
            self.stage.body(
                canvas, labels, rng, chin=tuple(chin), width=head.face_width * scale, skin=head.skin
            )
            cut = self.is_head[layer_labels].astype(np.uint8)
            spread = max(1, round(height * rng.uniform(0.0, 0.03)))
            cut = cv2.dilate(cut, np.ones((spread, spread), np.uint8))
            mask = cv2.GaussianBlur(cut.astype(np.float32), (0, 0), max(0.4, height * 0.01))
        mask = mask * inside
        painting.blend(canvas, layer, mask)
        shown = mask > 0.5
        labels[shown] = layer_labels[shown]
        return head

    def _outline(
        self,
        corners: npt.NDArray[np.float64],
        matrix: augment.Matrix,
        rng: np.random.Generator,
        *,
        height: float,
    ) -> painting.Mask:
        placed = corners @ matrix[:, :2].T.astype(np.float64) + matrix[:, 2]
        softness = height * rng.choice([0.004, 0.02, 0.08])
        return painting.feathered(self.settings.size, rng, corners=placed, softness=softness)

    def _headless(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """A labelled picture whose head is covered: clothes, hands and places without a face."""
        head = self._any_head(rng)
        cover = self.is_head[head.labels].astype(np.uint8)
        reach = max(3, round(head.height * 0.08))
        cover = cv2.dilate(cover, np.ones((reach, reach), np.uint8))
        soft = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), 2.0)
        fill = self.stage.backdrop(rng)
        height, width = head.labels.shape
        if fill.shape[:2] != (height, width):
            fill = cv2.resize(fill, (width, height), interpolation=cv2.INTER_LINEAR)
        image = head.image.copy()
        painting.blend(image, fill, np.maximum(soft, cover))
        labels = np.where(head.composed == IGNORED, IGNORED, self.stage.background).astype(np.uint8)
        scale = self.settings.size / height * math.exp(rng.uniform(-0.2, 0.9))
        centre = (rng.uniform(0.2, 0.8) * width, rng.uniform(0.4, 0.9) * height)
        return self._placed(image, labels, rng, centre=centre, scale=scale)
