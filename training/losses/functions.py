"""Cross-entropy and soft Dice losses from logits, ignoring pixels labelled 255.

Targets may contain *sets* of classes for data with coarser labels: a value of `FIRST_SET` + k means
"one of the classes in set k", and the pixel's loss is the negative logarithm of the probability of
the whole set.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from rtseg.frames import LabelMap
from rtseg.labels import IGNORED

FIRST_SET = 200
"""Target values from this one to 254 stand for sets of classes."""

Sets = Sequence[Sequence[int]]


def members(ids: Iterable[int], sets: Sets = ()) -> npt.NDArray[np.bool_]:
    """Whether each target value is one of `ids`, or a set of only these, bool (256,)."""
    chosen = frozenset(ids)
    table = np.zeros(256, bool)
    table[list(chosen)] = True
    for place, allowed in enumerate(sets):
        table[FIRST_SET + place] = chosen.issuperset(allowed)
    return table


def looked_up(labels: LabelMap, table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """`table[labels]` for a table of 256 bytes, ten times as fast as NumPy's indexing."""
    found: npt.NDArray[Any] = cv2.LUT(labels, table.view(np.uint8)).view(table.dtype)
    return found


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor, *, sets: Sets = ()) -> torch.Tensor:
    """Mean negative log-likelihood over the counted pixels.

    Args:
        logits: float32 (batch, classes, height, width).
        targets: int64 (batch, height, width).
        sets: the classes of each set that a target value from `FIRST_SET` up stands for.

    Returns:
        A scalar; zero if no pixel counts.
    """
    log_probabilities = functional.log_softmax(logits, dim=1)
    exact = torch.where(targets >= FIRST_SET, IGNORED, targets)
    total = functional.nll_loss(log_probabilities, exact, ignore_index=IGNORED, reduction="sum")
    count = (exact != IGNORED).sum()
    in_set = (targets >= FIRST_SET) & (targets != IGNORED)
    if sets and bool(in_set.any()):
        pixels = log_probabilities.permute(0, 2, 3, 1)[in_set]  # (pixels, classes)
        allowed = torch.zeros(len(sets), logits.shape[1], dtype=torch.bool)
        for row, ids in enumerate(sets):
            allowed[row, list(ids)] = True
        mask = allowed.to(logits.device)[targets[in_set] - FIRST_SET]
        total = total - torch.logsumexp(pixels.masked_fill(~mask, -torch.inf), dim=1).sum()
        count = count + in_set.sum()
    return total / count.clamp(min=1)


def soft_dice(logits: torch.Tensor, targets: torch.Tensor, *, smooth: float = 1.0) -> torch.Tensor:
    """1 - Dice, pooled over the batch and averaged over the classes in it.

    Milletari et al., 3DV 2016. Pixels that are ignored or labelled with a set do not count.
    Shapes as in `cross_entropy`.
    """
    classes = logits.shape[1]
    counted = (targets < classes).unsqueeze(1)
    probabilities = functional.softmax(logits, dim=1) * counted
    truth = torch.zeros_like(probabilities).scatter_(
        1, torch.where(targets < classes, targets, 0).unsqueeze(1), counted.to(probabilities.dtype)
    )
    overlap = (probabilities * truth).sum((0, 2, 3))
    in_truth = truth.sum((0, 2, 3))
    dice = (2 * overlap + smooth) / (probabilities.sum((0, 2, 3)) + in_truth + smooth)
    present = in_truth > 0
    return ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def region_dice(
    logits: torch.Tensor,
    targets: torch.Tensor,
    *,
    regions: Sequence[Sequence[int]],
    smooth: float = 10.0,
) -> torch.Tensor:
    """1 - Dice of regions (several classes combined), averaged over images, so that a small face
    counts as much as a large one, and a false region as much as a missed one.

    Pixels that are ignored or labelled with a set do not count. Shapes as in `cross_entropy`;
    `smooth` is in pixels.
    """
    counted = targets < logits.shape[1]
    probabilities = functional.softmax(logits, dim=1)
    total = logits.new_zeros(())
    for ids in regions:
        target = torch.isin(targets, torch.tensor(list(ids), device=targets.device)) & counted
        predicted = probabilities[:, list(ids)].sum(1) * counted
        overlap = (predicted * target).sum((1, 2))
        both = predicted.sum((1, 2)) + target.sum((1, 2))
        total = total + (1 - (2 * overlap + smooth) / (both + smooth)).mean()
    return total / max(1, len(regions))


def distillation(logits: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the network's probabilities and its teachers', over all pixels.

    Args:
        logits: of the network, float32 (batch, classes, height, width).
        probabilities: of its teachers, same shape.
    """
    return -(probabilities * functional.log_softmax(logits, dim=1)).sum(1).mean()


def upsample_at(
    logits: torch.Tensor, *, stride: int, step: int, phase: tuple[int, int]
) -> torch.Tensor:
    """Upsample bilinearly by `stride`, computing only every `step`-th pixel from `phase` on.

    Equal to `interpolate(logits, scale_factor=stride, mode="bilinear")[..., py::step, px::step]`,
    at a fraction of its cost.

    Args:
        logits: (batch, classes, height, width).
        phase: (y, x) of the first pixel, each 0..step-1.
    """
    rows = _interpolation(logits.shape[2], stride, step, phase[0]).to(logits)
    columns = _interpolation(logits.shape[3], stride, step, phase[1]).to(logits)
    return rows @ (logits @ columns.T)


def _interpolation(size: int, stride: int, step: int, phase: int) -> torch.Tensor:
    """The matrix (outputs, size) of a one-dimensional linear interpolation."""
    centres = (torch.arange(phase, size * stride, step) + 0.5) / stride - 0.5
    centres = centres.clamp(0, size - 1)
    low = centres.floor().long().clamp(max=max(size - 2, 0))
    high = (low + 1).clamp(max=size - 1)
    share = (centres - low).unsqueeze(1)
    return functional.one_hot(low, size) * (1 - share) + functional.one_hot(high, size) * share
