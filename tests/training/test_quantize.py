"""A checkpoint's INT8 model from the command line, on drawn data."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from rtseg.backends import open_backend
from rtseg.checkpoint import read_checkpoint, write_checkpoint
from rtseg.errors import SettingError, SourceError
from rtseg.export import find_onnx
from rtseg.export.onnx import write_onnx
from tests.support.exported import tiny_checkpoint
from training.cli import main
from training.quantize import folder_crops, mean_f1

for package in ("nncf", "onnxruntime", "onnxscript", "openvino"):
    pytest.importorskip(package)


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    tiny = tiny_checkpoint(2)
    spec = dataclasses.replace(tiny.spec, input_width=64)
    write_checkpoint(dataclasses.replace(tiny, spec=spec), path)
    write_onnx(read_checkpoint(path), path.with_suffix(".onnx"))
    return path


def test_training_views_are_measured(toy_data: Path, weights: Path) -> None:
    made = invoke("quantize", weights, "--recipe", "helen-unet", "--data", toy_data,
                  "--count", 8, "--seed", 3)  # fmt: skip
    assert "| hair | " in made.output
    assert "of the labels equal FP32's; mean F1 " in made.output
    exported = find_onnx(weights, int8=True)
    quantization = exported.quantization
    assert quantization is not None
    assert (quantization.pictures, quantization.seed) == (8, 3)
    assert quantization.measured_on.startswith("val (")
    assert quantization.agreement is not None
    assert 0.5 < quantization.agreement <= 1
    assert f"{quantization.agreement:.2%}" in made.output
    with open_backend("openvino", model=weights, precision="int8", threads=1) as backend:
        assert backend.precision == "int8"


def test_pictures_without_labels_are_not_measured(toy_data: Path, weights: Path) -> None:
    made = invoke("quantize", weights, "--pictures", toy_data, "--count", 4)
    assert made.output.endswith(f"wrote {weights.with_suffix('.int8.onnx')}\n")
    quantization = find_onnx(weights, int8=True).quantization
    assert quantization is not None
    assert quantization.agreement is None
    with open_backend("openvino", model=weights, threads=1) as backend:
        assert backend.precision != "int8"


def test_a_folders_crops_are_seeded_and_fit_the_network(toy_data: Path, tmp_path: Path) -> None:
    model = tiny_checkpoint()
    first = folder_crops(toy_data, model, count=5, seed=1)
    again = folder_crops(toy_data, model, count=5, seed=1)
    other = folder_crops(toy_data, model, count=5, seed=2)
    assert all(crop.shape == (64, 96, 3) and crop.dtype == np.uint8 for crop in first)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
    with pytest.raises(SourceError, match="holds no picture"):
        folder_crops(tmp_path / "none", model, count=5, seed=1)


def test_a_folder_without_pictures_is_refused(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RTSEG_DATA", raising=False)
    with pytest.raises(SettingError, match=r"--data: needed .* give --pictures FOLDER"):
        invoke("quantize", weights)


def test_the_mean_excludes_the_background_and_absent_classes() -> None:
    matrix = np.array([[90, 0, 0], [0, 4, 0], [0, 0, 0]])
    assert mean_f1(matrix, 0) == 1.0
    assert mean_f1(np.array([[90, 4, 0], [4, 4, 0], [0, 0, 0]]), 0) == pytest.approx(0.5)
