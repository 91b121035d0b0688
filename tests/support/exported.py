"""Small models of the shipped architecture with random weights, and their exported forms.

One has stride 4, the other a fine head and stride 2.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import pytest

from rtseg.checkpoint import Checkpoint, ModelSpec
from rtseg.export import OnnxModel, parse_onnx
from rtseg.labels import HELEN

HEIGHT, WIDTH = 64, 96
OPTIONS = {"stem": 8, "widths": [8, 16, 16, 24], "depths": [1, 1, 1, 1], "pyramid": 16}
FINE = 8


@functools.cache
def tiny_checkpoint(fine: int = 0) -> Checkpoint:
    """Make a checkpoint whose batch norms have random statistics, to reveal errors in folding.

    Args:
        fine: channels of the fine head; 0 for none.
    """
    import torch

    from rtseg.models import build_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        options = {**OPTIONS, "fine": fine} if fine else OPTIONS
        network = build_model("residual-pyramid", classes=len(HELEN), options=options)
        for name, tensor in network.state_dict().items():
            if "running_var" in name or name.endswith("1.weight"):
                tensor.uniform_(0.5, 1.5)
            # the last layer of an untrained fine head is zero
            elif "running_mean" in name or name == "refine.2.weight":
                tensor.normal_(0, 0.3)
    return Checkpoint(
        spec=ModelSpec(
            architecture="residual-pyramid",
            options=options,
            label_set=HELEN,
            input_height=HEIGHT,
            input_width=WIDTH,
            stride=2 if fine else 4,
            mean=(0.4, 0.5, 0.6),
            std=(0.2, 0.25, 0.3),
        ),
        tensors={name: tensor.numpy() for name, tensor in network.state_dict().items()},
        digest=hashlib.sha256(f"tiny {fine}".encode()).hexdigest(),
    )


@functools.cache
def tiny_onnx(precision: str = "fp16", fine: int = 0) -> OnnxModel:
    """Export the checkpoint; skips the test if the required packages are not installed."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    from rtseg.export.onnx import export_onnx

    data = export_onnx(tiny_checkpoint(fine), precision=precision)  # type: ignore[arg-type]
    return parse_onnx(data, name="tiny.onnx")


@functools.cache
def tiny_int8(fine: int = 0) -> OnnxModel:
    """Quantise it on noise; skips the test if that is not possible."""
    for package in ("nncf", "onnxruntime"):
        pytest.importorskip(package)
    from rtseg.export.quantize import quantize_onnx

    crops = list(tiny_crops(16, seed=9))
    data = quantize_onnx(tiny_onnx("fp32", fine), crops)
    return parse_onnx(data, name="tiny.int8.onnx")


def tiny_crops(count: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, HEIGHT, WIDTH, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)
