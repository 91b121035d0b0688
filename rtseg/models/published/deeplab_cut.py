"""The DeepLabV3+ of keras.io's example: ResNet-50 cut in its fourth stage, plain convolutions.

Differences from Chen et al. (ECCV 2018): the encoder ends inside the last block of the fourth stage
(stride 16, 256 channels), so that it needs no dilation; the pyramid's convolutions are not
separable and have rates 6, 12 and 18; the low-level features are the 64 channels inside the last
block of the second stage.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from rtseg.models.published.resnet_encoder import require_torchvision


def _convolution(
    inputs: int, outputs: int, *, kernel: int = 3, dilation: int = 1, bias: bool = False
) -> nn.Sequential:
    convolution = nn.Conv2d(
        inputs, outputs, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=bias
    )
    nn.init.kaiming_normal_(convolution.weight)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class _HalfBottleneck(nn.Module):
    """A bottleneck up to the activation of its 3x3 convolution, with torchvision's names."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        parts = dict(block.named_children())
        self.conv1, self.bn1 = parts["conv1"], parts["bn1"]
        self.conv2, self.bn2 = parts["conv2"], parts["bn2"]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        features = functional.relu(self.bn1(self.conv1(features)))
        return functional.relu(self.bn2(self.conv2(features)))


class CutResNet(nn.Module):
    """torchvision's ResNet-50 up to the middle of the sixth block of the fourth stage."""

    def __init__(self) -> None:
        super().__init__()
        models = require_torchvision("deeplab-cut").models
        with torch.device("cpu"):
            net = models.resnet50(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        self.layer1, self.layer2, self.layer3 = net.layer1, net.layer2, net.layer3
        self.layer3[5] = _HalfBottleneck(self.layer3[5])

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, 3, h, w) -> 64 channels at stride 4, 256 at stride 16."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for block in self.layer1[:-1]:
            features = block(features)
        last = self.layer1[-1]
        low = last.relu(last.bn2(last.conv2(last.relu(last.bn1(last.conv1(features))))))
        features = self.layer1[-1](features)
        return low, self.layer3(self.layer2(features))


class DeepLabCut(nn.Module):
    """Encoder, dilated pyramid at stride 16, decoder at stride 4.

    The published network upsamples its features before the last 1x1 convolution. Here the caller
    upsamples the logits, with the same result, because the two steps commute.

    Args:
        classes: output channels.
    """

    stride = 4

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.encoder = CutResNet()
        self.pooled = _convolution(256, 256, kernel=1, bias=True)
        self.pyramid = nn.ModuleList(
            [_convolution(256, 256, kernel=1)]
            + [_convolution(256, 256, dilation=rate) for rate in (6, 12, 18)]
        )
        self.joined = _convolution(5 * 256, 256, kernel=1)
        self.low = _convolution(64, 48, kernel=1)
        self.decoder = nn.Sequential(_convolution(256 + 48, 256), _convolution(256, 256))
        self.head = nn.Conv2d(256, classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 16 -> logits at stride 4."""
        low, features = self.encoder(images)
        pooled = self.pooled(features.mean((2, 3), keepdim=True)).expand_as(features)
        branches = [pooled, *(branch(features) for branch in self.pyramid)]
        context = self.joined(torch.cat(branches, dim=1))
        context = functional.interpolate(context, scale_factor=4.0, mode="bilinear")
        logits: torch.Tensor = self.head(self.decoder(torch.cat([context, self.low(low)], dim=1)))
        return logits
