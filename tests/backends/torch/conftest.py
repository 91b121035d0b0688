"""A tiny network for the tests of the backend."""

import pytest
import torch

from rtseg.backends.torch.backend import TorchBackend
from rtseg.checkpoint import Checkpoint, ModelSpec
from rtseg.labels import HELEN
from rtseg.models import build_model
from tests.backends.torch.tiny import OPTIONS


@pytest.fixture(scope="module")
def checkpoint():
    torch.manual_seed(5)
    network = build_model("residual-pyramid", classes=11, options=OPTIONS)
    for name, tensor in network.state_dict().items():
        if "running_var" in name or name.endswith("1.weight"):
            tensor.uniform_(0.5, 1.5)
        elif "running_mean" in name:
            tensor.normal_(0, 0.3)
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return Checkpoint(
        spec=ModelSpec(
            architecture="residual-pyramid",
            options=OPTIONS,
            label_set=HELEN,
            input_height=64,
            input_width=96,
            mean=(0.4, 0.5, 0.6),
            std=(0.2, 0.25, 0.3),
        ),
        tensors=tensors,
    )


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def backend(request, checkpoint):
    with TorchBackend(checkpoint, device="cpu", precision=request.param, threads=1) as opened:
        yield opened
