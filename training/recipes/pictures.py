"""Shared code of recipes that learn from whole pictures of one data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rtseg.checkpoint import Fit, ModelSpec
from rtseg.errors import RtsegError, SettingError, SourceError
from rtseg.labels import LabelSet
from training.augment.pictures import PictureViews, balanced_weights, class_pixels
from training.data.base import Dataset
from training.data.check import Pictures
from training.data.origin import Origin
from training.recipes.base import TrainingData
from training.settings import FitSettings

PLAIN = FitSettings(
    optimizer="adam",
    beta2=0.999,
    weight_decay=0.0,
    schedule="constant",
    loss="cross-entropy",
    loss_step=1,
    clip=0.0,
    average=0.0,
    precision="fp32",
    augmentation="none",
)
"""Adam at a constant rate, the baseline that the published projects' settings modify."""

PRETRAINED = dataclasses.replace(
    PLAIN, learning_rate=1e-3, encoder_weights="imagenet", evaluate_every=1
)
"""The same for a network whose encoder starts from ImageNet weights."""


def square_spec(label_set: LabelSet, origin: Origin, *, size: int, **fields: Any) -> ModelSpec:
    """Specify a network that sees pictures of one data set stretched to a square."""
    return ModelSpec(
        label_set=label_set,
        input_height=size,
        input_width=size,
        fit="stretch",
        terms=terms_of(origin),
        **fields,
    )


def whole_pictures(
    origin: Origin, split: str, spec: ModelSpec
) -> Callable[[Path, FitSettings], TrainingData]:
    """Make a recipe's `training` from the pictures of one split, resized to the network's input."""

    def training(data: Path, settings: FitSettings) -> TrainingData:
        return learn_from(
            origin.open(data, split),
            settings,
            height=spec.input_height,
            width=spec.input_width,
            fit=spec.fit,
            description=f"{origin.name}, split {split}",
        )

    return training


def learn_from(
    dataset: Dataset,
    settings: FitSettings,
    *,
    height: int,
    width: int,
    fit: Fit,
    description: str,
) -> TrainingData:
    """Make training data from a data set with the settings' size, augmentation and sampling."""
    weights = None
    if settings.sampling == "class-balanced":
        weights = balanced_weights(dataset)

    def class_shares() -> Sequence[float]:
        counts = class_pixels(dataset).sum(0)
        return [float(count) / max(1, int(counts.sum())) for count in counts]

    views = PictureViews(
        dataset,
        height=settings.input_height or height,
        width=settings.input_width or width,
        fit=fit,
        augmentation=settings.augmentation,
        weights=weights,
        seed=settings.seed,
    )
    return TrainingData(
        views=views,
        pictures=len(dataset),
        description=f"{description} ({len(dataset)} pictures)",
        class_shares=class_shares,
    )


def downloads_of(
    *origins: Origin, splits: Sequence[str] = ()
) -> Callable[[Path], dict[str, Pictures]]:
    """Make a recipe's `downloads` from its data sets' splits, for `check`.

    Args:
        origins: the data sets.
        splits: the splits to check; by default each data set's own.
    """

    def downloads(data: Path) -> dict[str, Pictures]:
        by_name: dict[str, Pictures] = {}
        for origin in origins:
            for split in splits or origin.splits:
                name = f"{origin.name}-{split}"
                try:
                    by_name[name] = origin.open(data, split)
                except (SourceError, SettingError) as error:
                    by_name[name] = Absent(error)
        return by_name

    return downloads


class Absent:
    """Stands for a split that cannot be opened: one picture that fails with the reason."""

    names = ("(none)",)

    def __init__(self, reason: RtsegError) -> None:
        self.reason = reason

    def __getitem__(self, index: int) -> None:
        raise SourceError(str(self.reason))


def terms_of(*origins: Origin) -> str:
    """The terms of use of weights trained on these data sets."""
    data = "; ".join(f"{origin.name} ({origin.homepage}): {origin.terms}" for origin in origins)
    return (
        f"Weights trained on research-use data: {data}. The code that made them is Apache-2.0; "
        "judge for yourself whether your use of the weights is covered."
    )
