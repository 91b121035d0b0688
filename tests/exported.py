"""A small model of the shipped architecture with random weights, and its exported forms."""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import pytest

from rtseg.checkpoint import Checkpoint
from rtseg.labels import HELEN
from rtseg.onnx import OnnxModel, parse_onnx

HEIGHT, WIDTH = 64, 96
OPTIONS = {"stem": 8, "widths": [8, 16, 16, 24], "depths": [1, 1, 1, 1], "pyramid": 16}


@functools.cache
def tiny_checkpoint() -> Checkpoint:
    """Batch norms have statistics of their own, so that folding them wrongly shows."""
    import torch

    from rtseg.models import build_model

    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = build_model("residual-pyramid", classes=len(HELEN), options=OPTIONS)
        for name, tensor in network.state_dict().items():
            if "running_var" in name or name.endswith("1.weight"):
                tensor.uniform_(0.5, 1.5)
            elif "running_mean" in name:
                tensor.normal_(0, 0.3)
    return Checkpoint(
        architecture="residual-pyramid",
        options=OPTIONS,
        label_set=HELEN,
        input_height=HEIGHT,
        input_width=WIDTH,
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.25, 0.3),
        tensors={name: tensor.numpy() for name, tensor in network.state_dict().items()},
        digest=hashlib.sha256(b"tiny").hexdigest(),
    )


@functools.cache
def tiny_onnx(precision: str = "fp16") -> OnnxModel:
    """Skips the test where the packages that export are not installed."""
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    from rtseg.onnx.export import export_onnx

    data = export_onnx(tiny_checkpoint(), precision=precision)  # type: ignore[arg-type]
    return parse_onnx(data, name="tiny.onnx")


def tiny_crops(count: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, HEIGHT, WIDTH, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (count, HEIGHT, WIDTH, 3), np.uint8)
