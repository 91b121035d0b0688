"""Exported models: what they compute, what they say of themselves, and that nothing else is
read with them."""

import dataclasses
import hashlib
import sys

import numpy as np
import pytest

from rtseg.backends.parity import label_agreement, portrait_crops
from rtseg.backends.torch.backend import TorchBackend
from rtseg.checkpoint import read_checkpoint, read_digest, write_checkpoint
from rtseg.errors import ModelError, SettingError
from rtseg.export import find_onnx, parse_onnx, read_onnx
from rtseg.export.precision import widen
from rtseg.models import ARCHITECTURES, build_model
from rtseg.postprocess import whole_labels
from rtseg.weights import default_checkpoint_path
from tests.support.exported import FINE, HEIGHT, WIDTH, tiny_checkpoint, tiny_crops, tiny_onnx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

LEAST_AGREEMENT = {"fp32": 0.999, "fp16": 0.995}


def run(data, crops):
    """Probabilities and labels, by ONNX Runtime on the processor."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == ["crops"]
    assert [o.name for o in session.get_outputs()] == ["probabilities", "labels"]
    return session.run(None, {"crops": crops})


@pytest.fixture(scope="module")
def shipped():
    return read_checkpoint(default_checkpoint_path())


@pytest.fixture(scope="module")
def shipped_reference(shipped):
    """The portrait's crops, and what PyTorch says of them in FP32."""
    crops = portrait_crops(shipped.spec)
    with TorchBackend(shipped, device="cpu", precision="fp32", threads=1) as backend:
        return crops, backend.infer(crops)


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def shipped_export(request, shipped):
    from rtseg.export.onnx import export_onnx

    return request.param, export_onnx(shipped, precision=request.param)


def labels_of(probabilities, height, width):
    return np.stack([whole_labels(p, height=height, width=width) for p in probabilities])


def test_trained_weights_label_a_real_face_as_pytorch_does(shipped_export, shipped_reference):
    precision, data = shipped_export
    crops, expected = shipped_reference
    probabilities, labels = run(data, crops)
    least = LEAST_AGREEMENT[precision]
    assert len(np.unique(expected.argmax(-1))) >= 8  # the crops show what there is to agree on
    assert label_agreement(probabilities, expected) >= least
    assert (labels == labels_of(expected, *crops.shape[1:3])).mean() >= least
    if precision == "fp32":
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)


def test_classes_come_last_before_the_softmax_not_after_it(shipped_export):
    # after it, OpenVINO reorders the map twice: a fifth of a mobile network's time
    _precision, data = shipped_export
    graph = onnx.load_model_from_string(data).graph
    makers = {output: node for node in graph.node for output in node.output}
    node = makers["probabilities"]
    assert node.op_type == "Softmax"
    assert [attribute.i for attribute in node.attribute if attribute.name == "axis"] in ([3], [-1])
    assert makers[node.input[0]].op_type in ("Transpose", "Cast")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_picture_is_transposed_after_it_is_normalised(precision):
    # before, OpenVINO transposes it and then back again for the first convolution
    graph = onnx.load_model_from_string(tiny_onnx(precision).data).graph
    makers = {output: node for node in graph.node for output in node.output}
    first = next(node for node in graph.node if node.op_type == "Conv")
    steps, name = [], first.input[0]
    while name != "crops":
        steps.append(makers[name].op_type)
        name = makers[name].input[0]
    assert [step for step in steps if step != "Cast"] == ["Transpose", "Mul", "Sub"]


def test_the_label_output_is_what_finish_makes(shipped_export, shipped_reference):
    _precision, data = shipped_export
    crops, _expected = shipped_reference
    probabilities, labels = run(data, crops)
    assert labels.dtype == np.uint8
    assert (labels == labels_of(probabilities, *crops.shape[1:3])).mean() >= 0.9999


@pytest.mark.parametrize("fine", [0, FINE])
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_shapes_batches_and_independence(precision, fine):
    data, stride = tiny_onnx(precision, fine).data, tiny_checkpoint(fine).spec.stride
    crops = tiny_crops(8)
    whole, labels = run(data, crops)
    assert whole.shape == (8, HEIGHT // stride, WIDTH // stride, 11)
    assert whole.dtype == np.float32
    assert labels.shape == (8, HEIGHT, WIDTH)
    np.testing.assert_allclose(whole.sum(-1), 1, atol=1e-5)
    for start, count in ((0, 1), (3, 2), (1, 5)):
        part, _ = run(data, crops[start : start + count])
        np.testing.assert_allclose(part, whole[start : start + count], atol=1e-5)


@pytest.mark.parametrize("fine", [0, FINE])
def test_odd_normalisation_and_unfolded_batch_norms_come_through(fine):
    crops = tiny_crops(3)
    with TorchBackend(tiny_checkpoint(fine), device="cpu", precision="fp32", threads=1) as backend:
        expected = backend.infer(crops)
    for precision, atol in (("fp32", 1e-4), ("fp16", 0.02)):
        probabilities, labels = run(tiny_onnx(precision, fine).data, crops)
        np.testing.assert_allclose(probabilities, expected, atol=atol)
        assert (labels == labels_of(probabilities, HEIGHT, WIDTH)).mean() >= 0.999


def test_only_the_network_computes_in_fp16():
    model = onnx.load_model_from_string(tiny_onnx("fp16").data)
    half = onnx.TensorProto.FLOAT16
    types = {i.name: i.data_type for i in model.graph.initializer}
    values = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    types.update({v.name: v.type.tensor_type.elem_type for v in values.value_info})
    types.update({v.name: v.type.tensor_type.elem_type for v in (*values.input, *values.output)})
    kinds = {"Conv": set(), "Softmax": set(), "Sub": set(), "ArgMax": set()}
    for node in model.graph.node:
        kinds.get(node.op_type, set()).update(types[name] == half for name in node.input if name)
    assert kinds == {"Conv": {True}, "Softmax": {False}, "Sub": {False}, "ArgMax": {False}}
    assert not [n for n in model.graph.node if n.op_type == "BatchNormalization"]
    single = [n for n in model.graph.initializer if n.data_type == onnx.TensorProto.FLOAT]
    assert sum(np.prod(n.dims, dtype=int) for n in single) < 32


def test_uint8_touches_floats_only():
    """TensorRT takes uint8 at a network's ends, cast straight from or to a float."""
    graph = onnx.load_model_from_string(tiny_onnx("fp16").data).graph
    (first,) = [n for n in graph.node if "crops" in n.input]
    (last,) = [n for n in graph.node if "labels" in n.output]
    (before,) = [n for n in graph.node if last.input[0] in n.output]
    assert first.op_type == last.op_type == before.op_type == "Cast"
    assert first.attribute[0].i == before.attribute[0].i == onnx.TensorProto.FLOAT


def test_a_network_that_asks_for_its_inputs_size(monkeypatch):
    """The shape is then that of the floats: nothing but the cast may read the uint8 input."""
    import torch
    from torch.nn import functional

    from rtseg.export.onnx import export_onnx

    stride = tiny_checkpoint().spec.stride

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.head = torch.nn.Conv2d(3, 11, 1)

        def forward(self, images):
            whole = functional.adaptive_avg_pool2d(images, 1)
            fine = functional.avg_pool2d(images, stride)
            size = (fine.shape[0], 11, *fine.shape[2:])
            return self.head(fine) + self.head(whole).expand(size)

    network = Pooled().eval().requires_grad_(requires_grad=False)
    monkeypatch.setattr("rtseg.export.onnx.create_model", lambda _checkpoint: network)
    for precision in ("fp32", "fp16"):
        data = export_onnx(tiny_checkpoint(), precision=precision)
        nodes = onnx.load_model_from_string(data).graph.node
        assert [n.op_type for n in nodes if "crops" in n.input] == ["Cast"]
        assert run(data, tiny_crops(3))[0].shape == (3, HEIGHT // stride, WIDTH // stride, 11)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_every_architecture_exports(architecture, monkeypatch):
    """With random weights and batch norms that have seen the portrait."""
    import torch

    from rtseg.export.onnx import export_onnx

    side = 128
    with torch.random.fork_rng():
        torch.manual_seed(0)
        try:
            network = build_model(architecture, classes=11, options={})
        except ModelError as error:
            pytest.skip(str(error))
        stride = side // network.eval()(torch.zeros(1, 3, side, side)).shape[-1]
        spec = dataclasses.replace(
            tiny_checkpoint().spec, input_height=side, input_width=side, stride=stride
        )
        crops = portrait_crops(spec)[:4]
        images = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        images -= torch.tensor(spec.mean).view(1, 3, 1, 1)
        images /= torch.tensor(spec.std).view(1, 3, 1, 1)
        network.train()
        with torch.no_grad():
            for _ in range(4):
                network(images)
            expected = network.eval()(images).softmax(1).permute(0, 2, 3, 1).numpy()
    network.requires_grad_(requires_grad=False)
    monkeypatch.setattr("rtseg.export.onnx.create_model", lambda _checkpoint: network)
    # without training the classes are close, and FP16 may turn a near tie
    for precision, least in (("fp32", 0.999), ("fp16", 0.98)):
        data = export_onnx(dataclasses.replace(tiny_checkpoint(), spec=spec), precision=precision)
        assert label_agreement(run(data, crops)[0], expected) >= least


def test_widening_computes_what_fp16_weights_say_in_fp32():
    narrow, wide = tiny_onnx("fp16"), parse_onnx(widen(tiny_onnx("fp16").data), name="wide")
    assert (wide.precision, wide.weights_digest) == ("fp32", narrow.weights_digest)
    graph = onnx.load_model_from_string(wide.data).graph
    assert onnx.TensorProto.FLOAT16 not in {i.data_type for i in graph.initializer}
    crops = tiny_crops(2)
    exact, _ = run(tiny_onnx("fp32").data, crops)
    np.testing.assert_allclose(run(wide.data, crops)[0], exact, atol=0.01)


def test_weights_beyond_fp16_are_refused():
    from rtseg.export.onnx import export_onnx

    tensors = dict(tiny_checkpoint().tensors)
    name = next(n for n in tensors if n.endswith("head.2.weight"))
    tensors[name] = tensors[name] + 1e6
    with pytest.raises(ModelError, match=r"beyond FP16's 65504; export it with `precision` fp32"):
        export_onnx(dataclasses.replace(tiny_checkpoint(), tensors=tensors), precision="fp16")


def test_the_same_model_gives_the_same_bytes_and_none_of_the_machine():
    from rtseg.export.onnx import export_onnx

    data = tiny_onnx("fp16").data
    assert export_onnx(tiny_checkpoint(), precision="fp16") == data
    for word in (b"/home", b"site-packages", b".py", b"torch"):
        assert word not in data


def test_the_file_says_what_it_is():
    exported = tiny_onnx("fp16")
    assert exported.model.header() == tiny_checkpoint().spec.header()
    assert exported.weights_digest == tiny_checkpoint().digest
    assert exported.digest == hashlib.sha256(exported.data).hexdigest()


def test_external_data_is_refused_wherever_it_hides(tmp_path):
    model = onnx.load_model_from_string(tiny_onnx("fp32").data)
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(64))
    tensor = onnx.TensorProto(name="leak", data_type=onnx.TensorProto.FLOAT, dims=[16])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../secret")

    def refused(change):
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        change(changed)
        with pytest.raises(ModelError, match="in other files"):
            parse_onnx(changed.SerializeToString(), name="x.onnx")

    make = onnx.helper
    constant = make.make_node("Constant", [], ["leak"], value=tensor)
    inner = make.make_graph([constant], "inner", [], [])
    branch = make.make_node("If", ["c"], ["o"], then_branch=inner)
    function = make.make_function("d", "f", [], ["leak"], [constant], [])
    sparse = onnx.SparseTensorProto(values=tensor, dims=[16])
    refused(lambda m: m.graph.initializer.append(tensor))
    refused(lambda m: m.graph.node.append(constant))
    refused(lambda m: m.graph.node.append(branch))
    refused(lambda m: m.functions.append(function))
    refused(lambda m: m.graph.sparse_initializer.append(sparse))
    only_location = onnx.TensorProto(name="leak", data_location=onnx.TensorProto.EXTERNAL)
    refused(lambda m: m.graph.initializer.append(only_location))
    only_entries = onnx.TensorProto(name="leak")
    only_entries.external_data.add(key="location", value="x")
    refused(lambda m: m.graph.initializer.append(only_entries))


@pytest.mark.parametrize("cut", [0, 1, 7, 1000, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path, cut):
    path = tmp_path / "cut.onnx"
    path.write_bytes(tiny_onnx("fp16").data[:cut])
    with pytest.raises(ModelError, match=r"not an ONNX model exported by rtseg"):
        read_onnx(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "x.onnx"
    with pytest.raises(ModelError, match="cannot be read"):
        read_onnx(path)
    path.write_text("hello, this is no model at all\n" * 30)
    with pytest.raises(ModelError, match="not an ONNX model exported by rtseg"):
        read_onnx(path)
    model = onnx.load_model_from_string(tiny_onnx("fp16").data)
    del model.metadata_props[:]
    with pytest.raises(ModelError, match="`rtseg engine export` makes one"):
        parse_onnx(model.SerializeToString(), name="foreign.onnx")
    onnx.helper.set_model_props(
        model, {"rtseg": "{}", "rtseg.weights": "", "rtseg.precision": "fp16"}
    )
    with pytest.raises(ModelError, match=r"mine\.onnx"):
        parse_onnx(model.SerializeToString(), name="mine.onnx")


def test_an_export_beside_other_weights_is_not_used(tmp_path):
    from rtseg.export.onnx import write_onnx

    path = tmp_path / "mine.safetensors"
    write_checkpoint(tiny_checkpoint(), path)
    with pytest.raises(ModelError, match="there is no exported model beside"):
        find_onnx(path)
    write_onnx(read_checkpoint(path), tmp_path / "mine.onnx")
    assert find_onnx(path).weights_digest == read_digest(path)
    changed = dataclasses.replace(
        tiny_checkpoint(), spec=dataclasses.replace(tiny_checkpoint().spec, terms="others")
    )
    write_checkpoint(changed, path)
    with pytest.raises(ModelError, match="made from other weights"):
        find_onnx(path)


def test_bad_values(monkeypatch, tmp_path):
    from rtseg.export.onnx import export_onnx, write_onnx

    with pytest.raises(SettingError, match="'int8' is unknown; allowed: fp32, fp16"):
        export_onnx(tiny_checkpoint(), precision="int8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtseg.export.onnx.export_onnx", lambda *_args, **_names: b"")
        with pytest.raises(ModelError, match="cannot be written"):
            write_onnx(tiny_checkpoint(), tmp_path / "none" / "x.onnx")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(
        "rtseg.export.onnx.find_spec", lambda name: None if "script" in name else name
    )
    with pytest.raises(ModelError, match=r"needs onnxscript; pip install 'rtseg\[export\]'"):
        export_onnx(tiny_checkpoint())


def test_reading_needs_neither_onnx_nor_torch(tmp_path):
    import subprocess

    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_onnx("fp16").data)
    program = (
        "import sys; from rtseg.export import read_onnx; print(read_onnx(sys.argv[1]).precision,"
        "[m for m in ('onnx', 'torch', 'onnxscript', 'google.protobuf') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "fp16 []\n"
