"""Pictures of any size through a network and back to their size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rtseg.labels import LabelSet
from rtseg.models.normalisation import normalised
from training.data.base import Sample
from training.evaluation.predictor import Predictor, evaluate

LIGHT = LabelSet(name="light", names=("dark", "light"), colours=((0, 0, 0), (255, 255, 255)))


class Threshold(nn.Module):
    """Predicts class 1 for bright pixels; logits at stride 4."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(20.0))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = nn.functional.avg_pool2d(images.mean(1, keepdim=True), 4) - 0.5
        return torch.cat([-bright, bright], 1) * self.gain


def predictor(fit: str) -> Predictor:
    return Predictor(
        Threshold(), height=64, width=64, fit=fit, mean=(0, 0, 0), std=(1, 1, 1), batch=2
    )  # type: ignore[arg-type]


def square(height: int, width: int, *, box: tuple[int, int, int, int]) -> Sample:
    labels = np.zeros((height, width), np.uint8)
    labels[box[0] : box[1], box[2] : box[3]] = 1
    return Sample(name="s", image=np.repeat(labels[:, :, None] * 255, 3, 2), labels=labels)


@pytest.mark.parametrize("fit", ["letterbox", "stretch"])
@pytest.mark.parametrize("shape", [(64, 64), (128, 256), (256, 128), (40, 90)])
def test_labels_come_back_at_the_pictures_size_and_place(fit: str, shape: tuple[int, int]):
    height, width = shape
    box = (height // 4, 3 * height // 4, width // 4, 3 * width // 4)
    sample = square(height, width, box=box)
    (labels,) = predictor(fit)([sample.image])
    assert labels.shape == shape
    assert labels.dtype == np.uint8
    shared = ((labels == 1) & (sample.labels == 1)).sum()
    assert 2 * shared / ((labels == 1).sum() + (sample.labels == 1).sum()) > 0.9


def test_a_picture_does_not_depend_on_its_batch():
    samples = [square(64, 64, box=(0, 8 * i, 0, 40)) for i in range(1, 6)]
    together = predictor("stretch")([sample.image for sample in samples])
    for sample, labels in zip(samples, together, strict=True):
        np.testing.assert_array_equal(labels, predictor("stretch")([sample.image])[0])


def test_the_checkpoints_normalisation_is_used():
    images = torch.full((1, 2, 2, 3), 255, dtype=torch.uint8)
    result = normalised(images, mean=(0.5, 0.0, 1.0), std=(0.5, 0.25, 1.0))
    torch.testing.assert_close(result[0, :, 0, 0], torch.tensor([1.0, 4.0, 0.0]))


class Two:
    label_set = LIGHT
    names = ("a", "b")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        sample = square(64, 64, box=(0, 32, 0, 64))
        if index:
            sample.labels[:, :32] = 255
        return sample


def test_every_picture_is_counted_once_and_255_not_at_all():
    matrix = evaluate(predictor("stretch"), Two(), size=(64, 64), batch=1)
    assert matrix.sum() == 64 * 64 + 64 * 32
    np.testing.assert_array_equal(matrix, np.diag([matrix[0, 0], matrix[1, 1]]))
