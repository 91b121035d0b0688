"""EfficientNet-Lite0 without its classifier: the encoder of the shipped model.

Inverted residual blocks (Sandler et al., CVPR 2018) with compound scaling (Tan and Le, ICML 2019).
The Lite variant has no squeeze-and-excitation and clips activations at 6, so that it quantises
well. Padding is static and symmetric, which every exporter and runtime folds into the convolution;
the original's stride-2 layers pad one side only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

BATCH_NORM_EPSILON = 1e-3
"""Batch norm's epsilon in the network that the ImageNet weights come from."""

STEM_CHANNELS = 32


@dataclass(frozen=True)
class _Group:
    """Blocks of one width: the first has the stride, the others have a shortcut."""

    channels: int
    depth: int
    kernel: int
    stride: int
    expansion: int


GROUPS = (
    _Group(16, 1, 3, 1, 1),
    _Group(24, 2, 3, 2, 6),
    _Group(40, 2, 5, 2, 6),
    _Group(80, 3, 3, 2, 6),
    _Group(112, 3, 5, 1, 6),
    _Group(192, 4, 5, 2, 6),
    _Group(320, 1, 3, 1, 6),
)

LEVELS = (1, 2, 4, 6)
"""The groups whose outputs the decoder takes, at strides 4, 8, 16 and 32."""

LEVEL_CHANNELS = tuple(GROUPS[index].channels for index in LEVELS)

HALF_CHANNELS = GROUPS[0].channels
"""Channels at stride 2."""


def _convolution(
    inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON),
    ]


class InvertedResidual(nn.Module):
    """Expand, convolve depthwise, project; with a shortcut if the shape is unchanged."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [*_convolution(inputs, wide), nn.ReLU6(inplace=True)]
        layers += _convolution(wide, wide, kernel=kernel, stride=stride, groups=wide)
        layers += [nn.ReLU6(inplace=True), *_convolution(wide, outputs)]
        self.layers = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, inputs, h, w) -> (batch, outputs, h / stride, w / stride)."""
        out: torch.Tensor = self.layers(features)
        return out + features if self.has_shortcut else out


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0's features at strides 2, 4, 8, 16 and 32.

    The entries of its state are in the published network's order, so that the weights can be
    copied one by one (`training.encoder_weights`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_convolution(3, STEM_CHANNELS, kernel=3, stride=2), nn.ReLU6(inplace=True)
        )
        inputs = STEM_CHANNELS
        groups = []
        for group in GROUPS:
            blocks = []
            for index in range(group.depth):
                blocks.append(
                    InvertedResidual(
                        inputs,
                        group.channels,
                        kernel=group.kernel,
                        stride=group.stride if index == 0 else 1,
                        expansion=group.expansion,
                    )
                )
                inputs = group.channels
            groups.append(nn.Sequential(*blocks))
        self.groups = nn.ModuleList(groups)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Normalised RGB (batch, 3, h, w) -> features at stride 2, and those of `LEVELS`."""
        features = self.stem(images)
        levels = []
        half = features
        for index, group in enumerate(self.groups):
            features = group(features)
            if index == 0:
                half = features
            if index in LEVELS:
                levels.append(features)
        return half, levels
