"""Everything that a training run can be told, with its defaults and ranges."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from rtseg.errors import SettingError, listed

Precision = Literal["bf16", "fp32"]


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a run is trained.

    Attributes:
        epochs: passes; an epoch is as many views as there are training pictures.
        minutes: where positive, the run ends after this time instead, and the learning rate
            follows the clock. For machines of unknown speed; such a run does not repeat exactly.
        batch: views a step.
        learning_rate: the peak of the one-cycle schedule (Smith and Topin, 2019).
        warm_up: the share of the run before the peak.
        weight_decay: AdamW's.
        average: decay of the weights' moving average, which is what is evaluated and shipped.
        dice: weight of the Dice loss beside the cross-entropy.
        region: weight of the recipe's region Dice, computed image by image.
        loss_step: the loss looks at every this-many-th row and column, from a random first one.
        clip: the largest norm of the gradient.
        precision: of the forward and backward pass.
        seed: of the weights and the views.
        threads: of PyTorch; 0 leaves the choice to it. On a machine that others use too, one
            thread is faster than several that wait for each other.
        workers: processes that make views; 0 makes them in the training process.
        evaluate_every: epochs between two evaluations on the validation split.
        save_minutes: between two saved states.
        start_from: a checkpoint to take the first weights from.
        neighbours: a checkpoint whose predictions mark the faces of unlabelled bystanders, which
            then do not count in composites.
    """

    epochs: int = 100
    minutes: float = 0.0
    batch: int = 16
    learning_rate: float = 2e-3
    warm_up: float = 0.1
    weight_decay: float = 0.02
    average: float = 0.999
    dice: float = 1.0
    region: float = 0.5
    loss_step: int = 2
    clip: float = 2.0
    precision: Precision = "bf16"
    seed: int = 0
    threads: int = 0
    workers: int = 1
    evaluate_every: int = 4
    save_minutes: float = 4.0
    start_from: Path | None = None
    neighbours: Path | None = None

    def __post_init__(self) -> None:
        positive = ("epochs", "batch", "learning_rate", "loss_step", "clip", "evaluate_every")
        for name in positive:
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be positive; found {getattr(self, name)}")
        for name in (
            "minutes",
            "weight_decay",
            "dice",
            "region",
            "threads",
            "workers",
            "save_minutes",
            "seed",
        ):
            if getattr(self, name) < 0:
                raise SettingError(f"{name} must not be negative; found {getattr(self, name)}")
        for name in ("warm_up", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} must be within 0..1; found {getattr(self, name)}")
        if self.precision not in get_args(Precision):
            raise SettingError(
                f"precision {self.precision!r} is unknown; allowed: {listed(get_args(Precision))}"
            )

    def changed(self, assignments: typing.Iterable[str]) -> FitSettings:
        """These settings with `name=value` texts applied, each checked against its type.

        Raises:
            SettingError: a name is unknown, or a value is of the wrong type or out of range.
        """
        types = typing.get_type_hints(FitSettings)
        values: dict[str, Any] = {}
        for assignment in assignments:
            name, equals, text = assignment.partition("=")
            name = name.strip().replace("-", "_")
            if not equals or name not in types:
                raise SettingError(
                    f"{assignment!r} sets nothing; use NAME=VALUE with one of: {listed(types)}"
                )
            values[name] = _parse(name, text.strip(), types[name])
        return dataclasses.replace(self, **values)


def _parse(name: str, text: str, kind: Any) -> Any:
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            raise SettingError(f"{name} takes {kind.__name__}; found {text!r}") from None
    if kind == Path | None:
        return Path(text) if text and text != "none" else None
    return text
