"""Make training views for a face-part model: labelled faces as cameras show them.

Helen* always has one large face in the middle. A network trained on that alone labels walls and
hands, and misses small faces. So some views are composites: any number of faces of any size on
face-free pictures, with hands and objects in front of them.

Every view is a pure function of (seed, index), so that a resumed run continues with the same views.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap
from rtseg.geometry.crop import CROP_FACTOR
from rtseg.labels import LabelSet
from training.augment import drawing, transforms
from training.augment.canvas import ViewPainter
from training.augment.composites import OUTSIDE, Composer
from training.augment.heads import Head, head_of
from training.augment.scene_settings import SceneSettings
from training.data.base import Sample
from training.losses.functions import Sets


class FaceViews:
    """An endless sequence of training views: `views[index]` -> (image, target).

    Args:
        samples: labelled pictures.
        backgrounds: face-free pictures.
        others: masks of the unlabelled heads in the samples, one per sample.
        partial: partially labelled pictures, shown alone; their labels may be sets
            (`training.losses.functions.FIRST_SET`).
        label_set: the samples' label set; must define a face.
        settings: the composition of views.
        seed: seed of the whole sequence.
        cut_out: for each of `partial`, the mask of everything that must not be replaced by
            another background, bool (height, width), or None if unknown.
        shares: relative frequency of each of `samples`; None for equal.
        sets: sets of classes in the labels, see `training.losses.functions`.
        flipped_sets: the mirror images of sets, see `transforms.flip_table`.
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
        cut_out: Sequence[npt.NDArray[np.bool_] | None] | None = None,
        shares: Sequence[float] | None = None,
        sets: Sets = (),
        flipped_sets: Mapping[int, int] = MappingProxyType({}),
    ) -> None:
        if not label_set.face:
            raise SettingError(f"label set {label_set.name!r} does not define a face")
        masks = others if others is not None else [None] * len(samples)
        weights = [1.0] * len(samples) if shares is None else shares
        labelled = [
            (head, weight)
            for sample, mask, weight in zip(samples, masks, weights, strict=True)
            if (head := head_of(sample, label_set, others=mask)) is not None
        ]
        heads = [head for head, _ in labelled]
        if not heads or not backgrounds:
            raise SettingError("composites need labelled faces and pictures without a face")
        self.painter = ViewPainter.for_labels(label_set, size=settings.size, pictures=backgrounds)
        self.composer = Composer(
            heads=heads,
            painter=self.painter,
            label_set=label_set,
            settings=settings,
            shares=None if shares is None else np.array([weight for _, weight in labelled]),
            sets=sets,
            flipped_sets=flipped_sets,
        )
        self.partial = list(partial)
        self.cut_out = list(cut_out) if cut_out is not None else [None] * len(self.partial)
        self.seed = seed
        self._later: FaceViews | None = None
        self._later_at = 0

    @property
    def settings(self) -> SceneSettings:
        """The composition of views."""
        return self.composer.settings

    def settled(self, settings: SceneSettings, *, at: int) -> FaceViews:
        """The same sequence with other settings from view `at` on."""
        later, views = copy.copy(self), copy.copy(self)
        later.composer = dataclasses.replace(self.composer, settings=settings)
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
            image, labels = self.composer.composite(rng)
        elif kind < settings.composites + settings.negatives:
            image, labels = self.negative(rng)
        elif kind < settings.composites + settings.negatives + settings.partial and self.partial:
            image, labels = self.partly_labelled(rng)
        else:
            image, labels = self.near(rng)
        return transforms.photometric(image, rng, settings.photometric), labels

    def near(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """Make a view of one labelled picture near its own scale, or cropped around its head."""
        settings = self.settings
        head = self.composer.any_head(rng)
        height, width = head.labels.shape
        if settings.as_is and rng.random() < settings.as_is:
            return self._unmodified(head, rng)
        if rng.random() < settings.head_crops:
            # like the crops at inference, but not quite centred
            centre = head.centre
            scale = settings.size / (CROP_FACTOR * head.height) * math.exp(rng.uniform(-0.35, 0.35))
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
            head.image,
            head.labels if alone else head.composed,
            rng,
            centre=centre,
            scale=scale,
            label_offset=head.label_offset,
        )
        if rng.random() < settings.occluded:
            middle = settings.size / 2
            self.painter.occlude(
                image,
                labels,
                rng,
                centre=(middle, middle),
                height=head.height * scale,
                skin=head.skin,
            )
        return image, labels

    def _unmodified(self, head: Head, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """Make a view of the whole picture or its mirror image, shifted by at most a pixel.

        The shift lets labels between pixels fall on either side.
        """
        image, labels = head.image, head.labels
        if rng.random() < 0.5:
            image, labels = self.composer.mirrored(image, labels, label_offset=head.label_offset)
        height, width = labels.shape
        size = self.settings.size
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = transforms.affine(
            source_centre=centre,
            target_centre=tuple((size - 1) / 2 + rng.uniform(-1, 1, 2)),
            scale=size / max(height, width),
        )
        return transforms.warp(
            image,
            labels,
            matrix,
            size=size,
            border=cv2.BORDER_REPLICATE,
            label_offset=head.label_offset,
        )

    def partly_labelled(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """Make a view of a partially labelled picture, if possible with another background."""
        size = self.settings.size
        place = int(rng.integers(len(self.partial)))
        sample, person = self.partial[place], self.cut_out[place]
        image, labels = sample.image, sample.labels
        height, width = labels.shape
        if person is not None and rng.random() < 0.6:
            shown = cv2.GaussianBlur(person.astype(np.float32), (0, 0), 1.0)
            backdrop = cv2.resize(self.painter.backdrop(rng), (width, height))
            image = backdrop.astype(np.uint8)
            drawing.blend(image, sample.image, shown)
            labels = np.where(person, labels, np.uint8(self.painter.background))
        scale = size / height * math.exp(rng.uniform(-1.8, 0.4))
        return self._placed(
            image,
            labels,
            rng,
            centre=(width / 2, height / 2),
            scale=scale,
            label_offset=sample.label_offset,
        )

    def _placed(
        self,
        image: Image,
        labels: LabelMap,
        rng: np.random.Generator,
        *,
        centre: tuple[float, float],
        scale: float,
        label_offset: float,
    ) -> tuple[Image, LabelMap]:
        settings = self.settings
        matrix = transforms.affine(
            source_centre=centre,
            target_centre=tuple(settings.size * (0.5 + rng.uniform(-0.13, 0.13, 2))),
            scale=scale,
            degrees=settings.roll(rng),
            stretch=math.exp(rng.uniform(-1, 1) * settings.stretch),
        )
        if rng.random() < 0.5:
            image, labels = self.composer.mirrored(image, labels, label_offset=label_offset)
            matrix[:, 2] -= matrix[:, 0] * (image.shape[1] - 1 - 2 * centre[0])
        border = rng.random()
        warp = functools.partial(
            transforms.warp,
            size=settings.size,
            label_offset=label_offset,
            sharp=settings.is_sharp(rng),
        )
        if border < 0.3:  # reflected margins are not real faces, so their labels are ignored
            return warp(image, labels, matrix, border=cv2.BORDER_REFLECT_101)
        image, labels = warp(image, labels, matrix, border_label=OUTSIDE)
        outside = labels == OUTSIDE
        fill = self.painter.backdrop(rng) if border < 0.75 else self.painter.flat(rng)
        image = np.where(outside[:, :, None], fill, image)
        labels[outside] = self.painter.background
        return image, labels

    def negative(self, rng: np.random.Generator, *, people: bool = True) -> tuple[Image, LabelMap]:
        """Make a view without a face: places, things, textures, hands, text, headless people.

        `people` must be False if the pictures may show unlabelled bystanders.
        """
        size = self.settings.size
        labels = np.full((size, size), self.painter.background, np.uint8)
        kind = rng.uniform(0.0 if people else 0.35, 1.0)
        if kind < 0.35:
            canvas, labels = self._headless(rng)
        elif kind < 0.8:
            canvas = self.painter.backdrop(rng)
        else:
            colour = drawing.skin_colour(rng) if rng.random() < 0.5 else rng.uniform(0, 255, 3)
            canvas = drawing.texture(size, rng, colour=colour)
        for _ in range(int(rng.choice([0, 0, 0, 1, 2, 3]))):
            self.painter.hand(canvas, labels, rng, skin=drawing.skin_colour(rng))
        if rng.random() < 0.2:
            drawing.write_text(canvas, rng)
        if rng.random() < 0.2:
            place, height = tuple(rng.uniform(0, size, 2)), rng.uniform(12, 0.8 * size)
            drawing.draw_mask(canvas, rng, centre=place, height=height)
        pad_x, pad_y = self.painter.bands(rng)
        self.painter.letterbox(canvas, labels, rng, pad_x=pad_x, pad_y=pad_y)
        return canvas, labels

    def _headless(self, rng: np.random.Generator) -> tuple[Image, LabelMap]:
        """Cover the head in a labelled picture, leaving clothes, hands and background."""
        head = self.composer.any_head(rng)
        cover = self.composer.is_head[head.labels].astype(np.uint8)
        reach = max(3, round(head.height * 0.08))
        cover = cv2.dilate(cover, np.ones((reach, reach), np.uint8))
        soft = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), 2.0)
        fill = self.painter.backdrop(rng)
        height, width = head.labels.shape
        if fill.shape[:2] != (height, width):
            fill = cv2.resize(fill, (width, height), interpolation=cv2.INTER_LINEAR)
        image = head.image.copy()
        drawing.blend(image, fill, np.maximum(soft, cover))
        labels = np.where(cover > 0, np.uint8(self.painter.background), head.composed)
        is_head = self.composer.is_head[labels]
        labels = np.where(is_head, np.uint8(self.painter.background), labels)
        scale = self.settings.size / height * math.exp(rng.uniform(-0.2, 0.9))
        centre = (rng.uniform(0.2, 0.8) * width, rng.uniform(0.4, 0.9) * height)
        return self._placed(
            image, labels, rng, centre=centre, scale=scale, label_offset=head.label_offset
        )
