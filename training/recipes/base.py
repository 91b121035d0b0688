"""What a recipe says: the network, the data, the views made of it, and the settings of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rtseg.checkpoint import Checkpoint, Fit, View
from rtseg.frames import Image, LabelMap
from rtseg.labels import LabelSet
from training.check import Pictures
from training.datasets.base import Dataset
from training.losses import Sets
from training.settings import FitSettings


class Views(Protocol):
    """An endless sequence of training views, each a pure function of its index."""

    def __getitem__(self, index: int) -> tuple[Image, LabelMap]: ...


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        views: the training views.
        pictures: how many training pictures make an epoch.
        sets: what target values from `training.losses.FIRST_SET` up stand for.
        description: for the checkpoint's provenance.
    """

    views: Views
    pictures: int
    sets: Sets = ()
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One run that can be repeated.

    Attributes:
        name, summary: for `list` and `show`.
        architecture, options: of `rtseg.models`.
        label_set, input_height, input_width, fit, mean, std, stride, view: as in `Checkpoint`.
        settings: the run's defaults.
        training: (data folder, settings) -> what to learn from.
        evaluation: (data folder, split) -> what to measure on.
        downloads: data folder -> every split of every data set that it uses, for `check`.
        splits: which splits `evaluation` knows; the first is the one for every choice.
        regions: classes that the region Dice pools, such as a whole face.
        published: a figure's name -> what the source published.
        terms: under what terms its weights may be used.
    """

    name: str
    summary: str
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label_set: LabelSet
    input_height: int
    input_width: int
    fit: Fit = "letterbox"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    stride: int = 4
    view: View = "face"
    settings: FitSettings
    training: Callable[[Path, FitSettings], TrainingData]
    evaluation: Callable[[Path, str], Dataset]
    downloads: Callable[[Path], Mapping[str, Pictures]]
    splits: tuple[str, ...] = ("val",)
    regions: tuple[tuple[int, ...], ...] = ()
    published: Mapping[str, float] = field(default_factory=dict)
    terms: str = ""

    def checkpoint(
        self,
        tensors: Mapping[str, np.ndarray[Any, Any]],
        *,
        provenance: Mapping[str, Any],
        accuracy: Mapping[str, Any],
    ) -> Checkpoint:
        """A model file's content with these weights."""
        return Checkpoint(
            architecture=self.architecture,
            options=dict(self.options),
            label_set=self.label_set,
            input_height=self.input_height,
            input_width=self.input_width,
            fit=self.fit,
            mean=self.mean,
            std=self.std,
            stride=self.stride,
            view=self.view,
            provenance=provenance,
            accuracy=accuracy,
            terms=self.terms,
            tensors=tensors,
        )
