"""Trained and exported recipes label pictures like PyTorch: every recipe's architecture, with
weights that have memorised four pictures. (The shipped model: tests/export/test_onnx.py.)"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import pytest
import torch

from rtseg.backends.base import Crops, ProbabilityBatch
from rtseg.backends.parity import label_agreement
from rtseg.backends.torch.backend import TorchBackend
from rtseg.checkpoint import Checkpoint, read_checkpoint
from rtseg.models import create_model
from rtseg.postprocess import whole_labels
from tests.training.layouts import COUNT, LAYOUTS, LISTS
from tests.training.test_overfit import CASES, COMMON, Case
from training.data import base, cihp
from training.evaluation.metrics import iou_of, mean_of
from training.recipes import recipe_of
from training.trainer import fit, measured

LEAST_AGREEMENT = {"fp32": 0.999, "fp16": 0.995}

LEAST_MEAN_IOU = 0.95
"""Recipes that have memorised their pictures by now, see tests/training/test_overfit.py."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A checkpoint, seen and unseen pictures, and PyTorch's labels."""

    recipe: str
    checkpoint: Checkpoint
    crops: Crops
    expected: ProbabilityBatch


def views_of(crops: Crops) -> Crops:
    """The pictures unmodified, mirrored, in less light, and with noise."""
    noise = np.random.default_rng(0).normal(0, 6, crops.shape)
    others = (crops[:, :, ::-1], 0.85 * crops, crops + noise)
    return np.concatenate([crops, *(np.clip(other, 0, 255).astype(np.uint8) for other in others)])


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.recipe)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Made once per recipe, for both precisions."""
    for package in ("onnx", "onnxscript", "torchvision", "segmentation_models_pytorch"):
        pytest.importorskip(package)
    case: Case = request.param
    folder = tmp_path_factory.mktemp(case.recipe)
    splits, data = folder / "splits", folder / "data"
    splits.mkdir()
    for name, names in LISTS.items():
        (splits / f"{name}.txt").write_text("\n".join(names) + "\n")
    LAYOUTS[case.recipe.partition("-")[0]](data)
    recipe = recipe_of(case.recipe).with_options(case.options)
    size = (f"input_height={case.height}", f"input_width={case.width}")
    settings = recipe.settings.changed((*COMMON, *case.changes, *size))
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "SPLITS", splits)
        patch.setattr(cihp, "PUBLISHED_TRAIN", COUNT)
        try:
            path = fit(recipe, data=data, out=folder / "run", settings=settings, command="test")
            learnt = recipe.training(data, settings).views.dataset  # type: ignore[attr-defined]
            checkpoint = read_checkpoint(path)
            small = recipe.with_input(case.height, case.width)
            matrix = measured(small, create_model(checkpoint), learnt)
            scale = (checkpoint.spec.input_width, checkpoint.spec.input_height)
            resized = np.stack([cv2.resize(learnt[i].image, scale) for i in range(len(learnt))])
            crops = views_of(resized.astype(np.uint8))
            with TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1) as backend:
                expected = backend.infer(crops)
        finally:
            torch.set_num_threads(before)
    # undertrained weights are uncertain, and predicting one class only would agree with anything
    mean_iou = mean_of([iou_of(matrix, [i]) for i in range(len(recipe.spec.label_set))])
    assert mean_iou >= LEAST_MEAN_IOU
    assert len(np.unique(expected.argmax(-1))) == len(recipe.spec.label_set)
    sys.stdout.write(f"\n{case.recipe}: mean IoU {mean_iou:.4f}")
    return Trained(recipe=case.recipe, checkpoint=checkpoint, crops=crops, expected=expected)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_trained_weights_agree_after_export(
    trained: Trained, precision: Literal["fp32", "fp16"]
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    from rtseg.export.onnx import export_onnx

    exported = export_onnx(trained.checkpoint, precision=precision)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
    probabilities, labels = session.run(None, {"crops": trained.crops})
    height, width = trained.crops.shape[1:3]
    finished = np.stack([whole_labels(p, height=height, width=width) for p in trained.expected])
    agreement = label_agreement(probabilities, trained.expected)
    whole = float((labels == finished).mean())
    said = f"{trained.recipe} ({trained.checkpoint.spec.architecture}) {precision}"
    sys.stdout.write(f"\n{said}: cells {agreement:.4%}, pixels {whole:.4%}")
    assert agreement >= LEAST_AGREEMENT[precision]
    assert whole >= LEAST_AGREEMENT[precision]
