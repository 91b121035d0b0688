"""Measure a network on labelled pictures: one pass, argmax of the upsampled logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from rtseg.checkpoint import Checkpoint, Fit
from rtseg.frames import Image, LabelMap
from rtseg.models import create_model
from training.augment.pictures import PADDING, letterboxed
from training.data.base import Dataset, resize_labels
from training.evaluation.metrics import Matrix, confusion_matrix, without_sets

Labeller = Callable[..., list[LabelMap]]
"""Pictures of any size in, their label ids at the same sizes out; where labels are displaced it is
also given their `offset` (`Predictor.probabilities`)."""


def normalised(
    images: torch.Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """uint8 (batch, height, width, 3) -> float32 (batch, 3, height, width), channels last."""
    scale = 1.0 / (255.0 * torch.tensor(std, device=images.device))
    shift = torch.tensor(mean, device=images.device) / torch.tensor(std, device=images.device)
    return (images.permute(0, 3, 1, 2).float() * scale.view(1, 3, 1, 1)) - shift.view(1, 3, 1, 1)


class Predictor:
    """A network with what its checkpoint says about its input; called on pictures of any size."""

    def __init__(
        self,
        model: nn.Module,
        *,
        height: int,
        width: int,
        fit: Fit,
        mean: Sequence[float],
        std: Sequence[float],
        batch: int = 8,
    ) -> None:
        self.model = model
        self.height, self.width, self.fit = height, width, fit
        self.mean, self.std, self.batch = mean, std, batch

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> Predictor:
        """The checkpoint's own network, float32, on the CPU."""
        model = create_model(checkpoint).to(memory_format=torch.channels_last)
        return cls(
            model,
            height=checkpoint.spec.input_height,
            width=checkpoint.spec.input_width,
            fit=checkpoint.spec.fit,
            mean=checkpoint.spec.mean,
            std=checkpoint.spec.std,
        )

    def __call__(self, images: Sequence[Image], *, offset: float = 0.0) -> list[LabelMap]:
        """Label ids, uint8, each at its picture's size; see `probabilities`."""
        return [p.argmax(0).astype(np.uint8) for p in self.probabilities(images, offset=offset)]

    def probabilities(self, images: Sequence[Image], *, offset: float = 0.0) -> list[np.ndarray]:
        """Class probabilities, float32 (classes, height, width), each at its picture's size.

        `offset` moves them to the right and down by a part of the input's pixel, 0..1, to where
        labels lie that are displaced so.
        """
        found: list[np.ndarray] = []
        for start in range(0, len(images), self.batch):
            chunk = images[start : start + self.batch]
            inputs = np.stack([self._fitted(image) for image in chunk])
            with torch.inference_mode():
                device = next(self.model.parameters()).device
                tensor = normalised(
                    torch.from_numpy(inputs).to(device), mean=self.mean, std=self.std
                )
                logits = self.model(tensor).float()
                size = (self.height, self.width)
                logits = functional.interpolate(
                    logits, size=size, mode="bilinear", align_corners=False
                )
                whole = _moved(functional.softmax(logits, dim=1), offset)
                for image, one in zip(chunk, whole, strict=True):
                    found.append(self._restored(one, image.shape[0], image.shape[1]))
        return found

    def _inside(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Where in the input a picture of that size lies: top, left, height, width."""
        if self.fit == "stretch":
            return 0, 0, self.height, self.width
        inner_height, inner_width = letterboxed(height, width, into=(self.height, self.width))
        top, left = (self.height - inner_height) // 2, (self.width - inner_width) // 2
        return top, left, inner_height, inner_width

    def _fitted(self, image: Image) -> Image:
        top, left, height, width = self._inside(image.shape[0], image.shape[1])
        if image.shape[:2] == (self.height, self.width):
            return image
        how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
        inner = cv2.resize(image, (width, height), interpolation=how)
        fitted = np.full((self.height, self.width, 3), PADDING, np.uint8)
        fitted[top : top + height, left : left + width] = inner
        return fitted

    def _restored(self, probabilities: torch.Tensor, height: int, width: int) -> np.ndarray:
        top, left, inner_height, inner_width = self._inside(height, width)
        inner = probabilities[:, top : top + inner_height, left : left + inner_width]
        if inner.shape[1:] != (height, width):
            inner = functional.interpolate(
                inner[None], size=(height, width), mode="bilinear", align_corners=False
            )[0]
        return inner.cpu().numpy()


def _moved(maps: torch.Tensor, offset: float) -> torch.Tensor:
    """(…, height, width) interpolated `offset` pixels to the left of and above each pixel."""
    if not offset:
        return maps
    for axis in (-1, -2):
        before = torch.cat(
            [maps.narrow(axis, 0, 1), maps.narrow(axis, 0, maps.shape[axis] - 1)], dim=axis
        )
        maps = torch.lerp(maps, before, offset)
    return maps


def evaluate(
    label: Labeller,
    dataset: Dataset,
    *,
    size: tuple[int, int],
    fit: Fit = "stretch",
    batch: int = 8,
) -> Matrix:
    """The summed confusion matrix over a data set, counted at the size that a network sees.

    Args:
        label: the network.
        dataset: pictures and their labels.
        size: (height, width) that pictures are stretched to, or letterboxed into; a letterbox's
            bands are not counted. Pictures are scaled by area, labels by nearest neighbour.
        fit: which of the two.
        batch: pictures that `label` is given at once.
    """
    classes = len(dataset.label_set)
    total = np.zeros((classes, classes), np.int64)
    for start in range(0, len(dataset), batch):
        samples = [dataset[i] for i in range(start, min(start + batch, len(dataset)))]
        images = [_resized(sample.image, _seen(sample.image, size, fit)) for sample in samples]
        offset = samples[0].label_offset * images[0].shape[0] / samples[0].image.shape[0]
        labelled = label(images, offset=offset) if offset else label(images)
        for sample, image, predicted in zip(samples, images, labelled, strict=True):
            truth = resize_labels(sample.labels, height=image.shape[0], width=image.shape[1])
            if sample.sets:
                truth, predicted = without_sets(truth, predicted, sets=sample.sets)
            total += confusion_matrix(truth, predicted, classes=classes)
    return total


def evaluated(
    checkpoint: Checkpoint,
    dataset: Dataset,
    *,
    device: str = "cpu",
) -> Matrix:
    """The summed confusion matrix of a checkpoint's network, at its own input size."""
    predictor = Predictor.of_checkpoint(checkpoint)
    predictor.model.to(device)
    size = (checkpoint.spec.input_height, checkpoint.spec.input_width)
    return evaluate(predictor, dataset, size=size, fit=checkpoint.spec.fit)


def _seen(image: Image, size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    if fit == "stretch":
        return size
    return letterboxed(image.shape[0], image.shape[1], into=size)


def _resized(image: Image, size: tuple[int, int]) -> Image:
    if image.shape[:2] == size:
        return image
    how = cv2.INTER_AREA if size[0] < image.shape[0] else cv2.INTER_LINEAR
    resized: Image = cv2.resize(image, (size[1], size[0]), interpolation=how)
    return resized
