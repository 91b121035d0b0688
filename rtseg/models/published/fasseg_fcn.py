"""The small encoder-decoder of the published `fasseg-fcn` (goldmyu/face-semantic-segmentation)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

WIDTHS = (12, 48, 192, 768)
"""Channels at strides 2, 4, 8 and 16."""

KERNELS = (7, 5, 3, 3)


def _encoder_stage(inputs: int, outputs: int, *, kernel: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.BatchNorm2d(outputs),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    )


class FassegFcn(nn.Module):
    """Four pooling stages, and four 2x2 transposed convolutions with skips.

    Args:
        classes: output channels.
        dropout: after the second and fourth stage.
    """

    stride = 1

    def __init__(self, *, classes: int, dropout: float = 0.5) -> None:
        super().__init__()
        drops = (0.0, dropout, 0.0, dropout)
        self.stages = nn.ModuleList(
            _encoder_stage(before, after, kernel=kernel, dropout=drop)
            for (before, after), kernel, drop in zip(
                pairwise((3, *WIDTHS)), KERNELS, drops, strict=True
            )
        )
        # each doubles the size; from the second on, the skip of the same size is concatenated
        inputs = (WIDTHS[3], 2 * WIDTHS[2], 2 * WIDTHS[1], 2 * WIDTHS[0])
        outputs = (WIDTHS[2], WIDTHS[1], WIDTHS[0], classes)
        self.raises = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 2, stride=2)
            for before, after in zip(inputs, outputs, strict=True)
        )
        self.norms = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(channels), nn.LeakyReLU(0.01, inplace=True))
            for channels in outputs[:-1]
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 16 -> logits at stride 1."""
        skips = []
        features = images
        for stage in self.stages:
            features = stage(features)
            skips.append(features)
        features = self.norms[0](self.raises[0](features))  # stride 8
        for level in (1, 2):
            features = torch.cat([features, skips[3 - level]], dim=1)
            features = self.norms[level](self.raises[level](features))  # strides 4, 2
        logits: torch.Tensor = self.raises[3](torch.cat([features, skips[0]], dim=1))
        return logits
