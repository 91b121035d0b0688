"""The saved state of a run, from which it can be resumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from rtseg.checkpoint import read_checkpoint
from rtseg.errors import SettingError
from rtseg.models import build_model, create_model
from rtseg.models.pyramid import PyramidNet
from rtseg.system.files import written_whole
from training.encoder_weights import load_imagenet
from training.optimizers import encoder_of, freeze, make_optimizer
from training.recipes.base import Recipe
from training.settings import FitSettings

FREE = ("threads", "workers", "save_minutes", "evaluate_every", "skip_broken")
"""Settings that a resumed run may change, because they do not affect the result."""

Tensors = tuple[torch.Tensor, ...] | list[torch.Tensor]

GONE = {"minutes": 0.0, "seeds": 1}
"""Removed settings of 0.1, with the value that is equivalent to not having them."""


@dataclass
class RunState:
    """The weights, their average, the optimizer, and the progress of a run.

    Attributes:
        best: the best mean IoU so far.
        loaded: the ImageNet weights that the encoder started from, or "".
    """

    model: nn.Module
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    loaded: str = ""

    def save(self, path: Path, settings: FitSettings) -> None:
        """Write the state, completely or not at all."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "loaded": self.loaded,
            "settings": settings.plain(),
        }
        with written_whole(path) as part:
            torch.save(state, part)

    def load(self, path: Path, settings: FitSettings) -> None:
        """Continue from a saved state.

        Raises:
            SettingError: it was saved with other settings, or is damaged.
        """
        saved = _read(path)
        now = settings.plain()
        for name, before in saved["settings"].items():
            if name in GONE and before != GONE[name]:
                raise SettingError(
                    f"{path}: this run was started with {name}={before}, which this version does "
                    "not have; start in another folder, with --set start_from=MODEL to keep the "
                    "weights"
                )
            if name not in FREE and name not in GONE and before != now.get(name):
                raise SettingError(
                    f"{path}: this run was started with {name}={before}, not {now.get(name)}; "
                    "resume with the same settings or start in another folder"
                )
        self.model.load_state_dict(saved["model"])
        self.average.load_state_dict(_average_of(saved))
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        self.step, self.seconds = int(saved["step"]), float(saved["seconds"])
        self.best, self.loaded = float(saved["best"]), str(saved["loaded"])


def _read(path: Path) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = {"model", "average", "optimizer", "scaler", "step", "best", "settings"} - set(
            saved
        )
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        raise SettingError(f"{path}: is not a saved state: {type(error).__name__}") from None
    if missing:
        raise SettingError(
            f"{path}: this state lacks {min(missing)!r}: another version of this program wrote it; "
            "start in another folder, with --set start_from=MODEL to keep the weights"
        )
    return saved


def _average_of(saved: Mapping[str, Any]) -> dict[str, Any]:
    """The saved average; 0.1 wrote it without PyTorch's wrapper."""
    average = dict(saved["average"])
    if "n_averaged" in average:
        return average
    wrapped: dict[str, Any] = {f"module.{name}": value for name, value in average.items()}
    return {"n_averaged": torch.tensor(int(saved["step"])), **wrapped}


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """Make a network whose weights are the exponential moving average of another's.

    It averages over a short time at first, to forget the random initial weights.
    """

    def follow(averaged: Tensors, current: Tensors, count: torch.Tensor | int) -> None:
        steps = int(count)
        share = 1 - min(decay, (1 + steps) / (10 + steps))
        pairs = list(zip(averaged, current, strict=True))
        moving = [pair for pair in pairs if pair[0].is_floating_point()]
        if moving:
            # all at once, because hundreds of single calls take longer than a step on a GPU
            old_values, new_values = zip(*moving, strict=True)
            torch._foreach_lerp_(old_values, new_values, share)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)

    average = AveragedModel(model, multi_avg_fn=torch.no_grad()(follow), use_buffers=True)
    return average.eval().requires_grad_(requires_grad=False)


def _start_from(model: nn.Module, path: Path, recipe: Recipe) -> None:
    before = read_checkpoint(path)
    state: Mapping[str, torch.Tensor] = create_model(before).state_dict()
    if isinstance(model, PyramidNet) and before.spec.architecture == recipe.spec.architecture:
        state = model.grown(state)
    try:
        model.load_state_dict(state)
    except RuntimeError:
        raise SettingError(
            f"start_from {path}: holds another network ({before.spec.architecture} "
            f"{dict(before.spec.options)}, {len(before.spec.label_set)} classes) than the recipe "
            f"{recipe.name}'s ({recipe.spec.architecture} {dict(recipe.spec.options)}, "
            f"{len(recipe.spec.label_set)} classes)"
        ) from None


def fresh_state(recipe: Recipe, settings: FitSettings, *, device: str) -> RunState:
    """Make the state of a new run.

    Raises:
        ModelError: the architecture does not accept the recipe's options, or `start_from` is not
            a matching model.
        SettingError: the encoder's weights cannot be downloaded, or there is no encoder.
    """
    torch.manual_seed(settings.seed)
    model = build_model(
        recipe.spec.architecture, classes=len(recipe.spec.label_set), options=recipe.spec.options
    )
    loaded = ""
    if settings.start_from is not None:
        _start_from(model, settings.start_from, recipe)
    elif settings.encoder_weights == "imagenet":
        loaded = load_imagenet(model, recipe.spec.architecture, recipe.spec.options)
    if settings.freeze_encoder:
        freeze(encoder_of(model))
    model = model.to(device).to(memory_format=torch.channels_last)
    optimizer = make_optimizer(
        settings.optimizer,
        model,
        learning_rate=settings.learning_rate,
        momentum=settings.momentum,
        beta2=settings.beta2,
        weight_decay=settings.weight_decay,
    )
    return RunState(
        model=model,
        average=moving_average(model, settings.average),
        optimizer=optimizer,
        scaler=torch.amp.GradScaler(
            torch.device(device).type, enabled=settings.precision == "fp16"
        ),
        loaded=loaded,
    )
