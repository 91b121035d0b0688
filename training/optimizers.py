"""Make optimizers, and select the weights that they train."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from rtseg.errors import SettingError

OptimizerName = Literal["adamw", "adam", "sgd", "adagrad"]


def make_optimizer(
    name: OptimizerName,
    model: nn.Module,
    *,
    learning_rate: float,
    momentum: float,
    beta2: float,
    weight_decay: float,
) -> torch.optim.Optimizer:
    """Make an optimizer for the weights that are not frozen.

    Args:
        name: `adamw` has decoupled weight decay (Loshchilov and Hutter, ICLR 2019); the others
            decay weights through the gradient.
        momentum: momentum of SGD, or the first moment's decay in Adam and AdamW; unused in
            Adagrad.
        beta2: the second moment's decay in Adam and AdamW.
        weight_decay: decay of matrices and kernels; biases and norms are never decayed.
    """
    moving = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in moving if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in moving if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)
    if name == "adagrad":
        return torch.optim.Adagrad(groups, lr=learning_rate)
    kind = torch.optim.AdamW if name == "adamw" else torch.optim.Adam
    return kind(groups, lr=learning_rate, betas=(momentum, beta2))


def encoder_of(model: nn.Module) -> nn.Module:
    """The encoder of a network, which can be frozen and initialised with ImageNet weights.

    Raises:
        SettingError: the architecture has no separate encoder.
    """
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise SettingError(
            f"{type(model).__name__} has no encoder of its own: freeze_encoder and encoder_weights "
            "need an architecture that has one; leave them at their defaults"
        )
    return encoder


def freeze(encoder: nn.Module) -> None:
    """Freeze an encoder's weights and running statistics."""
    encoder.requires_grad_(requires_grad=False)
    encoder.eval()
