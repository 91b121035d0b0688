"""Compare the labels of two backends on views of a real face."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.checkpoint import ModelSpec, read_checkpoint
from rtseg.errors import BackendError
from rtseg.export import OnnxModel

# left, top and side of squares in the 512x512 portrait: face and hair, close and far, everything
_SQUARES = (
    (130, 0, 220),
    (100, 0, 300),
    (150, 20, 170),
    (0, 0, 512),
    (110, 20, 230),
    (60, 0, 380),
    (170, 50, 120),
    (140, 0, 260),
)


def portrait_crops(model: ModelSpec) -> Crops:
    """Eight views of scikit-image's portrait, at a model's input size: uint8 (8, h, w, 3)."""
    import cv2
    from skimage import data

    portrait = data.astronaut()
    size = (model.input_width, model.input_height)
    views = [
        cv2.resize(portrait[top : top + side, left : left + side], size)
        for left, top, side in _SQUARES
    ]
    return np.stack(views).astype(np.uint8)


def label_agreement(first: ProbabilityBatch, second: ProbabilityBatch) -> float:
    """The share of cells with the same leading class, 0..1."""
    return float((first.argmax(-1) == second.argmax(-1)).mean())


def open_reference(exported: OnnxModel, *, weights: Path | None) -> Backend | None:
    """Open an FP32 backend on the processor as a reference; None if there is none.

    PyTorch with the weights that the file was exported from, or otherwise OpenVINO.
    """
    if weights is not None:
        from rtseg.backends.torch.backend import TorchBackend

        return TorchBackend(read_checkpoint(weights), device="cpu", precision="fp32")
    from rtseg.backends.openvino import OpenVinoBackend

    try:
        return OpenVinoBackend(exported, precision="fp32")
    except BackendError:
        return None
