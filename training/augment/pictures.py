"""Training views of whole pictures: fitted to the network's input, augmented, in a seeded order.

Every view is a pure function of (seed, index), so that a resumed run sees what it would have seen,
and so that several processes can share the indices among them.
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
"""Data sets that take no more than this at the input's size are read from disk once."""


class PictureViews:
    """An endless sequence of views: `views[index]` -> (image, labels).

    An epoch shows every picture once, in its own order; class-balanced, it draws as many with
    replacement, pictures with rare classes more often.

    Args:
        dataset: labelled pictures.
        height, width: of the views, pixels.
        fit: `stretch` or `letterbox`; a letterbox's bands are ignored in the labels.
        augmentation: `flip` mirrors half of the views and swaps left and right ids; `full` also
            scales, rotates, moves and recolours them.
        weights: how often each picture is drawn; None is once an epoch.
        seed: of the whole sequence.
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
            raise SettingError("a data set without pictures gives no views")
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
        """Which picture a view shows."""
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
    """The picture as a network sees it, and its labels (nearest), at (height, width); what lies
    around a letterboxed picture is ignored."""
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
    """Another scale (0.75..1.5), roll (30 degrees at most), shape and place."""
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
    """Pixels of each class in each of some pictures, int64 (pictures, classes).

    Where there are more than `at_most` pictures, that many evenly spaced ones are counted.
    """
    classes = len(dataset.label_set)
    count = min(len(dataset), at_most)
    chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    rows = [np.bincount(dataset[int(i)].labels.ravel(), minlength=256)[:classes] for i in chosen]
    return np.array(rows, np.int64).reshape(count, classes)


def balanced_weights(dataset: Dataset) -> npt.NDArray[np.float64]:
    """How often each picture is drawn so that every class is shown about equally often.

    A picture's weight is the sum, over the classes that it shows, of one over the number of
    pictures that show the class. Reads every label once.
    """
    present = class_pixels(dataset, at_most=len(dataset)) > 0
    shown_in = present.sum(0)
    worth = np.where(shown_in > 0, 1 / np.maximum(shown_in, 1), 0.0)
    weights: npt.NDArray[np.float64] = (present * worth).sum(1)
    return np.maximum(weights, weights[weights > 0].min() if weights.any() else 1.0)
