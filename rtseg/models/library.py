"""Architectures of segmentation-models-pytorch and torchvision, restricted to an allow-list.

A checkpoint names an architecture, an encoder and numbers, which are all validated before they
reach a library, so that no option can make it download or run anything. Weights come from the
checkpoint only. The libraries' final upsampling is omitted: logits are at the decoder's stride.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from rtseg.errors import ModelError, listed
from rtseg.models.published.resnet_encoder import require_torchvision

ENCODERS = (
    *("resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v2"),
    *("efficientnet-b0", "efficientnet-b1", "efficientnet-b2", "efficientnet-b3"),
    *("mit_b0", "mit_b1", "mit_b2", "mit_b3", "mit_b4", "mit_b5"),
)
"""The encoders of segmentation-models-pytorch that a checkpoint may name."""


@dataclass(frozen=True, kw_only=True)
class _Smp:
    """A class of segmentation-models-pytorch.

    Attributes:
        name: the name of the class.
        numbers: integer options, with their allowed values.
        sequences: options that are lists of integers, with their allowed lengths.
    """

    name: str
    numbers: Mapping[str, range | tuple[int, ...]]
    sequences: Mapping[str, tuple[int, ...]]


_WIDTH = range(8, 1025)
_UNET_LIKE: dict[str, Any] = {
    "numbers": {"encoder_depth": range(3, 6)},
    "sequences": {"decoder_channels": (3, 4, 5)},
}
SMP: Mapping[str, _Smp] = MappingProxyType(
    {
        "smp-unet": _Smp(name="Unet", **_UNET_LIKE),
        "smp-unetplusplus": _Smp(name="UnetPlusPlus", **_UNET_LIKE),
        "smp-fpn": _Smp(
            name="FPN",
            numbers={"decoder_pyramid_channels": _WIDTH, "decoder_segmentation_channels": _WIDTH},
            sequences={},
        ),
        "smp-deeplabv3plus": _Smp(
            name="DeepLabV3Plus",
            numbers={"encoder_output_stride": (8, 16), "decoder_channels": _WIDTH},
            sequences={"decoder_atrous_rates": (3,)},
        ),
        "smp-segformer": _Smp(
            name="Segformer", numbers={"decoder_segmentation_channels": _WIDTH}, sequences={}
        ),
    }
)

TORCHVISION = MappingProxyType(
    {
        "torchvision-fcn-resnet50": "fcn_resnet50",
        "torchvision-deeplabv3-resnet50": "deeplabv3_resnet50",
        "torchvision-deeplabv3-mobilenet-v3": "deeplabv3_mobilenet_v3_large",
    }
)
"""Names of torchvision's functions; they accept no options here."""


def _checked(architecture: str, kind: _Smp, options: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the options: name, type and range.

    Raises:
        ValueError: an option is invalid.
    """
    checked: dict[str, Any] = {}
    for name, value in options.items():
        if name == "encoder_name":
            allowed: Any = ENCODERS
            fine = value in ENCODERS
        elif name in kind.numbers:
            allowed = kind.numbers[name]
            fine = type(value) is int and value in allowed
        elif name in kind.sequences:
            allowed = f"lists of {listed(kind.sequences[name])} whole numbers within 1..1024"
            fine = (
                isinstance(value, (list, tuple))
                and len(value) in kind.sequences[name]
                and all(type(item) is int and 1 <= item <= 1024 for item in value)
            )
        else:
            option_names = listed(("encoder_name", *kind.numbers, *kind.sequences))
            raise ValueError(f"{architecture} has no option {name!r}; allowed: {option_names}")
        if not fine:
            shown = f"{allowed[0]}..{allowed[-1]}" if isinstance(allowed, range) else allowed
            raise ValueError(f"{name} is {value!r}; allowed: {shown}")
        checked[name] = tuple(value) if isinstance(value, list) else value
    return checked


def _build_smp(architecture: str, *, classes: int, **options: Any) -> nn.Module:
    kind = SMP[architecture]
    checked = _checked(architecture, kind, options)
    try:
        import segmentation_models_pytorch as library
    except ImportError:
        raise ModelError(
            f"the architecture {architecture!r} needs segmentation-models-pytorch, which is not "
            "installed; install it with: pip install 'rtseg[training]'"
        ) from None
    # built for real even if the caller builds without storage: the library computes with values
    with torch.device("cpu"):
        model: nn.Module = getattr(library, kind.name)(
            encoder_weights=None, classes=classes, **checked
        )
    head = model.segmentation_head
    assert isinstance(head, nn.Sequential)
    head[1] = nn.Identity()  # the upsampling
    return model


class _TorchvisionNet(nn.Module):
    """torchvision's backbone and classifier, without the final upsampling."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        parts = dict(net.named_children())
        self.encoder, self.head = parts["backbone"], parts["classifier"]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, 3, h, w) -> logits at the backbone's stride."""
        logits: torch.Tensor = self.head(self.encoder(images)["out"])
        return logits


def _build_torchvision(architecture: str, *, classes: int) -> nn.Module:
    models = require_torchvision(architecture).models.segmentation
    with torch.device("cpu"):
        net = getattr(models, TORCHVISION[architecture])(
            weights=None, weights_backbone=None, num_classes=classes, aux_loss=False
        )
    return _TorchvisionNet(net)


LIBRARY: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {name: partial(_build_smp, name) for name in SMP}
    | {name: partial(_build_torchvision, name) for name in TORCHVISION}
)
"""Every architecture of the libraries, called like those of `rtseg.models.ARCHITECTURES`."""
