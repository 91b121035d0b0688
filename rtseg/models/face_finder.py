"""The network that finds faces: a small residual encoder and a pyramid down to stride 8.

Faces are peaks of a map of centres (Zhou et al., CenterNet, 2019); their sizes, offsets and
rotations are expected values over bins (Rothe et al., DEX, IJCV 2018). Everything is in one
softmax, so that every backend runs it like a segmentation network (see `rtseg.faces.centres`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from rtseg.models.pyramid import conv_bn
from rtseg.models.residual_pyramid import ResidualBlock


class FaceFinderNet(nn.Module):
    """Encoder strides 4, 8, 16, 32; decoder back to stride 8.

    Args:
        classes: output channels.
        stem: channels at strides 2 and 4.
        widths: channels at strides 8, 16 and 32.
        depths: residual blocks at those strides.
        pyramid: channels of the decoder.

    Attributes:
        stride: input pixels per output pixel.
    """

    def __init__(
        self,
        *,
        classes: int,
        stem: Sequence[int] = (16, 24),
        widths: Sequence[int] = (40, 72, 96),
        depths: Sequence[int] = (2, 2, 1),
        pyramid: int = 40,
    ) -> None:
        super().__init__()
        if len(stem) != 2 or len(widths) != 3 or len(depths) != 3:
            raise ValueError(
                "stem must have two numbers; widths and depths one each for 8, 16 and 32"
            )
        self.stride = 8
        self.stem = nn.Sequential(
            conv_bn(3, stem[0], stride=2),
            nn.ReLU(inplace=True),
            conv_bn(stem[0], stem[1], stride=2),
            nn.ReLU(inplace=True),
        )
        inputs = stem[1]
        stages = []
        for width, depth in zip(widths, depths, strict=True):
            blocks = [ResidualBlock(inputs, width, stride=2)]
            blocks += [ResidualBlock(width, width) for _ in range(depth - 1)]
            stages.append(nn.Sequential(*blocks))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.context = nn.Conv2d(widths[2], pyramid, 1)
        self.laterals = nn.ModuleList(conv_bn(width, pyramid, kernel=1) for width in widths)
        self.merges = nn.ModuleList(conv_bn(pyramid, pyramid) for _ in range(2))
        self.head = nn.Sequential(
            conv_bn(pyramid, pyramid), nn.ReLU(inplace=True), nn.Conv2d(pyramid, classes, 1)
        )
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            if isinstance(module, ResidualBlock):
                norm = module.second[1]
                assert isinstance(norm, nn.BatchNorm2d)
                nn.init.zeros_(norm.weight)
        last = self.head[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        nn.init.normal_(last.weight, std=0.01)
        with torch.no_grad():
            last.bias[0] = (
                8.0  # initially nothing is a face, so that the few faces dominate the gradient
            )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 32 -> logits at stride 8."""
        features = self.stem(images)
        levels = []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        merged = self.laterals[2](levels[2])
        merged = merged + self.context(levels[2].mean((2, 3), keepdim=True))
        for level in (1, 0):
            above = functional.interpolate(
                functional.relu(merged), scale_factor=2.0, mode="bilinear", align_corners=False
            )
            merged = self.merges[level](self.laterals[level](levels[level]) + above)
        logits: torch.Tensor = self.head(functional.relu(merged))
        return logits
