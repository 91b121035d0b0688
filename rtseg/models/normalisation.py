"""Normalise pixels for a network: the one place, for training and every backend."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def input_scaling(
    mean: Sequence[float], std: Sequence[float], *, device: torch.device | str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """(shift, scale) of each RGB channel: a network sees `(pixel - shift) * scale`.

    Args:
        mean, std: of the picture scaled to 0..1, as in `ModelSpec`.
        device: where the two are wanted.

    Returns:
        float32 (3,) each, for pixels of 0..255.
    """
    return (
        torch.tensor(mean, device=device) * 255,
        1 / (torch.tensor(std, device=device) * 255),
    )


def normalised(
    images: torch.Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> torch.Tensor:
    """A batch of pictures as a network's input.

    Args:
        images: uint8 (batch, height, width, 3), RGB.
        mean, std: as `input_scaling` takes them.

    Returns:
        float32 (batch, 3, height, width), channels last in memory.
    """
    shift, scale = input_scaling(mean, std, device=images.device)
    pixels = images.permute(0, 3, 1, 2).float()
    return (pixels - shift.view(1, 3, 1, 1)) * scale.view(1, 3, 1, 1)
