"""A small residual encoder under the pyramid decoder: the face-part model of version 0.1.

Residual blocks after He et al. (CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from rtseg.models.pyramid import PyramidNet, conv_bn, initialise


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, stride=stride)
        self.second = conv_bn(outputs, outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = conv_bn(inputs, outputs, kernel=1, stride=stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        out = functional.relu(self.first(features), inplace=True)
        out = self.second(out) + self.shortcut(features)
        return functional.relu(out, inplace=True)


class ResidualPyramid(PyramidNet):
    """An encoder with strides 4 to 32, and a decoder back to stride 4, or 2 with a fine head.

    Args:
        classes: output channels.
        stem: channels at stride 2.
        widths: channels at strides 4, 8, 16 and 32.
        depths: residual blocks at those strides.
        pyramid, fine: see `PyramidNet`.
    """

    def __init__(
        self,
        *,
        classes: int,
        stem: int = 32,
        widths: Sequence[int] = (40, 88, 160, 192),
        depths: Sequence[int] = (2, 2, 3, 2),
        pyramid: int = 64,
        fine: int = 0,
    ) -> None:
        super().__init__()
        if len(widths) != 4 or len(depths) != 4:
            raise ValueError(
                "widths and depths must have one number each for strides 4, 8, 16 and 32"
            )
        self.stem = nn.Sequential(
            conv_bn(3, stem, stride=2),
            nn.ReLU(inplace=True),
            conv_bn(stem, widths[0], stride=2),
            nn.ReLU(inplace=True),
        )
        inputs = widths[0]
        stages = []
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = [ResidualBlock(inputs, width, stride=1 if level == 0 else 2)]
            blocks += [ResidualBlock(width, width) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.add_decoder(classes=classes, half=stem, widths=widths, pyramid=pyramid, fine=fine)
        initialise(self)
        self.initialise_decoder()
        for module in self.modules():
            if isinstance(module, ResidualBlock):
                norm = module.second[1]
                assert isinstance(norm, nn.BatchNorm2d)
                nn.init.zeros_(norm.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 32 -> logits at `stride`."""
        half = self.stem[:2](images)  # stride 2
        features = self.stem[2:](half)  # stride 4
        levels = []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        return self.decode(half, levels)
