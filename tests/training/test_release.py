"""`python -m training release`: everything that ships, from one checkpoint."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

import training.release
from rtseg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rtseg.errors import SettingError
from rtseg.export import Quantization, exported_path, find_onnx, read_onnx
from rtseg.frames import LabelMap
from rtseg.labels import HELEN
from rtseg.weights import default_checkpoint_path
from tests.support.exported import tiny_checkpoint
from training.data.base import Sample
from training.evaluation.metrics import f1_table
from training.evaluation.predictor import Predictor, evaluated
from training.quantize import Quantized
from training.recipes import RECIPES
from training.release import (
    filled,
    hashes_of,
    portrait,
    release,
    write_hashes,
)

GOLDENS = Path(__file__).parents[1] / "goldens"

PAGE = "# Page\n\n<!-- measured: int8 -->\nold\n<!-- /measured -->\nafter\n"


def read_label_map(path: Path) -> LabelMap:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    assert (picture.ndim, picture.dtype) == (2, np.uint8)
    return picture


class Pictures:
    """Noise, and labels of noise."""

    def __init__(self, spec):
        self.label_set = spec.label_set
        self.names = ("a", "b", "c")
        self.shape = (spec.input_height, spec.input_width)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        rng = np.random.default_rng(index)
        image = rng.integers(0, 256, (*self.shape, 3), dtype=np.uint8)
        labels = rng.integers(0, len(self.label_set), self.shape, dtype=np.uint8)
        return Sample(name=self.names[index % 3], image=image, labels=labels)


def with_recipe(name: str) -> Checkpoint:
    model = tiny_checkpoint()
    return dataclasses.replace(
        model, spec=dataclasses.replace(model.spec, provenance={"recipe": name})
    )


def small_recipe(monkeypatch, model, **changes):
    recipe = dataclasses.replace(
        RECIPES["face-parts"],
        name="small",
        spec=model.spec,
        evaluation=lambda data, split: Pictures(model.spec),
        **{"rare": (), "oversampled": {}, **changes},
    )
    monkeypatch.setattr(training.release, "recipe_of", lambda name: recipe)
    return recipe


def quantized_quickly(weights, crops, *, seed, dataset, name, say):
    """What `quantize_checkpoint` returns, which tests/training/test_quantize.py runs for real."""
    assert len(crops) == 3
    assert (len(dataset), seed) == (3, 0)
    path = exported_path(weights, int8=True)
    path.write_bytes(b"int8")
    counts = np.eye(len(HELEN), dtype=np.int64)
    made = Quantization(
        pictures=3, seed=0, agreement=0.9961, f1=0.5, f1_fp32=0.5, measured_on=f"{name}, 3"
    )
    return Quantized(path=path, quantization=made, fp32=counts, int8=counts)


def test_a_run_becomes_weights_onnx_int8_hashes_and_tables(tmp_path, monkeypatch):
    model = with_recipe("small")
    run = tmp_path / "run"
    run.mkdir()
    write_checkpoint(model, run / "model.safetensors")
    small_recipe(monkeypatch, model)
    monkeypatch.setattr(
        training.release, "recipe_crops", lambda *_a, count, **_k: [np.zeros(1)] * count
    )
    monkeypatch.setattr(training.release, "quantize_checkpoint", quantized_quickly)
    measured = dict.fromkeys(("accuracy", "masked faces", "skin tones", "robustness"), "| m |\n")
    monkeypatch.setattr(training.release, "_tables", lambda *_a, **_k: measured)
    page = tmp_path / "page.md"
    places = "".join(f"<!-- measured: {name} -->\n<!-- /measured -->\n" for name in measured)
    page.write_text(PAGE + places)
    weights = tmp_path / "weights"
    written = release(
        run,
        data=tmp_path,
        weights=weights,
        goldens=tmp_path / "goldens",
        documentation=page,
        calibration=3,
    )
    names = ["small.safetensors", "small.onnx", "small.int8.onnx", "small.png", "SHA256SUMS"]
    assert [path.name for path in written] == [*names, "page.md"]
    shipped = read_checkpoint(weights / "small.safetensors")
    assert shipped.spec.header() == model.spec.header()
    assert read_onnx(weights / "small.onnx").weights_digest == shipped.digest
    lines = (weights / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((weights / name).read_bytes()).hexdigest() == digest
    (labels,) = Predictor.of_checkpoint(shipped)([portrait()])
    assert (read_label_map(tmp_path / "goldens/small.png") == labels).all()
    text = page.read_text()
    assert text.count("| m |") == 4
    assert (
        "99.61% of the labels are FP32's; mean F1 0.5000, FP32 0.5000 (celebamask-val, 3)" in text
    )
    assert "| skin | 1.0000 | 1.0000 | +0.0000 |" in text


def test_thresholds_of_rare_classes_ship_and_the_header_says_what_ships(tmp_path, monkeypatch):
    model = with_recipe("small")
    write_checkpoint(model, tmp_path / "model.safetensors")
    recipe = small_recipe(monkeypatch, model, rare=("nose", "hair"))
    monkeypatch.setattr(
        training.release, "recipe_crops", lambda *_a, count, **_k: [np.zeros(1)] * count
    )
    monkeypatch.setattr(training.release, "quantize_checkpoint", quantized_quickly)
    release(tmp_path, data=tmp_path, weights=tmp_path / "weights", calibration=3)
    shipped = read_checkpoint(tmp_path / "weights/small.safetensors")
    matrix = evaluated(shipped, Pictures(model.spec))
    # the file has the weights in half precision
    measured = pytest.approx(f1_table(matrix, recipe.spec.label_set), abs=2e-3)
    assert dict(shipped.spec.accuracy["f1"]) == measured
    before = f1_table(evaluated(model, Pictures(model.spec)), recipe.spec.label_set)
    biases = shipped.spec.provenance["class_biases"]
    assert biases  # labels of noise, so that more of any class is better
    for name in biases:
        assert shipped.spec.accuracy["f1"][name] > before[name]


def test_an_oversampled_class_is_expected_as_often_as_the_data_shows_it(tmp_path, monkeypatch):
    model = with_recipe("small")
    write_checkpoint(model, tmp_path / "model.safetensors")
    small_recipe(monkeypatch, model, oversampled={"nose": 3.0})
    monkeypatch.setattr(
        training.release, "recipe_crops", lambda *_a, count, **_k: [np.zeros(1)] * count
    )
    monkeypatch.setattr(training.release, "quantize_checkpoint", quantized_quickly)
    release(tmp_path, data=tmp_path, weights=tmp_path / "weights", calibration=3)
    shipped = read_checkpoint(tmp_path / "weights/small.safetensors")
    assert shipped.spec.provenance["class_biases"] == {"nose": pytest.approx(-np.log(3))}
    nose = HELEN.names.index("nose")
    change = shipped.tensors["head.2.bias"].astype(float) - model.tensors["head.2.bias"]
    expected = np.zeros(len(HELEN))
    expected[nose] = -np.log(3)
    np.testing.assert_allclose(change, expected, atol=2e-3)


def test_what_already_ships_is_no_run(tmp_path, monkeypatch):
    model = with_recipe("small")
    path = tmp_path / "small.safetensors"
    write_checkpoint(model, path)
    small_recipe(monkeypatch, model)
    with pytest.raises(SettingError, match="is what already ships"):
        release(path, data=tmp_path, weights=tmp_path)


def test_a_page_without_a_place_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    model = with_recipe("small")
    write_checkpoint(model, tmp_path / "model.safetensors")
    small_recipe(monkeypatch, model)
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    with pytest.raises(SettingError, match=r"page\.md: has no place for the table 'accuracy'"):
        release(tmp_path, data=tmp_path, weights=tmp_path / "out", documentation=page)
    assert not (tmp_path / "out").exists()
    assert page.read_text() == PAGE


def test_tables_stand_in_their_places():
    page = filled(PAGE, {"int8": "| new \\1 |\n"}, name="page")
    assert page == PAGE.replace("old\n", "\n| new \\1 |\n\n")
    again = filled(page, {"int8": "| newer |\n"}, name="page")
    assert "new \\1" not in again
    assert again.endswith("<!-- /measured -->\nafter\n")


def test_hashes_change_with_the_files(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"a")
    (tmp_path / "notes.txt").write_bytes(b"n")
    before = write_hashes(tmp_path).read_text()
    assert before.split() == [hashlib.sha256(b"a").hexdigest(), "a.onnx"]
    (tmp_path / "a.onnx").write_bytes(b"b")
    assert write_hashes(tmp_path).read_text() != before


def test_the_shipped_files_are_those_that_were_hashed():
    folder = default_checkpoint_path().parent
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1]: line.split("  ")[0] for line in lines} == hashes_of(folder)


def test_the_shipped_model_labels_the_portrait_as_when_it_was_released():
    golden = read_label_map(GOLDENS / "face-parts.png")
    model = read_checkpoint(default_checkpoint_path())
    (labels,) = Predictor.of_checkpoint(model)([portrait()])
    assert (labels == golden).mean() > 0.999
    shown = {model.spec.label_set.names[index] for index in np.unique(golden)}
    assert {"skin", "left-eye", "right-eye", "nose", "upper-lip", "lower-lip", "hair"} <= shown


@pytest.mark.parametrize("int8", [False, True])
def test_the_exported_forms_label_the_portrait_like_the_weights(int8: bool) -> None:
    from rtseg.backends.openvino import OpenVinoBackend
    from rtseg.backends.torch.backend import TorchBackend
    from rtseg.postprocess import whole_labels

    pytest.importorskip("openvino")
    exported = find_onnx(default_checkpoint_path(), int8=int8)
    assert exported is not None
    model = read_checkpoint(default_checkpoint_path())
    precision = "int8" if int8 else "fp32"
    with (
        TorchBackend(model, device="cpu", precision="fp32", threads=1) as reference,
        OpenVinoBackend(exported, precision=precision, threads=1) as backend,
    ):
        maps = [each.infer(portrait()[None])[0] for each in (reference, backend)]
    expected, labels = (whole_labels(each, height=256, width=256) for each in maps)
    # eight bits move borders by a pixel here and there; another run-time only rounds otherwise,
    # which decides where two classes are as likely as each other
    assert (labels == expected).mean() > (0.985 if int8 else 0.998)
    if not int8:
        apart = np.abs(maps[1] - maps[0])
        assert apart.mean() < 0.0005
        assert np.quantile(apart, 0.999) < 0.03
        assert apart.max() < 0.1  # where the network is least certain
