"""A training step: forward, loss, backward, optimizer, moving average."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from rtseg.errors import RtsegError
from rtseg.labels import IGNORED
from rtseg.models.normalisation import normalised
from training.augment.low_light import in_low_light
from training.depthwise import compute_depthwise_gradients_in_fp32
from training.distributed import Group
from training.losses.functions import distillation, upsample_at
from training.losses.named import Loss
from training.optimizers import encoder_of, freeze
from training.recipes.base import Recipe
from training.schedules import make_scheduler
from training.settings import FitSettings
from training.state import RunState
from training.teachers import Teachers

Part = tuple[torch.Tensor, torch.Tensor]
"""uint8 images (batch, height, width, 3) and uint8 labels (batch, height, width)."""


class Stepper:
    """Advances a run's state by one step at a time.

    Args:
        recipe: the run's recipe.
        settings: the run's settings.
        state: updated in place.
        loss: computed from logits at full size.
        group: the processes that share each step.
        total, per_epoch: number of steps in the run and in an epoch.

    Raises:
        SettingError: a teacher does not fit the network.
    """

    def __init__(
        self,
        recipe: Recipe,
        settings: FitSettings,
        state: RunState,
        loss: Loss,
        group: Group,
        *,
        total: int,
        per_epoch: int,
    ) -> None:
        self.recipe, self.settings, self.state = recipe, settings, state
        self.loss, self.group = loss, group
        self.scheduler = make_scheduler(
            state.optimizer, settings, total=total, per_epoch=per_epoch, done=state.step
        )
        state.model.train()
        if settings.freeze_encoder:
            freeze(encoder_of(state.model))
        if settings.precision == "bf16" and not group.on_cuda:
            compute_depthwise_gradients_in_fp32(state.model)
        self.wrapped = group.wrapped(state.model)
        self.teachers = Teachers(settings.teachers_from, spec=recipe.spec, device=group.device)

    def __call__(self, parts: Sequence[Part]) -> tuple[float, float]:
        """Train on a step's parts; return the loss and the learning rate."""
        settings, state = self.settings, self.state
        rate = float(state.optimizer.param_groups[0]["lr"])
        # dropout depends only on the step, so that a resumed run repeats it
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
        self.scheduler.step()
        state.average.update_parameters(state.model)
        state.step += 1
        return total, rate

    def _backward(self, part: Part, *, share: float) -> float:
        recipe, settings, device = self.recipe, self.settings, self.group.device
        images, targets = (each.to(device, non_blocking=True) for each in part)
        inputs = clear = normalised(images, mean=recipe.spec.mean, std=recipe.spec.std)
        if settings.low_light:
            dim = self._in_low_light(part[0]).to(device, non_blocking=True)
            inputs = normalised(dim, mean=recipe.spec.mean, std=recipe.spec.std)
        kind = torch.float16 if settings.precision == "fp16" else torch.bfloat16
        with torch.autocast(
            torch.device(device).type, dtype=kind, enabled=settings.precision != "fp32"
        ):
            opinion = self.teachers(clear, step=self.state.step)
            outputs = self.wrapped(inputs)
        if isinstance(outputs, tuple):
            logits = outputs[0]
            main, auxiliary = (self._of(logits, targets) for logits in outputs)
            loss = (1 - settings.auxiliary) * main + settings.auxiliary * auxiliary
        else:
            logits = outputs
            loss = self._of(logits, targets)
        if opinion is not None:
            loss = loss + settings.teaching * distillation(logits.float(), opinion)
        if not torch.isfinite(loss):
            raise RtsegError(
                f"the loss is {float(loss.detach())} at step {self.state.step}: lower the learning "
                f"rate (--set learning_rate=…, now {settings.learning_rate:g}) or the precision's "
                f"risk (--set precision=fp32, now {settings.precision})"
            )
        weight = self.group.average_weight((targets != IGNORED).sum())
        self.state.scaler.scale(loss * (share * weight)).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach()) * share

    def _in_low_light(self, images: torch.Tensor) -> torch.Tensor:
        """Some of the views in poor light, which their labels and teachers' opinions outlast.

        So a network can become surer in bad pictures than those that taught it (Xie et al.,
        Self-training with Noisy Student, CVPR 2020).
        """
        seen = images.numpy().copy()
        rng = np.random.default_rng((self.settings.seed, self.state.step, self.group.rank))
        for index in np.flatnonzero(rng.random(len(seen)) < self.settings.low_light):
            seen[index] = in_low_light(seen[index], rng)
        return torch.from_numpy(seen)

    def _of(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        skip, step = self.settings.loss_step, self.state.step
        phase = (step % skip, step // skip % skip)
        stride = targets.shape[1] // logits.shape[2]
        if stride == 1:
            logits = logits[:, :, phase[0] :: skip, phase[1] :: skip].float()
        else:
            logits = upsample_at(logits.float(), stride=stride, step=skip, phase=phase)
        return self.loss(logits, targets[:, phase[0] :: skip, phase[1] :: skip].long())
