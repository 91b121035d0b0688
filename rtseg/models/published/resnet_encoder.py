"""torchvision's ResNet-50 as an encoder: features at strides 4, 8, 16 and 32."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from rtseg.errors import ModelError

CHANNELS = (256, 512, 1024, 2048)
"""Channels of the four stages."""


def require_torchvision(architecture: str) -> Any:
    """Import the package, or raise a ModelError that names the extra to install."""
    try:
        import torchvision
    except ImportError:
        raise ModelError(
            f"the architecture {architecture!r} needs torchvision, which is not installed; "
            "install it with: pip install 'rtseg[training]'"
        ) from None
    return torchvision


class ResNetEncoder(nn.Module):
    """ResNet-50 (He et al., CVPR 2016) without its classifier, randomly initialised.

    Its parameters have torchvision's names, so that ImageNet weights can be loaded directly.

    Args:
        architecture: the architecture that uses it, for the error if torchvision is missing.
        stride: stride of the last stage: 32, or 8 with dilation in the last two stages.
    """

    def __init__(self, *, architecture: str, stride: int = 32) -> None:
        super().__init__()
        if stride not in (8, 32):
            raise ValueError(f"a ResNet encoder has stride 8 or 32; found {stride}")
        models = require_torchvision(architecture).models
        # built for real even if the caller builds without storage: torchvision initialises
        with torch.device("cpu"):
            net = models.resnet50(
                weights=None, replace_stride_with_dilation=[False, stride == 8, stride == 8]
            )
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        self.layer1, self.layer2 = net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(batch, 3, h, w) -> four feature maps, `CHANNELS` channels each."""
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = stage(features)
            maps.append(features)
        return tuple(maps)
