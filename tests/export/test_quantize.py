"""INT8 files: their contents, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest

from rtseg.backends.parity import label_agreement
from rtseg.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from rtseg.errors import ModelError, SettingError
from rtseg.export import Quantization, exported_path, find_onnx, parse_onnx
from rtseg.export.onnx import export_onnx
from rtseg.export.onnx_file import QUANTIZED_KEY
from rtseg.export.quantize import quantize_onnx, with_measurement, with_signed_activations
from rtseg.labels import HELEN
from rtseg.models import build_model
from tests.support.exported import HEIGHT, WIDTH, tiny_checkpoint, tiny_crops, tiny_int8, tiny_onnx

onnx = pytest.importorskip("onnx")

GOOD = Quantization(pictures=16, seed=9, agreement=0.996, f1=0.8, f1_fp32=0.802, measured_on="val")


def run(data, crops):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"crops": crops})[0]


def nodes(data):
    return list(onnx.load_model_from_string(data).graph.node)


def zero_points(data):
    model = onnx.load_model_from_string(data)
    values = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    quantisers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    return [values[node.input[2]] for node in quantisers]


def groups(node):
    return next((entry.i for entry in node.attribute if entry.name == "group"), 1)


def quantised(data):
    """Whether both inputs of each dense convolution are quantised, in order; and of others."""
    made = {output: node for node in nodes(data) for output in node.output}
    dense, depthwise = [], []
    for node in nodes(data):
        if node.op_type == "Conv":
            kinds = {made[name].op_type for name in node.input[:2] if name in made}
            (dense if groups(node) == 1 else depthwise).append(kinds == {"DequantizeLinear"})
    return dense, depthwise


def test_dense_convolutions_except_the_first_are_quantised():
    dense, _depthwise = quantised(tiny_int8(fine=8).data)
    assert len(dense) > 6
    assert dense == [False] + [True] * (len(dense) - 1)
    more = quantize_onnx(tiny_onnx("fp32", 8), list(tiny_crops(2)), first=6)
    assert quantised(more)[0] == [False] * 6 + [True] * (len(dense) - 6)


def test_no_other_node_is_quantised():
    data = tiny_int8(fine=8).data
    assert nodes(data)[0].op_type == "Cast"
    assert nodes(data)[0].input[0] == "crops"
    quantisers = {node.output[0] for node in nodes(data) if node.op_type == "DequantizeLinear"}
    users = [node for node in nodes(data) if quantisers & set(node.input)]
    assert {node.op_type for node in users} == {"Conv"}


def test_depthwise_convolutions_are_quantised_but_for_the_first():
    network = build_model("lite-pyramid", classes=len(HELEN), options={})
    spec = dataclasses.replace(
        tiny_checkpoint().spec, architecture="lite-pyramid", options={}, stride=2
    )
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    checkpoint = Checkpoint(spec=spec, tensors=tensors)
    exported = parse_onnx(export_onnx(checkpoint, precision="fp32"), name="lite")
    dense, depthwise = quantised(quantize_onnx(exported, list(tiny_crops(2))))
    assert dense == [False] + [True] * (len(dense) - 1)
    assert depthwise == [False] + [True] * (len(depthwise) - 1)


def test_quantisation_is_symmetric_as_tensorrt_requires():
    assert not any(point.any() for point in zero_points(tiny_int8().data))


def test_the_description_contains_nothing_about_the_machine():
    exported = tiny_int8()
    assert exported.precision == "int8"
    assert exported.model.header() == tiny_checkpoint().spec.header()
    assert exported.weights_digest == tiny_onnx().weights_digest
    assert exported.quantization == Quantization(pictures=16, seed=0)
    model = onnx.load_model_from_string(exported.data)
    assert [output.name for output in model.graph.output] == ["probabilities"]
    assert {entry.key for entry in model.metadata_props} == {
        *("rtseg", "rtseg.weights", "rtseg.precision", "rtseg.quantized")
    }
    assert (model.producer_name, model.producer_version) == ("rtseg", "")


def test_the_same_crops_give_the_same_file():
    pytest.importorskip("nncf")
    crops = list(tiny_crops(16, seed=9))
    again = quantize_onnx(tiny_onnx("fp32"), crops)
    assert again == tiny_int8().data


def test_any_batch_runs_and_labels_hardly_change():
    crops = tiny_crops(5, seed=3)
    probabilities = run(tiny_int8().data, crops)
    assert probabilities.shape == (5, HEIGHT // 4, WIDTH // 4, 11)
    assert label_agreement(probabilities, run(tiny_onnx("fp32").data, crops)) > 0.9


def test_signed_activations_for_tensorrt():
    data = with_signed_activations(tiny_int8().data)
    assert any(point.dtype == np.uint8 for point in zero_points(tiny_int8().data))
    assert all(point.dtype == np.int8 for point in zero_points(data))
    assert parse_onnx(data, name="x").precision == "int8"
    crops = tiny_crops(4, seed=3)
    probabilities = run(data, crops)
    # half of the range is lost, and no more
    assert label_agreement(probabilities, run(tiny_int8().data, crops)) > 0.9
    assert with_signed_activations(data) == data


def test_crops_of_a_wrong_shape_are_refused():
    pytest.importorskip("nncf")
    with pytest.raises(SettingError, match=r"must be uint8 \(64, 96, 3\); found float32"):
        quantize_onnx(tiny_onnx(), [np.zeros((64, 96, 3), np.float32)])
    with pytest.raises(SettingError, match=r"found uint8 \(64, 64, 3\)"):
        quantize_onnx(tiny_onnx(), [np.zeros((64, 64, 3), np.uint8)])
    with pytest.raises(SettingError, match="none were given"):
        quantize_onnx(tiny_onnx(), [])
    with pytest.raises(ModelError, match="already quantised"):
        quantize_onnx(tiny_int8(), tiny_crops(1))


def test_a_missing_package_is_reported_by_name(monkeypatch):
    monkeypatch.setattr("rtseg.export.quantize.find_spec", lambda name: name != "nncf" or None)
    with pytest.raises(ModelError, match=r"needs nncf; pip install 'rtseg\[quantize\]'"):
        quantize_onnx(tiny_onnx(), tiny_crops(1))


@pytest.mark.parametrize(
    ("changes", "faithful"),
    [
        ({}, True),
        ({"agreement": 0.9949}, False),
        ({"f1": 0.7989}, False),
        ({"f1": 0.9}, True),
        ({"agreement": None}, False),
        ({"f1": None}, False),
        ({"f1_fp32": None}, False),
    ],
)
def test_auto_accepts_only_measured_models_that_are_good_enough(changes, faithful):
    measured = dataclasses.replace(GOOD, **changes)
    assert measured.is_faithful is faithful
    data = with_measurement(tiny_int8().data, measured)
    assert parse_onnx(data, name="x").quantization == measured
    with pytest.raises(ModelError, match="only a quantised model"):
        with_measurement(tiny_onnx().data, measured)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"pictures": 1}', '{"pictures": 1, "seed": 0, "agreement": 99}', "1",
     '{"pictures": 1, "seed": 0, "agreement": "all"}', '{"pictures": 1, "seed": 0, "more": 1}'],
)  # fmt: skip
def test_a_damaged_description_is_refused(text):
    model = onnx.load_model_from_string(tiny_int8().data)
    for entry in model.metadata_props:
        if entry.key == QUANTIZED_KEY:
            entry.value = text
    with pytest.raises(ModelError, match="not an ONNX model exported by rtseg"):
        parse_onnx(model.SerializeToString(), name="bad.onnx")


def test_the_file_is_found_beside_its_weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(tiny_checkpoint(), path)
    with pytest.raises(ModelError, match=r"no quantised model beside .*training quantize .* makes"):
        find_onnx(path, int8=True)
    exported_path(path, int8=True).write_bytes(tiny_int8().data)
    with pytest.raises(ModelError, match="other weights"):
        find_onnx(path, int8=True)
    model = onnx.load_model_from_string(tiny_int8().data)
    for entry in model.metadata_props:
        if entry.key == "rtseg.weights":
            entry.value = read_checkpoint(path).digest
    exported_path(path, int8=True).write_bytes(model.SerializeToString())
    assert find_onnx(path, int8=True).precision == "int8"
    assert json.loads(model.metadata_props[0].value)
