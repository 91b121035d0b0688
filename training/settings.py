"""The settings of a training run, with their defaults and ranges."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rtseg.errors import SettingError, listed
from rtseg.validation import Settings, setting
from training.augment.pictures import Augmentation, Sampling
from training.optimizers import OptimizerName
from training.schedules import Schedule

Precision = Literal["bf16", "fp16", "fp32"]
EncoderWeights = Literal["imagenet", "none"]
Keep = Literal["last", "best"]


@dataclass(frozen=True, kw_only=True)
class FitSettings(Settings):
    """The settings of a training run, one field each, with its default, meaning and range.

    Raises:
        SettingError: a value is not one of its choices or outside its range.
    """

    epochs: int = setting(100, "passes; an epoch has one view per training picture", low=1)
    batch: int = setting(16, "views per step, over all processes", low=1)
    accumulate: int = setting(1, "parts in which a step's views are processed", low=1)
    input_height: int = setting(0, "pixels; 0 is the recipe's own", low=0)
    input_width: int = setting(0, "pixels; 0 is the recipe's own", low=0)
    optimizer: OptimizerName = setting("adamw", "see training.optimizers")
    learning_rate: float = setting(2e-3, "the schedule's peak rate", above=0)
    momentum: float = setting(
        0.9, "momentum of SGD; first moment's decay in Adam and AdamW", low=0, below=1
    )
    beta2: float = setting(0.99, "second moment's decay in Adam and AdamW", low=0, below=1)
    weight_decay: float = setting(0.02, "the optimizer's weight decay", low=0)
    schedule: Schedule = setting("one-cycle", "see training.schedules")
    warm_up: float = setting(0.1, "one-cycle: share of the run before the peak", low=0, below=1)
    start: float = setting(
        0.04, "one-cycle: initial rate as a share of the peak rate", low=0, below=1
    )
    cycle_momentum: bool = setting(
        default=False, help_text="one-cycle: also lower the momentum from 0.95 to 0.85 and back"
    )
    restart_epochs: float = setting(10.0, "cosine-restarts: length of the first cycle", above=0)
    restart_factor: int = setting(2, "cosine-restarts: growth of the cycles' length", low=1)
    power: float = setting(0.9, "poly: the exponent", above=0)
    cuts: tuple[float, ...] = setting(
        (0.6, 0.85), "step: shares of the run at which the rate is multiplied by cut_factor"
    )
    cut_factor: float = setting(0.1, "step: what the rate is multiplied by", above=0)
    average: float = setting(
        0.999,
        "decay of the weights' moving average, which is evaluated and shipped; 0 for none",
        low=0,
        below=1,
    )
    loss: str = setting("cross-entropy + dice + 0.5*region", "see training.losses.named")
    auxiliary: float = setting(
        0.4, "share of the loss for an auxiliary head, if the network has one", low=0, below=1
    )
    loss_step: int = setting(
        2, "compute the loss at every this-many-th row and column, from a changing first one", low=1
    )
    clip: float = setting(2.0, "largest norm of the gradient; 0 for no limit", low=0)
    precision: Precision = setting("bf16", "arithmetic of the forward and backward pass")
    encoder_weights: EncoderWeights = setting("none", "the encoder's initial weights")
    freeze_encoder: bool = setting(default=False, help_text="keep the encoder's weights")
    augmentation: Augmentation = setting(
        "none", "see training.augment.pictures; ignored by recipes with their own views"
    )
    sampling: Sampling = setting(
        "uniform", "see training.augment.pictures; ignored by recipes with their own views"
    )
    skip_broken: bool = setting(
        default=False, help_text="skip and count pictures that cannot be read"
    )
    seed: int = setting(0, "seed of the weights and the views", low=0)
    threads: int = setting(
        0,
        "PyTorch's threads; 0 for its own choice (on a shared machine, one thread is faster than "
        "several that wait for each other)",
        low=0,
    )
    workers: int = setting(
        1, "processes that make views; 0 makes them in the training process", low=0
    )
    evaluate_every: int = setting(4, "epochs between two evaluations on the first split", low=1)
    keep: Keep = setting(
        "last", "the checkpoint to keep: the last evaluation's, or the one with the best mean IoU"
    )
    save_minutes: float = setting(4.0, "minutes between two saved states", low=0)
    start_from: Path | None = setting(None, "a checkpoint with the initial weights")
    answers_from: Path | None = setting(
        None, "a checkpoint that decides which class of a set pixels show, if the recipe asks"
    )
    teachers_from: tuple[Path, ...] = setting(
        (), "checkpoints whose mean opinion is learnt besides the labels, see training.teachers"
    )
    teaching: float = setting(1.0, "weight of that opinion in the loss", low=0)
    low_light: float = setting(
        0.0,
        "share of the views that the network sees in poor light, but its teachers do not, see "
        "training.augment.low_light",
        low=0,
        high=1,
    )
    start_share: float = setting(
        0.0,
        "share of the weights that the run started from in the mean that it ends with",
        low=0,
        below=1,
    )

    def __post_init__(self) -> None:
        from training.losses.named import parse_loss

        super().__post_init__()
        if not all(0 < cut < 1 for cut in self.cuts):
            raise SettingError(f"`cuts`: {self.cuts} are out of range; allowed: between 0 and 1")
        if self.batch % self.accumulate:
            raise SettingError(
                f"`accumulate`: {self.accumulate} does not divide `batch` {self.batch}"
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
        values = dataclasses.asdict(self) | {"teachers_from": [*map(str, self.teachers_from)]}
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
    if kind == tuple[Path, ...]:
        return tuple(Path(part) for part in text.split(",") if part and part != "none")
    if kind == Path | None:
        return Path(text) if text and text != "none" else None
    return text
