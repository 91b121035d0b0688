"""The decoder of the face-part networks: a feature pyramid and a fine head.

The top-down pathway follows Lin et al. (CVPR 2017), the pooled context Zhao et al. (CVPR 2017), and
pixel shuffling Shi et al. (CVPR 2016). It uses only 3x3 and 1x1 convolutions, ReLU, addition,
bilinear upsampling and pixel shuffling, which are all fast in TensorRT, oneDNN and OpenVINO.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional


def conv_bn(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, followed by batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def initialise(module: nn.Module) -> None:
    """Apply He initialisation (He et al., ICCV 2015) to every convolution in a module."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan = part.kernel_size[0] * part.kernel_size[1] * part.out_channels // part.groups
            nn.init.normal_(part.weight, std=math.sqrt(2 / fan))
            if part.bias is not None:
                nn.init.zeros_(part.bias)


class PyramidNet(nn.Module):
    """Decodes an encoder's features at strides 4, 8, 16 and 32 to logits at stride 4 or 2.

    A lip is two or three pixels high in a 256x256 crop, too fine for cells of four pixels. The fine
    head splits each cell of the decoder into four and corrects them with the encoder's features at
    stride 2. Encoders are subclasses, so that a checkpoint's tensors have flat names.

    Args:
        classes: output channels.
        half: channels of the encoder at stride 2.
        widths: its channels at strides 4, 8, 16 and 32.
        pyramid: channels of the decoder.
        fine: channels of the fine head; 0 for none, with logits at stride 4.

    Attributes:
        stride: input pixels per output pixel.
    """

    def add_decoder(
        self, *, classes: int, half: int, widths: Sequence[int], pyramid: int, fine: int
    ) -> None:
        """Create the decoder's layers; the encoder's must be created first."""
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
            self.beside = conv_bn(half, fine, kernel=1)
            self.refine = nn.Sequential(
                conv_bn(fine, fine), nn.ReLU(inplace=True), nn.Conv2d(fine, classes, 1)
            )

    def initialise_decoder(self) -> None:
        """Initialise the fine head's correction to zero."""
        for layers in (self.context, self.laterals, self.merges, self.head):
            initialise(layers)
        if self.fine:
            for layers in (self.above, self.beside, self.refine):
                initialise(layers)
            last = self.refine[-1]
            assert isinstance(last, nn.Conv2d)
            nn.init.zeros_(last.weight)

    def decode(self, half: torch.Tensor, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        """Features at stride 2, and those at strides 4, 8, 16, 32 -> logits at `stride`."""
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
        """Make this network's initial state from that of one without a fine head.

        Each quarter of a cell initially has the cell's output.
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
