"""Make PyTorch learning-rate schedules, updated at every step."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

from torch.optim import Optimizer, lr_scheduler

from rtseg.errors import SettingError

if TYPE_CHECKING:
    from training.settings import FitSettings

Schedule = Literal["one-cycle", "cosine-restarts", "poly", "step", "constant"]

_LEAST = 1e-9
"""The divisor for a rate of practically zero in one-cycle."""


def make_scheduler(
    optimizer: Optimizer, settings: FitSettings, *, total: int, per_epoch: int, done: int = 0
) -> lr_scheduler.LRScheduler:
    """Make a run's schedule as it is after `done` of its `total` steps.

    Args:
        optimizer: the optimizer, at the settings' peak rate.
        settings: the schedule and its shape.
        total: steps of the whole run.
        per_epoch: steps per epoch.
        done: steps so far; a resumed run continues exactly as if it had not been interrupted.

    Raises:
        SettingError: the optimizer has no momentum for one-cycle to change.
    """
    for group in optimizer.param_groups:
        # a saved optimizer contains these from its scheduler
        group["lr"] = settings.learning_rate
        group.pop("initial_lr", None)
    scheduler = _new(optimizer, settings, total=total, per_epoch=per_epoch)
    with warnings.catch_warnings():
        # "called before optimizer.step()": those steps were taken before the interruption
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(min(done, total)):
            scheduler.step()
    return scheduler


def _new(
    optimizer: Optimizer, settings: FitSettings, *, total: int, per_epoch: int
) -> lr_scheduler.LRScheduler:
    match settings.schedule:
        case "one-cycle":
            try:
                return lr_scheduler.OneCycleLR(
                    optimizer,
                    max_lr=settings.learning_rate,
                    total_steps=total + 1,  # PyTorch counts n steps as n - 1 intervals
                    pct_start=settings.warm_up,
                    cycle_momentum=settings.cycle_momentum,
                    div_factor=1 / max(settings.start, _LEAST),
                    final_div_factor=1 / _LEAST,
                )
            except ValueError as error:
                raise SettingError(
                    f"cycle_momentum: {settings.optimizer} does not go with it: {error}"
                ) from None
        case "cosine-restarts":
            return lr_scheduler.CosineAnnealingWarmRestarts(
                optimizer,
                T_0=max(1, round(settings.restart_epochs * per_epoch)),
                T_mult=settings.restart_factor,
            )
        case "poly":
            return lr_scheduler.PolynomialLR(optimizer, total_iters=total, power=settings.power)
        case "step":
            return lr_scheduler.MultiStepLR(
                optimizer,
                milestones=[round(cut * total) for cut in settings.cuts],
                gamma=settings.cut_factor,
            )
        case "constant":
            return lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0)
