"""Network architectures. `create_model` builds a network from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from rtseg.checkpoint import Checkpoint
from rtseg.errors import ModelError, listed
from rtseg.models.face_finder import FaceFinderNet
from rtseg.models.library import LIBRARY
from rtseg.models.lite_pyramid import LitePyramid
from rtseg.models.published.deeplab_cut import DeepLabCut
from rtseg.models.published.fasseg_fcn import FassegFcn
from rtseg.models.published.fcn32s import Fcn32s
from rtseg.models.published.pspnet import PspNet
from rtseg.models.published.unet import UNet
from rtseg.models.residual_pyramid import ResidualPyramid

ARCHITECTURES: Mapping[str, Callable[..., nn.Module]] = {
    "lite-pyramid": LitePyramid,
    "residual-pyramid": ResidualPyramid,
    "face-finder": FaceFinderNet,
    "unet": UNet,
    "fasseg-fcn": FassegFcn,
    "deeplab-cut": DeepLabCut,
    "fcn32s": Fcn32s,
    "pspnet": PspNet,
    **LIBRARY,
}
"""Every architecture by its name in checkpoints.

Each is called with `classes` and the checkpoint's options, and maps normalised RGB, float
(batch, 3, height, width), to logits (batch, classes, height / stride, width / stride).
"""


def build_model(architecture: str, *, classes: int, options: Mapping[str, Any]) -> nn.Module:
    """Build a newly initialised network.

    Raises:
        ModelError: the architecture is unknown, or does not accept these options.
    """
    builder = ARCHITECTURES.get(architecture)
    if builder is None:
        raise ModelError(
            f"unknown architecture {architecture!r}; this rtseg knows: {listed(ARCHITECTURES)}"
        )
    try:
        return builder(classes=classes, **options)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"architecture {architecture!r} does not accept the options {dict(options)}: {error}"
        ) from None


def create_model(checkpoint: Checkpoint) -> nn.Module:
    """Build a checkpoint's network with its weights, in evaluation mode, float32, on the CPU.

    Raises:
        ModelError: the architecture is unknown, or the weights do not fit it.
    """
    with torch.device("meta"):
        model = build_model(
            checkpoint.spec.architecture,
            classes=len(checkpoint.spec.label_set),
            options=checkpoint.spec.options,
        )
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.tensors.items()}
    wrong = sorted(
        name for name in expected.keys() | shapes.keys() if expected.get(name) != shapes.get(name)
    )
    if wrong:
        name = wrong[0]
        raise ModelError(
            f"the weights do not fit the architecture {checkpoint.spec.architecture!r}: "
            f"{len(wrong)} tensors differ, first {name!r}: "
            f"expected {expected.get(name)}, found {shapes.get(name)}"
        )
    state = {
        name: torch.from_numpy(
            np.array(tensor, dtype=np.float32 if tensor.dtype.kind == "f" else tensor.dtype)
        )
        for name, tensor in checkpoint.tensors.items()
    }
    model.load_state_dict(state, assign=True)
    return model.eval().requires_grad_(requires_grad=False)
