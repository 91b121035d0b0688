"""Losses by name, and weighted sums such as `cross-entropy + 0.5*dice`.

Each takes float32 logits (batch, classes, height, width) and int64 targets (batch, height, width),
returns a scalar, and ignores pixels labelled 255 (and, except in `cross-entropy`, those labelled
with a set of classes). Losses that average over classes ignore classes absent from the batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch.nn import functional

from rtseg.errors import SettingError, listed
from rtseg.labels import IGNORED
from training.losses.face_centres import face_centre_loss
from training.losses.functions import FIRST_SET, Sets, cross_entropy, region_dice, soft_dice

Logits = torch.Tensor
Targets = torch.Tensor


@dataclass(frozen=True, kw_only=True)
class LossContext:
    """Information about the data that losses may need.

    Attributes:
        sets: the sets for target values from `FIRST_SET` up.
        regions: groups of classes that `region` combines.
        background: the id that `foreground-dice` ignores.
        class_shares: each class's share of the training pixels, 0..1, called at most once.
    """

    sets: Sets = ()
    regions: Sequence[Sequence[int]] = ()
    background: int | None = 0
    class_shares: Callable[[], Sequence[float]] | None = None


Loss = Callable[[Logits, Targets], torch.Tensor]


def class_weights(shares: Sequence[float]) -> torch.Tensor:
    """Inverse frequencies, float32 (classes,), normalised to a mean of 1 over the pixels.

    A class that never occurs gets the weight 0.
    """
    share = torch.tensor(list(shares), dtype=torch.float32)
    share = share / share.sum().clamp(min=1e-12)
    inverse = torch.where(share > 0, 1 / share.clamp(min=1e-12), 0.0)
    return inverse / (share > 0).sum().clamp(min=1)


def _exact(targets: Targets) -> Targets:
    """Replace sets in the targets by the ignored id."""
    return torch.where(targets >= FIRST_SET, IGNORED, targets)


def weighted_cross_entropy(
    logits: Logits, targets: Targets, *, weights: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy with one weight per class, divided by the weights' sum (as in PyTorch)."""
    exact = _exact(targets)
    if not bool((exact != IGNORED).any()):
        return logits.sum() * 0.0
    return functional.cross_entropy(logits, exact, weight=weights.to(logits), ignore_index=IGNORED)


def image_weighted_cross_entropy(logits: Logits, targets: Targets) -> torch.Tensor:
    """Cross-entropy in which all classes in a picture have the same total weight.

    A pixel of class c weighs counted / (present * count of c), all three of its own picture: the
    per-pixel weights by class frequency of `celebamask-deeplab`'s source.
    """
    exact = _exact(targets)
    classes = logits.shape[1]
    counted = exact != IGNORED
    one_hot = functional.one_hot(torch.where(counted, exact, 0), classes) * counted.unsqueeze(3)
    counts = one_hot.sum((1, 2)).to(logits.dtype)  # (batch, classes)
    present = (counts > 0).sum(1, keepdim=True).clamp(min=1)
    weights = counts.sum(1, keepdim=True) / (present * counts.clamp(min=1))
    each = functional.cross_entropy(logits, exact, ignore_index=IGNORED, reduction="none")
    index = torch.where(counted, exact, 0).flatten(1)
    pixel_weights = weights.gather(1, index).view_as(each) * counted
    return (each * pixel_weights).sum() / counted.sum().clamp(min=1)


def focal(logits: Logits, targets: Targets, *, gamma: float = 2.0) -> torch.Tensor:
    """Cross-entropy times (1 - p) ** gamma, where p is the probability of the true class.

    Lin et al., ICCV 2017, with a softmax; segmentation-models-pytorch uses a sigmoid per class.
    """
    exact = _exact(targets)
    each = functional.cross_entropy(logits, exact, ignore_index=IGNORED, reduction="none")
    counted = exact != IGNORED
    return ((1 - torch.exp(-each)) ** gamma * each * counted).sum() / counted.sum().clamp(min=1)


def jaccard_distance(logits: Logits, targets: Targets, *, smooth: float = 100.0) -> torch.Tensor:
    """(1 - (I + smooth) / (U + smooth)) * smooth, per pixel over its classes, then the mean.

    Known by this name in Keras; `smooth` keeps its gradient from exploding.
    """
    exact = _exact(targets)
    counted = exact != IGNORED
    probabilities = functional.softmax(logits, dim=1)
    overlap = probabilities.gather(1, torch.where(counted, exact, 0).unsqueeze(1)).squeeze(1)
    union = 1 + 1 - overlap  # both vectors sum to one
    each = (1 - (overlap + smooth) / (union + smooth)) * smooth
    return (each * counted).sum() / counted.sum().clamp(min=1)


def global_dice(logits: Logits, targets: Targets, *, smooth: float = 1.0) -> torch.Tensor:
    """1 - Dice with all classes pooled into one sum."""
    exact = _exact(targets)
    counted = exact != IGNORED
    probabilities = functional.softmax(logits, dim=1)
    overlap = probabilities.gather(1, torch.where(counted, exact, 0).unsqueeze(1)).squeeze(1)
    pixels = counted.sum()
    return 1 - (2 * (overlap * counted).sum() + smooth) / (2 * pixels + smooth)


def _of_library(name: str, **options: Any) -> Loss:
    """Make a loss of segmentation-models-pytorch over the classes in the batch."""
    try:
        from segmentation_models_pytorch import losses
    except ImportError:
        raise SettingError(
            "this loss needs segmentation-models-pytorch, which is not installed; install it "
            "with: pip install 'rtseg[training]'"
        ) from None
    loss = getattr(losses, name)(mode="multiclass", ignore_index=IGNORED, **options)

    def call(logits: Logits, targets: Targets) -> torch.Tensor:
        exact = _exact(targets)
        if not bool((exact != IGNORED).any()):
            return logits.sum() * 0.0  # a power of zero has no gradient
        value: torch.Tensor = loss(logits, exact)
        return value

    return call


def _foreground_dice(context: LossContext) -> Loss:
    def call(logits: Logits, targets: Targets) -> torch.Tensor:
        ids = [i for i in range(logits.shape[1]) if i != context.background]
        return _of_library("DiceLoss", smooth=1.0, classes=ids)(logits, targets)

    return call


def _weighted(context: LossContext) -> Loss:
    if context.class_shares is None:
        raise SettingError("the loss weighted-cross-entropy needs training data with labels")
    return partial(weighted_cross_entropy, weights=class_weights(context.class_shares()))


LOSSES: Mapping[str, Callable[[LossContext], Loss]] = MappingProxyType(
    {
        "cross-entropy": lambda context: partial(cross_entropy, sets=context.sets),
        "weighted-cross-entropy": _weighted,
        "image-weighted-cross-entropy": lambda context: image_weighted_cross_entropy,
        "focal": lambda context: focal,
        "dice": lambda context: soft_dice,
        "face-centres": lambda context: face_centre_loss,
        "region": lambda context: partial(region_dice, regions=context.regions),
        "global-dice": lambda context: global_dice,
        "foreground-dice": _foreground_dice,
        "log-dice": lambda context: _of_library("DiceLoss", log_loss=True, smooth=1.0),
        "jaccard": lambda context: _of_library("JaccardLoss"),
        "jaccard-distance": lambda context: jaccard_distance,
        # the library's alpha weights false positives, beta false negatives
        "tversky": lambda context: _of_library("TverskyLoss", alpha=0.3, beta=0.7),
        "focal-tversky": lambda context: _of_library(
            "TverskyLoss", alpha=0.3, beta=0.7, gamma=0.75
        ),
    }
)
"""Every loss by its name in recipes and `--set loss=`."""


@dataclass(frozen=True, kw_only=True)
class LossSum:
    """A weighted sum of losses."""

    terms: tuple[tuple[float, Loss], ...] = field(repr=False)

    def __call__(self, logits: Logits, targets: Targets) -> torch.Tensor:
        """A scalar."""
        total = logits.new_zeros(())
        for weight, loss in self.terms:
            total = total + weight * loss(logits, targets)
        return total


def parse_loss(text: str) -> tuple[tuple[float, str], ...]:
    """Parse weights and names from text such as `cross-entropy + 0.5*dice`.

    Raises:
        SettingError: the syntax is wrong, or a loss is unknown.
    """
    terms = []
    for part in text.split("+"):
        match = re.fullmatch(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)\s*\*\s*)?([a-z-]+)\s*", part)
        if match is None or match[2] not in LOSSES:
            raise SettingError(
                f"loss {text!r}: {part.strip()!r} is not a loss; write NAME or WEIGHT*NAME, joined "
                f"by +, with names of: {listed(LOSSES)}"
            )
        terms.append((float(match[1] or 1), match[2]))
    return tuple(terms)


def make_loss(text: str, context: LossContext) -> LossSum:
    """Make the loss that a text describes.

    Raises:
        SettingError: as for `parse_loss`, or a required library is not installed.
    """
    terms = ((weight, LOSSES[name](context)) for weight, name in parse_loss(text))
    return LossSum(terms=tuple(terms))
