"""Normalise pixels for a network, identically in training and in every backend."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def input_scaling(
    mean: Sequence[float], std: Sequence[float], *, device: torch.device | str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(shift, scale) of each RGB channel: a network sees `(pixel - shift) * scale`.

    Args:
        mean, std: for pictures scaled to 0..1, as in `ModelSpec`.
        device: the device of the results.

    Returns:
        float32 (3,) each, for pixel values 0..255.
    """
    return (
        torch.tensor(mean, device=device) * 255,
        1 / (torch.tensor(std, device=device) * 255),
    )


def normalised(
    images: torch.Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """Convert a batch of pictures to a network's input.

    Args:
        images: uint8 (batch, height, width, 3), RGB.
        mean, std: as for `input_scaling`.

    Returns:
        float32 (batch, 3, height, width), channels last in memory.
    """
    shift, scale = input_scaling(mean, std, device=images.device)
    pixels = images.permute(0, 3, 1, 2).float()
    return (pixels - shift.view(1, 3, 1, 1)) * scale.view(1, 3, 1, 1)
