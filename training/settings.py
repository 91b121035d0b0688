"""The settings of a training run, with their defaults and ranges."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from rtseg.errors import SettingError, listed
from training.augment.pictures import Augmentation, Sampling
from training.optimizers import OptimizerName
from training.schedules import Schedule

Precision = Literal["bf16", "fp16", "fp32"]
EncoderWeights = Literal["imagenet", "none"]
Keep = Literal["last", "best"]

_NOT_NEGATIVE = (
    *("weight_decay", "clip", "seed", "threads", "workers", "save_minutes"),
    *("input_height", "input_width"),
)
_POSITIVE = (
    *("epochs", "batch", "accumulate", "learning_rate", "loss_step", "evaluate_every"),
    *("restart_epochs", "restart_factor", "power", "cut_factor"),
)
_SHARES = ("warm_up", "average", "momentum", "beta2", "start", "auxiliary")


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a run is trained.

    Attributes:
        epochs: passes; an epoch is as many views as there are training pictures.
        batch: views a step, over all processes.
        accumulate: parts that a step's views are computed in, one after the other.
        input_height, input_width: pixels; 0 is the recipe's own.
        optimizer: see `training.optimizers`.
        learning_rate: the peak of the schedule.
        momentum: of SGD; the first moment's decay in Adam and AdamW.
        beta2: the second moment's decay in Adam and AdamW.
        weight_decay: of the optimizer.
        schedule: see `training.schedules`.
        warm_up, start: one-cycle: the share of the run before the peak, and the rate's share of
            the peak at the beginning.
        cycle_momentum: one-cycle also lowers the momentum from 0.95 to 0.85 and back.
        restart_epochs, restart_factor: cosine-restarts: the first length, and what it grows by.
        power: poly's.
        cuts, cut_factor: step: at which shares of the run the rate is multiplied by the factor.
        average: decay of the weights' moving average, which is what is evaluated and shipped;
            0 is the weights themselves.
        loss: see `training.losses.named`.
        auxiliary: share of the loss that an auxiliary head has, where the network has one.
        loss_step: the loss looks at every this-many-th row and column, from a changing first one.
        clip: the largest norm of the gradient; 0 is any.
        precision: of the forward and backward pass.
        encoder_weights: what the encoder starts from.
        freeze_encoder: the encoder stays as it is.
        augmentation, sampling: see `training.augment.pictures`; recipes with views of their own
            ignore them.
        skip_broken: leave out pictures that cannot be read, and count them, instead of ending.
        seed: of the weights and the views.
        threads: of PyTorch; 0 leaves the choice to it. On a machine that others use too, one
            thread is faster than several that wait for each other.
        workers: processes that make views; 0 makes them in the training process.
        evaluate_every: epochs between two evaluations on the validation split.
        keep: the checkpoint of the last evaluation, or of the one with the best mean IoU.
        save_minutes: between two saved states.
        start_from: a checkpoint to take the first weights from.
    """

    epochs: int = 100
    batch: int = 16
    accumulate: int = 1
    input_height: int = 0
    input_width: int = 0
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 2e-3
    momentum: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.02
    schedule: Schedule = "one-cycle"
    warm_up: float = 0.1
    start: float = 0.04
    cycle_momentum: bool = False
    restart_epochs: float = 10.0
    restart_factor: int = 2
    power: float = 0.9
    cuts: tuple[float, ...] = (0.6, 0.85)
    cut_factor: float = 0.1
    average: float = 0.999
    loss: str = "cross-entropy + dice + 0.5*region"
    auxiliary: float = 0.4
    loss_step: int = 2
    clip: float = 2.0
    precision: Precision = "bf16"
    encoder_weights: EncoderWeights = "none"
    freeze_encoder: bool = False
    augmentation: Augmentation = "none"
    sampling: Sampling = "uniform"
    skip_broken: bool = False
    seed: int = 0
    threads: int = 0
    workers: int = 1
    evaluate_every: int = 4
    keep: Keep = "last"
    save_minutes: float = 4.0
    start_from: Path | None = None

    def __post_init__(self) -> None:
        from training.losses.named import parse_loss

        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} must be positive; found {getattr(self, name)}")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise SettingError(f"{name} must not be negative; found {getattr(self, name)}")
        for name in _SHARES:
            if not 0 <= getattr(self, name) < 1:
                raise SettingError(f"{name} must be within 0..1; found {getattr(self, name)}")
        if not all(0 < cut < 1 for cut in self.cuts):
            raise SettingError(f"cuts are shares of the run, within 0..1; found {self.cuts}")
        if self.batch % self.accumulate:
            raise SettingError(
                f"accumulate must divide batch {self.batch}; found {self.accumulate}"
            )
        for name, kind in typing.get_type_hints(FitSettings).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise SettingError(
                    f"{name} {getattr(self, name)!r} is unknown; allowed: {listed(get_args(kind))}"
                )
        parse_loss(self.loss)

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

    def plain(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values = dataclasses.asdict(self)
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in values.items()
        }


def _parse(name: str, text: str, kind: Any) -> Any:
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            raise SettingError(f"{name} takes {kind.__name__}; found {text!r}") from None
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise SettingError(f"{name} takes true or false; found {text!r}")
        return text.lower() == "true"
    if kind == tuple[float, ...]:
        try:
            return tuple(float(part) for part in text.split(",") if part.strip())
        except ValueError:
            raise SettingError(f"{name} takes numbers and commas; found {text!r}") from None
    if kind == Path | None:
        return Path(text) if text and text != "none" else None
    return text
