"""The definition of a recipe: network, data, training views, and settings of the run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import nn

from rtseg.checkpoint import Checkpoint, ModelSpec
from rtseg.errors import SettingError
from rtseg.frames import Image
from training.data.base import Dataset
from training.data.check import Pictures
from training.losses.functions import Sets
from training.settings import FitSettings


class Views(Protocol):
    """An endless sequence of training views, each a pure function of its index."""

    def __getitem__(self, index: int) -> tuple[Image, npt.NDArray[np.integer[Any]]]:
        """An image, and its labels or another target for the recipe's loss."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """The training data of a run.

    Attributes:
        views: the training views.
        pictures: number of training pictures in an epoch.
        sets: the sets for target values from `training.losses.functions.FIRST_SET` up.
        description: for the checkpoint's provenance.
        class_shares: counts each class's share of the training pixels, for class-weighted losses.
    """

    views: Views
    pictures: int
    sets: Sets = ()
    description: str = ""
    class_shares: Callable[[], Sequence[float]] | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A reproducible training run.

    Attributes:
        name, summary: for `list` and `show`.
        spec: the network's specification, with the terms of its weights.
        settings: default settings.
        training: (data folder, settings) -> training data.
        evaluation: (data folder, split) -> evaluation data.
        downloads: data folder -> every split of every data set that it uses, for `check`.
        splits: the splits that `evaluation` accepts; the first is used for all decisions.
        regions: groups of classes that the region Dice combines, such as a whole face.
        published: a metric's name -> the value that the source published.
        notes: choices made where the source's code and text differ, and why.
        first: the recipe whose weights this one starts from, unless `start_from` is set.
        answers: the recipe whose network decides which class of a set pixels show, unless
            `answers_from` is set.
        teachers: the recipes whose networks' opinion is learnt besides the labels, unless
            `teachers_from` is set.
        rare: names of classes whose logits get a bias at the release, so that their F1 is largest
            (`training.evaluation.class_bias`).
        oversampled: classes whose pictures training draws so many times as often as the data has
            them; the release lowers their logits by the logarithm, so that the network expects
            them as often as the data shows them.
        figures: (network, data folder, split) -> metrics, including a `mean` for choosing the
            best checkpoint, for networks that are not measured by a confusion matrix.
    """

    name: str
    summary: str
    spec: ModelSpec
    settings: FitSettings
    training: Callable[[Path, FitSettings], TrainingData]
    evaluation: Callable[[Path, str], Dataset]
    downloads: Callable[[Path], Mapping[str, Pictures]]
    splits: tuple[str, ...] = ("val",)
    regions: tuple[tuple[int, ...], ...] = ()
    published: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    first: Recipe | None = None
    answers: Recipe | None = None
    teachers: tuple[Recipe, ...] = ()
    rare: tuple[str, ...] = ()
    oversampled: Mapping[str, float] = field(default_factory=dict)
    figures: Callable[[nn.Module, Path, str], Mapping[str, Any]] | None = None

    def with_spec(self, **changes: Any) -> Recipe:
        """Return the recipe with some fields of its specification changed."""
        return dataclasses.replace(self, spec=dataclasses.replace(self.spec, **changes))

    def with_input(self, height: int, width: int) -> Recipe:
        """Return the recipe with another input size; 0 keeps a side."""
        if not height and not width:
            return self
        return self.with_spec(
            input_height=height or self.spec.input_height,
            input_width=width or self.spec.input_width,
        )

    def with_options(self, assignments: Iterable[str]) -> Recipe:
        """Return the recipe with `name=value` options of its architecture, each a JSON value.

        Raises:
            SettingError: one is not an assignment, or its value is not JSON.
        """
        options = dict(self.spec.options)
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            try:
                if not equals:
                    raise ValueError
                options[name.strip()] = json.loads(text)
            except ValueError:
                raise SettingError(
                    f"--option {assignment!r} sets nothing; use NAME=VALUE with a JSON value, "
                    "such as width=16"
                ) from None
        return self.with_spec(options=options)

    def checkpoint(
        self,
        tensors: Mapping[str, np.ndarray[Any, Any]],
        *,
        provenance: Mapping[str, Any],
        accuracy: Mapping[str, Any],
    ) -> Checkpoint:
        """Make a checkpoint with these weights."""
        spec = dataclasses.replace(self.spec, provenance=provenance, accuracy=accuracy)
        return Checkpoint(spec=spec, tensors=tensors)
