"""PSPNet (Zhao et al., CVPR 2017) on a dilated ResNet-50, with its auxiliary head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from rtseg.models.published.resnet_encoder import CHANNELS, ResNetEncoder


def _conv_bn_relu(inputs: int, outputs: int, *, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class PyramidPooling(nn.Module):
    """Concatenate the features with their means over grids of 1x1, 2x2, 3x3 and 6x6 cells.

    The pooled branches have no batch norm, since a 1x1 grid with a batch of one has only one value
    per channel.
    """

    def __init__(self, inputs: int, *, bins: Sequence[int]) -> None:
        super().__init__()
        self.bins = tuple(bins)
        each = inputs // len(self.bins)
        self.parts = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, each, 1), nn.ReLU(inplace=True)) for _ in self.bins
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, h, w) -> (batch, 2 * inputs, h, w)."""
        size = features.shape[2:]
        joined = [features]
        for bins, part in zip(self.bins, self.parts, strict=True):
            pooled = part(functional.adaptive_avg_pool2d(features, bins))
            joined.append(functional.interpolate(pooled, size=size, mode="bilinear"))
        return torch.cat(joined, dim=1)


class PspNet(nn.Module):
    """Encoder at stride 8, pyramid pooling, a 3x3 head; a second head on the third stage.

    In training mode `forward` returns the logits of both heads, otherwise those of the main one.

    Args:
        classes: output channels.
        bins: cells per side of each grid.
        dropout: before the last convolutions.
    """

    stride = 8

    def __init__(
        self, *, classes: int, bins: Sequence[int] = (1, 2, 3, 6), dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(architecture="pspnet", stride=8)
        self.pooling = PyramidPooling(CHANNELS[3], bins=bins)
        self.head = nn.Sequential(
            _conv_bn_relu(2 * CHANNELS[3], 512, kernel=3),
            nn.Dropout2d(dropout),
            nn.Conv2d(512, classes, 1),
        )
        self.auxiliary = nn.Sequential(
            _conv_bn_relu(CHANNELS[2], 256, kernel=3),
            nn.Dropout2d(dropout),
            nn.Conv2d(256, classes, 1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Normalised RGB (batch, 3, h, w), sides multiples of 8 -> logits at stride 8."""
        _, _, third, last = self.encoder(images)
        logits: torch.Tensor = self.head(self.pooling(last))
        if not self.training:
            return logits
        auxiliary: torch.Tensor = self.auxiliary(third)
        return logits, auxiliary
