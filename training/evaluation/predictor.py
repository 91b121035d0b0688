"""Evaluate a network on labelled pictures: one pass, argmax of the upsampled logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from rtseg.checkpoint import Checkpoint, Fit
from rtseg.frames import Image, LabelMap
from rtseg.geometry.fit import fitted, fitted_place, resized
from rtseg.models import create_model
from rtseg.models.normalisation import normalised
from training.data.base import Dataset, resize_labels
from training.evaluation.metrics import Matrix, confusion_matrix, without_sets

Labeller = Callable[..., list[LabelMap]]
"""Maps pictures of any size to label ids of the same sizes. `offset` is passed for shifted labels
(`Predictor.probabilities`)."""


class Predictor:
    """A network with its checkpoint's input specification, callable on pictures of any size."""

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
        """Make a predictor with the checkpoint's network, float32, on the CPU."""
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
        """Predict label ids, uint8, each at its picture's size; see `probabilities`."""
        return [p.argmax(0).astype(np.uint8) for p in self.probabilities(images, offset=offset)]

    def probabilities(self, images: Sequence[Image], *, offset: float = 0.0) -> list[np.ndarray]:
        """Predict class probabilities, float32 (classes, height, width), at each picture's size.

        `offset` shifts them to the right and down by a fraction of an input pixel, 0..1, to match
        labels with that offset.
        """
        maps: list[np.ndarray] = []
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
                    maps.append(self._restored(one, image.shape[0], image.shape[1]))
        return maps

    def _inside(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The position of a picture of this size in the input: top, left, height, width."""
        return fitted_place(height, width, into=(self.height, self.width), fit=self.fit)

    def _fitted(self, image: Image) -> Image:
        return fitted(image, height=self.height, width=self.width, fit=self.fit)

    def _restored(self, probabilities: torch.Tensor, height: int, width: int) -> np.ndarray:
        top, left, inner_height, inner_width = self._inside(height, width)
        inner = probabilities[:, top : top + inner_height, left : left + inner_width]
        if inner.shape[1:] != (height, width):
            inner = functional.interpolate(
                inner[None], size=(height, width), mode="bilinear", align_corners=False
            )[0]
        return inner.cpu().numpy()


def _moved(maps: torch.Tensor, offset: float) -> torch.Tensor:
    """Interpolate (…, height, width) `offset` pixels to the left of and above each pixel."""
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
    """Sum the confusion matrix over a data set, counting at the network's input size.

    Args:
        label: the network.
        dataset: labelled pictures.
        size: (height, width) to which pictures are resized; padding is not counted. Pictures are
            resized by area, labels by nearest neighbour.
        fit: `stretch` or `letterbox`.
        batch: number of pictures per call of `label`.
    """
    classes = len(dataset.label_set)
    total = np.zeros((classes, classes), np.int64)
    for start in range(0, len(dataset), batch):
        samples = [dataset[i] for i in range(start, min(start + batch, len(dataset)))]
        images = [
            resized(sample.image, *_fitted_size(sample.image, size, fit)) for sample in samples
        ]
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
    """Sum the confusion matrix of a checkpoint's network at its input size."""
    predictor = Predictor.of_checkpoint(checkpoint)
    predictor.model.to(device)
    size = (checkpoint.spec.input_height, checkpoint.spec.input_width)
    return evaluate(predictor, dataset, size=size, fit=checkpoint.spec.fit)


def _fitted_size(image: Image, size: tuple[int, int], fit: Fit) -> tuple[int, int]:
    return fitted_place(image.shape[0], image.shape[1], into=size, fit=fit)[2:]
