"""FCN-32s (Long et al., CVPR 2015) on ResNet-50: one coarse prediction, upsampled 32 times."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from rtseg.models.published.resnet_encoder import CHANNELS, ResNetEncoder


class Fcn32s(nn.Module):
    """A 3x3 convolution 2048 -> 512 and a 1x1 to the classes at stride 32, bilinear from there.

    torchvision's FCN-ResNet50 has the same head on a dilated encoder of stride 8; the published
    one is not dilated.

    Args:
        classes: output channels.
        dropout: before the last convolution.
    """

    stride = 4

    def __init__(self, *, classes: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = ResNetEncoder(architecture="fcn32s")
        self.head = nn.Sequential(
            nn.Conv2d(CHANNELS[3], 512, 3, padding=1, bias=False),
            nn.BatchNorm2d(512),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Conv2d(512, classes, 1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 32 -> logits at stride 4."""
        coarse = self.head(self.encoder(images)[3])
        return functional.interpolate(coarse, scale_factor=8.0, mode="bilinear")
