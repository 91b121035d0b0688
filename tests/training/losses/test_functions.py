"""Losses compared with values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from training.losses.functions import (
    FIRST_SET,
    cross_entropy,
    distillation,
    soft_dice,
    upsample_at,
)


def logits_of(*probabilities: tuple[float, ...]) -> torch.Tensor:
    """One row of pixels with these class probabilities: (1, classes, 1, pixels)."""
    return torch.tensor(probabilities).log().T[None, :, None, :]


def test_cross_entropy_is_the_mean_over_counted_pixels():
    logits = logits_of((0.5, 0.25, 0.25), (0.1, 0.8, 0.1), (0.9, 0.05, 0.05))
    targets = torch.tensor([[[0, 1, 255]]])
    expected = -(math.log(0.5) + math.log(0.8)) / 2
    assert cross_entropy(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_a_set_of_classes_costs_the_probability_of_the_whole_set():
    logits = logits_of((0.5, 0.25, 0.25), (0.1, 0.8, 0.1))
    targets = torch.tensor([[[FIRST_SET + 1, 1]]])
    loss = cross_entropy(logits, targets, sets=((0, 1), (1, 2)))
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2, rel=1e-5)


def test_no_counted_pixels_give_a_zero_loss():
    logits = logits_of((0.5, 0.5)).requires_grad_()
    loss = cross_entropy(logits, torch.tensor([[[255]]]))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()
    assert soft_dice(logits, torch.tensor([[[255]]])).item() == 0


def test_dice_equals_a_value_computed_by_hand():
    logits = logits_of((0.8, 0.2), (0.4, 0.6), (0.5, 0.5))
    targets = torch.tensor([[[0, 1, 255]]])
    first = (2 * 0.8 + 1) / (1.2 + 1 + 1)
    second = (2 * 0.6 + 1) / (0.8 + 1 + 1)
    expected = 1 - (first + second) / 2
    assert soft_dice(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_dice_ignores_absent_classes_and_sets():
    logits = logits_of((0.8, 0.1, 0.1), (0.1, 0.1, 0.8))
    targets = torch.tensor([[[0, FIRST_SET]]])
    expected = 1 - (2 * 0.8 + 1) / (0.8 + 1 + 1)
    assert soft_dice(logits, targets).item() == pytest.approx(expected, rel=1e-5)


def test_distillation_is_the_cross_entropy_of_two_opinions():
    logits = torch.tensor([[[[0.0, 1.0]], [[0.0, -1.0]]]], requires_grad=True)
    theirs = torch.tensor([[[[0.75, 0.5]], [[0.25, 0.5]]]])
    expected = (math.log(2) + math.log(1 + math.exp(-2)) + 1) / 2
    loss = distillation(logits, theirs)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, (logits.softmax(1) - theirs) / 2)


@pytest.mark.parametrize("phase", [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_partial_upsampling_equals_the_whole_one(phase: tuple[int, int]):
    logits = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    whole = functional.interpolate(logits, scale_factor=4, mode="bilinear", align_corners=False)
    part = upsample_at(logits, stride=4, step=2, phase=phase)
    torch.testing.assert_close(part, whole[:, :, phase[0] :: 2, phase[1] :: 2])
