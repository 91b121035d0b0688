"""The shipped architecture: a small residual encoder, a feature-pyramid decoder, a fine head.

Residual blocks after He et al. (CVPR 2016), the top-down pathway after Lin et al. (CVPR 2017),
the pooled context after Zhao et al. (CVPR 2017), the rearrangement of channels into pixels after
Shi et al. (CVPR 2016). Only 3x3 and 1x1 convolutions, ReLU, addition, bilinear upsampling and that
rearrangement, which TensorRT, oneDNN and OpenVINO all run as their fast paths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional


def conv_bn(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution without bias and its batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

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


class ResidualPyramid(nn.Module):
    """Encoder strides 4, 8, 16, 32; decoder back to stride 4, or to 2 with a fine head.

    A lip is two or three pixels high in a 256x256 crop: cells of four pixels cannot draw it. The
    fine head splits each cell of the decoder into four, and lets what the stem saw at stride 2
    correct them.

    Args:
        classes: output channels.
        stem: channels at stride 2.
        widths: channels at strides 4, 8, 16 and 32.
        depths: residual blocks at those strides.
        pyramid: channels of the decoder.
        fine: channels of the fine head; 0 is none, and logits at stride 4.

    Attributes:
        stride: input pixels per output pixel.
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
            raise ValueError("widths and depths hold one number for each stride 4, 8, 16, 32")
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
        self.context = nn.Conv2d(widths[3], pyramid, 1)
        self.laterals = nn.ModuleList(conv_bn(width, pyramid, kernel=1) for width in widths)
        self.merges = nn.ModuleList(conv_bn(pyramid, pyramid) for _ in range(3))
        self.fine = fine
        self.stride = 2 if fine else 4
        self.head = nn.Sequential(
            conv_bn(pyramid, pyramid),
            nn.ReLU(inplace=True),
            nn.Conv2d(pyramid, 4 * classes if fine else classes, 1),
        )
        if fine:
            self.above = conv_bn(pyramid, 4 * fine, kernel=1)
            self.beside = conv_bn(stem, fine, kernel=1)
            self.refine = nn.Sequential(
                conv_bn(fine, fine), nn.ReLU(inplace=True), nn.Conv2d(fine, classes, 1)
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
        if self.fine:  # it learns to correct: at first it says nothing
            last = self.refine[-1]
            assert isinstance(last, nn.Conv2d)
            nn.init.zeros_(last.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 32 -> logits at `stride`."""
        half = self.stem[:2](images)  # stride 2
        features = self.stem[2:](half)  # stride 4
        levels = []
        for stage in self.stages:
            features = stage(features)
            levels.append(features)
        pooled = self.context(levels[3].mean((2, 3), keepdim=True))
        merged = self.laterals[3](levels[3]) + pooled  # stride 32
        for level in (2, 1, 0):
            above = functional.interpolate(
                functional.relu(merged), scale_factor=2.0, mode="bilinear", align_corners=False
            )
            merged = self.laterals[level](levels[level]) + above
            merged = self.merges[level](merged)
        merged = self.head[:2](functional.relu(merged))
        logits: torch.Tensor = self.head[2](merged)
        if self.fine:
            fine = functional.pixel_shuffle(self.above(merged), 2) + self.beside(half)
            logits = functional.pixel_shuffle(logits, 2) + self.refine(functional.relu(fine))
        return logits

    def grown(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """This network's state, begun from that of one like it without a fine head.

        Every quarter of a cell says at first what the cell said.
        """
        grown = dict(state)
        if not self.fine or any(name.startswith("refine.") for name in state):
            return grown
        added = ("above.", "beside.", "refine.")
        grown |= {n: tensor for n, tensor in self.state_dict().items() if n.startswith(added)}
        for name in ("head.2.weight", "head.2.bias"):
            if name in grown:
                grown[name] = grown[name].repeat_interleave(4, dim=0)
        return grown
