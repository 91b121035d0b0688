"""What a recipe says: the network, the data, the views made of it, and the settings of the run."""

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
        """An image, and its labels or whatever else the recipe's loss takes for a target."""


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a run learns from.

    Attributes:
        views: the training views.
        pictures: how many training pictures make an epoch.
        sets: what target values from `training.losses.functions.FIRST_SET` up stand for.
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
    """One run that can be repeated.

    Attributes:
        name, summary: for `list` and `show`.
        spec: what its network sees and means, and under what terms its weights may be used.
        settings: the run's defaults.
        training: (data folder, settings) -> what to learn from.
        evaluation: (data folder, split) -> what to measure on.
        downloads: data folder -> every split of every data set that it uses, for `check`.
        splits: which splits `evaluation` knows; the first is the one for every choice.
        regions: classes that the region Dice pools, such as a whole face.
        published: a figure's name -> what the source published.
        notes: where the source's code and text differ: what was chosen, and why.
        first: the recipe whose weights this one starts from, unless `start_from` says which.
        figures: (network, data folder, split) -> what is measured of it, with a `mean` to keep
            the best by, where that is not a confusion matrix of labels.
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
    figures: Callable[[nn.Module, Path, str], Mapping[str, Any]] | None = None

    def before(self) -> list[Recipe]:
        """The recipes to run before this one, in their order; each starts from the last one's."""
        if self.first is None:
            return []
        return [*self.first.before(), self.first]

    def with_spec(self, **changes: Any) -> Recipe:
        """The recipe with some fields of its specification changed."""
        return dataclasses.replace(self, spec=dataclasses.replace(self.spec, **changes))

    def with_input(self, height: int, width: int) -> Recipe:
        """The recipe at another input size; 0 leaves a side as it is."""
        if not height and not width:
            return self
        return self.with_spec(
            input_height=height or self.spec.input_height,
            input_width=width or self.spec.input_width,
        )

    def with_options(self, assignments: Iterable[str]) -> Recipe:
        """The recipe with `name=value` options of its architecture, each a JSON value.

        Raises:
            SettingError: one is no assignment, or its value is not JSON.
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
        """A model file's content with these weights."""
        spec = dataclasses.replace(self.spec, provenance=provenance, accuracy=accuracy)
        return Checkpoint(spec=spec, tensors=tensors)
