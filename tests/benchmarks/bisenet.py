"""BiSeNet on ResNet-18, the network of widely used face parsers, as a comparison for speed.

Yu et al., "BiSeNet: Bilateral Segmentation Network for Real-time Semantic Segmentation", ECCV 2018,
in the variant without a separate spatial path, which uses ResNet's features at stride 8 instead.
The weights are random, since speed does not depend on them.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

CLASSES = 19
SIDE = 512


def _convolution(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class _Attention(nn.Module):
    """Attention refinement: features weighted by their own mean over the picture."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.features = _convolution(inputs, 128, 3)
        self.weights = nn.Sequential(
            nn.Conv2d(128, 128, 1, bias=False), nn.BatchNorm2d(128), nn.Sigmoid()
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.features(x)
        weighed: torch.Tensor = features * self.weights(features.mean((2, 3), keepdim=True))
        return weighed


class BiSeNet(nn.Module):
    """float32 (n, 3, 512, 512) -> uint8 labels (n, 512, 512)."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18

        body = resnet18(weights=None)
        self.stem = nn.Sequential(body.conv1, body.bn1, body.relu, body.maxpool, body.layer1)
        self.eighth, self.sixteenth, self.last = body.layer2, body.layer3, body.layer4
        self.context = _convolution(512, 128, 1)
        self.refine16, self.refine32 = _Attention(256), _Attention(512)
        self.head16, self.head32 = _convolution(128, 128, 3), _convolution(128, 128, 3)
        self.fuse = _convolution(256, 256, 1)
        self.fuse_weights = nn.Sequential(
            nn.Conv2d(256, 64, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 256, 1, bias=False),
            nn.Sigmoid(),
        )
        self.head = nn.Sequential(_convolution(256, 256, 3), nn.Conv2d(256, CLASSES, 1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        eighth = self.eighth(self.stem(x))
        sixteenth = self.sixteenth(eighth)
        last = self.last(sixteenth)
        context = self.context(last.mean((2, 3), keepdim=True))
        up = self.head32(functional.interpolate(self.refine32(last) + context, scale_factor=2.0))
        up = self.head16(functional.interpolate(self.refine16(sixteenth) + up, scale_factor=2.0))
        fused = self.fuse(torch.cat([eighth, up], 1))
        fused = fused + fused * self.fuse_weights(fused.mean((2, 3), keepdim=True))
        logits = functional.interpolate(
            self.head(fused), scale_factor=8.0, mode="bilinear", align_corners=False
        )
        return logits.argmax(1).to(torch.uint8)
