"""The shipped architecture: EfficientNet-Lite0 under the pyramid decoder."""

from __future__ import annotations

import torch

from rtseg.models.efficientnet_lite import HALF_CHANNELS, LEVEL_CHANNELS, EfficientNetLite
from rtseg.models.pyramid import PyramidNet, initialise


class LitePyramid(PyramidNet):
    """A mobile encoder that can start from ImageNet weights, and a decoder of 64 channels.

    Args:
        classes: output channels.
        pyramid, fine: see `PyramidNet`.
    """

    def __init__(self, *, classes: int, pyramid: int = 64, fine: int = 16) -> None:
        super().__init__()
        self.encoder = EfficientNetLite()
        self.add_decoder(
            classes=classes, half=HALF_CHANNELS, widths=LEVEL_CHANNELS, pyramid=pyramid, fine=fine
        )
        initialise(self)
        self.initialise_decoder()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised RGB (batch, 3, h, w), sides multiples of 32 -> logits at `stride`."""
        half, levels = self.encoder(images)
        return self.decode(half, levels)
