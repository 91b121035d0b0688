"""What a recipe trains, exported, labels pictures as PyTorch does: every recipe's architecture,
with weights that were trained on four pictures. (The shipped model: tests/test_export.py.)"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from rtseg.backends.agreement import label_agreement
from rtseg.backends.torch import TorchBackend
from rtseg.checkpoint import read_checkpoint
from tests.training.layouts import LAYOUTS
from tests.training.test_overfit import CASES, COMMON, Case
from training.loop import fit
from training.recipes import recipe_of

LEAST_AGREEMENT = {"fp32": 0.999, "fp16": 0.995}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.recipe)
def test_trained_weights_agree(case: Case, layout_data: Path, tmp_path: Path) -> None:
    for package in ("onnx", "onnxscript", "torchvision", "segmentation_models_pytorch"):
        pytest.importorskip(package)
    runtime = pytest.importorskip("onnxruntime")
    from rtseg.onnx.export import export_onnx

    LAYOUTS[case.recipe.partition("-")[0]](layout_data)
    recipe = recipe_of(case.recipe).with_options(case.options)
    size = (f"input_height={case.height}", f"input_width={case.width}")
    settings = recipe.settings.changed((*COMMON, *case.changes, *size))
    # weights that have an opinion are enough; that a recipe learns all is another test's matter
    settings = settings.changed((f"epochs={settings.epochs // 4}",))
    before = torch.get_num_threads()
    try:
        path = fit(
            recipe, data=layout_data, out=tmp_path / "run", settings=settings, command="test"
        )
        checkpoint = read_checkpoint(path)
        learnt = recipe.training(layout_data, settings).views.dataset  # type: ignore[attr-defined]
        scale = (checkpoint.input_width, checkpoint.input_height)
        crops = np.stack([cv2.resize(learnt[index].image, scale) for index in range(len(learnt))])
        crops = np.concatenate([crops, crops[:, :, ::-1]])  # seen, and never seen
        with TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1) as backend:
            expected = backend.infer(crops)
    finally:
        torch.set_num_threads(before)
    assert len(np.unique(expected.argmax(-1))) >= 2
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    for precision, least in LEAST_AGREEMENT.items():
        exported = export_onnx(checkpoint, precision=precision)  # type: ignore[arg-type]
        session = runtime.InferenceSession(exported, options, providers=["CPUExecutionProvider"])
        found, _labels = session.run(None, {"crops": crops})
        agreement = label_agreement(found, expected)
        sys.stdout.write(f"\n{case.recipe} ({checkpoint.architecture}) {precision} {agreement:.4%}")
        assert agreement >= least, precision
