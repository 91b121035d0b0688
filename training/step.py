"""One step: forward, loss, backward, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import nn

from rtseg.errors import RtsegError
from rtseg.labels import IGNORED
from training import schedules
from training.distributed import Group
from training.evaluation.predictor import normalised
from training.losses.functions import upsample_at
from training.losses.named import Loss
from training.optimizers import encoder_of, freeze, set_rate
from training.recipes.base import Recipe
from training.settings import FitSettings
from training.state import RunState

Part = tuple[torch.Tensor, torch.Tensor]
"""uint8 images (batch, height, width, 3) and uint8 labels (batch, height, width)."""


def rate_share(settings: FitSettings, *, progress: float, epoch: float) -> float:
    """The learning rate's share of its peak."""
    match settings.schedule:
        case "one-cycle":
            return schedules.one_cycle(progress, warm_up=settings.warm_up, start=settings.start)
        case "cosine-restarts":
            return schedules.cosine_restarts(
                epoch, first=settings.restart_epochs, factor=settings.restart_factor
            )
        case "poly":
            return schedules.poly(progress, power=settings.power)
        case "step":
            return schedules.step(progress, cuts=settings.cuts, factor=settings.cut_factor)
        case "constant":
            return 1.0


class Stepper:
    """Moves a run's state by one step at a time.

    Args:
        recipe: of the run.
        settings: of the run.
        state: moved in place.
        loss: over logits at full size.
        group: the processes that share each step.
    """

    def __init__(
        self, recipe: Recipe, settings: FitSettings, state: RunState, loss: Loss, group: Group
    ) -> None:
        self.recipe, self.settings, self.state = recipe, settings, state
        self.loss, self.group = loss, group
        state.model.train()
        if settings.freeze_encoder:
            freeze(encoder_of(state.model))
        self.wrapped = group.wrapped(state.model)

    def __call__(
        self, parts: Sequence[Part], *, progress: float, epoch: float
    ) -> tuple[float, float]:
        """Learn from a step's parts; the loss and the learning rate."""
        settings, state = self.settings, self.state
        rate = settings.learning_rate * rate_share(settings, progress=progress, epoch=epoch)
        momentum = None
        if settings.cycle_momentum:
            momentum = schedules.cycled_momentum(progress, warm_up=settings.warm_up)
        set_rate(state.optimizer, rate, momentum=momentum)
        # dropout depends on nothing but the step, so that a resumed run repeats it
        torch.manual_seed(
            (settings.seed * 1_000_003 + state.step) * self.group.size + self.group.rank
        )
        state.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            apart = nullcontext() if last or self.group.size == 1 else self.wrapped.no_sync()  # type: ignore[operator]
            with apart:
                total += self._backward(part, share=1 / len(parts))
        state.scaler.unscale_(state.optimizer)
        if settings.clip:
            nn.utils.clip_grad_norm_(state.model.parameters(), settings.clip)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        self._average()
        state.step += 1
        return total, rate

    def _backward(self, part: Part, *, share: float) -> float:
        recipe, settings, device = self.recipe, self.settings, self.group.device
        images, targets = part[0].to(device), part[1].to(device)
        inputs = normalised(images, mean=recipe.mean, std=recipe.std)
        kind = torch.float16 if settings.precision == "fp16" else torch.bfloat16
        with torch.autocast(
            torch.device(device).type, dtype=kind, enabled=settings.precision != "fp32"
        ):
            found = self.wrapped(inputs)
        if isinstance(found, tuple):
            main, auxiliary = (self._of(logits, targets) for logits in found)
            loss = (1 - settings.auxiliary) * main + settings.auxiliary * auxiliary
        else:
            loss = self._of(found, targets)
        if not torch.isfinite(loss):
            raise RtsegError(
                f"the loss is {float(loss.detach())} at step {self.state.step}: lower the learning "
                f"rate (--set learning_rate=…, now {settings.learning_rate:g}) or the precision's "
                f"risk (--set precision=fp32, now {settings.precision})"
            )
        weight = self.group.average_weight((targets != IGNORED).sum())
        self.state.scaler.scale(loss * (share * weight)).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()) * share

    def _of(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        skip, step = self.settings.loss_step, self.state.step
        phase = (step % skip, step // skip % skip)
        stride = targets.shape[1] // logits.shape[2]
        if stride == 1:
            logits = logits[:, :, phase[0] :: skip, phase[1] :: skip].float()
        else:
            logits = upsample_at(logits.float(), stride=stride, step=skip, phase=phase)
        return self.loss(logits, targets[:, phase[0] :: skip, phase[1] :: skip].long())

    def _average(self) -> None:
        # a short memory at first: the average must not drag the random first weights along
        step = self.state.step
        decay = min(self.settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            now = self.state.model.state_dict()
            for name, value in self.state.average.state_dict().items():
                if value.is_floating_point():
                    value.lerp_(now[name], 1 - decay)
                else:
                    value.copy_(now[name])
