"""The plain U-Net of Ronneberger et al. (MICCAI 2015), with batch norm and padded convolutions."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional


class _DoubleConvolution(nn.Sequential):
    """(3x3 convolution, batch norm, activation) twice."""

    def __init__(self, inputs: int, outputs: int, *, slope: float) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(slope, inplace=True),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """Encoder with max pooling, decoder with 2x2 transposed convolutions and skips.

    Args:
        classes: output channels.
        width: channels at stride 1, doubled at each level (64 in the publication).
        levels: how many times the picture is halved.
        slope: negative slope of the leaky ReLU; 0 for plain ReLU.
    """

    stride = 1

    def __init__(
        self, *, classes: int, width: int = 64, levels: int = 4, slope: float = 0.0
    ) -> None:
        super().__init__()
        if width < 1 or not 1 <= levels <= 6 or not 0 <= slope < 1:
            raise ValueError("width must be positive, levels within 1..6 and slope within 0..1")
        widths = [width * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            _DoubleConvolution(before, after, slope=slope)
            for before, after in pairwise([3, *widths])
        )
        self.raise_ = nn.ModuleList(
            nn.ConvTranspose2d(above, below, 2, stride=2) for below, above in pairwise(widths)
        )
        self.up = nn.ModuleList(
            _DoubleConvolution(2 * below, below, slope=slope) for below in widths[:-1]
        )
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 2**levels -> logits at stride 1."""
        skips = []
        features = images
        for level, convolution in enumerate(self.down):
            features = convolution(features if level == 0 else functional.max_pool2d(features, 2))
            skips.append(features)
        for level in reversed(range(len(self.up))):
            raised = self.raise_[level](features)
            features = self.up[level](torch.cat([skips[level], raised], dim=1))
        logits: torch.Tensor = self.head(features)
        return logits
