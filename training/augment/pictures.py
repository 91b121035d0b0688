"""Make training views of whole pictures: resized, augmented, and in a seeded order.

Every view is a pure function of (seed, index), so that a resumed run continues with the same views,
and several processes can share the indices.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import Fit
from rtseg.errors import SettingError
from rtseg.frames import Image, LabelMap
from rtseg.geometry.fit import PADDING, fitted_place
from rtseg.geometry.fit import fitted as fit_picture
from rtseg.labels import IGNORED
from training.augment import transforms
from training.data.base import Dataset, Sample, resize_labels

Augmentation = Literal["none", "flip", "full"]
Sampling = Literal["uniform", "class-balanced"]


REMEMBERED_BYTES = 200_000_000
"""Data sets of at most this many bytes at the input size are kept in memory."""


class PictureViews:
    """An endless sequence of views: `views[index]` -> (image, labels).

    An epoch shows every picture once, in random order. With class balancing, it draws as many
    pictures with replacement, preferring those with rare classes.

    Args:
        dataset: labelled pictures.
        height, width: size of the views in pixels.
        fit: `stretch` or `letterbox`; padding is ignored in the labels.
        augmentation: `flip` mirrors half of the views and swaps left and right ids; `full` also
            scales, rotates, shifts and recolours them.
        weights: relative frequency of each picture; None for once per epoch.
        seed: seed of the whole sequence.
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        height: int,
        width: int,
        fit: Fit,
        augmentation: Augmentation = "none",
        weights: npt.NDArray[np.float64] | None = None,
        seed: int = 0,
    ) -> None:
        if len(dataset) == 0:
            raise SettingError("a data set without pictures has no views")
        self.dataset = dataset
        self.height, self.width, self.fit = height, width, fit
        self.augmentation = augmentation
        self.weights, self.seed = weights, seed
        self.flipped = transforms.flip_table(dataset.label_set)
        self._order: tuple[int, npt.NDArray[np.int64]] | None = None
        self._remembers = len(dataset) * height * width * 4 <= REMEMBERED_BYTES
        self._fitted: dict[int, tuple[Image, LabelMap]] = {}

    def __getitem__(self, index: int) -> tuple[Image, LabelMap]:
        """RGB uint8 (height, width, 3) and ids uint8 (height, width).

        Raises:
            SourceError: the picture or its labels are missing or broken.
        """
        image, labels = self._picture(self.place(index))
        if self.augmentation == "none":
            return image, labels
        rng = np.random.default_rng((self.seed, 1, index))
        if rng.random() < 0.5:
            image, labels = transforms.flip(image, labels, self.flipped)
        if self.augmentation == "full":
            image, labels = moved(image, labels, rng)
            image = transforms.photometric(image, rng, transforms.PhotometricSettings())
        return image, labels

    def _picture(self, place: int) -> tuple[Image, LabelMap]:
        if place in self._fitted:
            return self._fitted[place]
        pair = fitted(self.dataset[place], height=self.height, width=self.width, fit=self.fit)
        if self._remembers:
            self._fitted[place] = pair
        return pair

    def place(self, index: int) -> int:
        """The index of the picture in a view."""
        epoch, within = divmod(index, len(self.dataset))
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng((self.seed, 0, epoch))
            count = len(self.dataset)
            if self.weights is None:
                order = rng.permutation(count)
            else:
                order = rng.choice(count, size=count, p=self.weights / self.weights.sum())
            self._order = epoch, order
        return int(self._order[1][within])


def fitted(sample: Sample, *, height: int, width: int, fit: Fit) -> tuple[Image, LabelMap]:
    """Resize a picture to (height, width) as for a network, and its labels by nearest neighbour.

    Padding is ignored in the labels.
    """
    labels = sample.labels
    image = fit_picture(sample.image, height=height, width=width, fit=fit)
    top, left, inner_height, inner_width = fitted_place(
        *labels.shape, into=(height, width), fit=fit
    )
    if labels.shape != (inner_height, inner_width):
        labels = resize_labels(labels, height=inner_height, width=inner_width)
    if (inner_height, inner_width) == (height, width):
        return image, labels
    ids = np.full((height, width), IGNORED, np.uint8)
    ids[top : top + inner_height, left : left + inner_width] = labels
    return image, ids


def moved(image: Image, labels: LabelMap, rng: np.random.Generator) -> tuple[Image, LabelMap]:
    """Change scale (0.75..1.5), roll (up to 30 degrees), aspect ratio and position."""
    height, width = labels.shape
    matrix = transforms.affine(
        source_centre=(width / 2, height / 2),
        target_centre=(width * rng.uniform(0.4, 0.6), height * rng.uniform(0.4, 0.6)),
        scale=math.exp(rng.uniform(math.log(0.75), math.log(1.5))),
        degrees=float(np.clip(rng.normal(0, 12), -30, 30)),
        stretch=math.exp(rng.uniform(-0.15, 0.15)),
    )
    shown = cv2.warpAffine(
        image,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(PADDING, PADDING, PADDING),
    )
    ids = cv2.warpAffine(
        labels,
        matrix,
        (width, height),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=IGNORED,
    )
    return np.asarray(shown, np.uint8), np.asarray(ids, np.uint8)


def class_pixels(dataset: Dataset, *, at_most: int = 500) -> npt.NDArray[np.int64]:
    """Count each class's pixels in each picture, int64 (pictures, classes).

    If there are more than `at_most` pictures, that many evenly spaced ones are counted.
    """
    classes = len(dataset.label_set)
    count = min(len(dataset), at_most)
    chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    rows = [np.bincount(dataset[int(i)].labels.ravel(), minlength=256)[:classes] for i in chosen]
    return np.array(rows, np.int64).reshape(count, classes)


def balanced_weights(dataset: Dataset) -> npt.NDArray[np.float64]:
    """Weights of pictures such that every class is shown about equally often.

    A picture's weight is the sum, over the classes that it shows, of one over the number of
    pictures that show the class. Reads every label once.
    """
    present = class_pixels(dataset, at_most=len(dataset)) > 0
    shown_in = present.sum(0)
    worth = np.where(shown_in > 0, 1 / np.maximum(shown_in, 1), 0.0)
    weights: npt.NDArray[np.float64] = (present * worth).sum(1)
    return np.maximum(weights, weights[weights > 0].min() if weights.any() else 1.0)
