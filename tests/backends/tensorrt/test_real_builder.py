"""NVIDIA's real builder on every machine: TensorRT-RTX parses and builds without a GPU.

What it makes of the models is read from its report of the layers. Running an engine needs a GPU,
see tests/backends/test_gpu.py.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from rtseg.backends.batching import BATCHES
from rtseg.backends.tensorrt import EngineRecipe, build_plan, other_machines, prepare_engine
from rtseg.backends.tensorrt.inspection import parse_layers, read_layers
from rtseg.backends.tensorrt.library import ARCHITECTURES, library_to_run, load_library
from rtseg.checkpoint import Checkpoint
from rtseg.errors import BackendError, ModelError
from rtseg.export.onnx import export_onnx
from rtseg.export.onnx_file import parse_onnx, read_onnx
from rtseg.export.precision import widen
from rtseg.models import build_model
from rtseg.system.nvidia import nvidia_driver_problem
from tests.models.test_architectures import require_library
from tests.support.exported import tiny_onnx
from training.recipes import RECIPES

pytest.importorskip("tensorrt_rtx_bindings", reason="pip install 'rtseg[tensorrt-rtx]'")

WEIGHTS = Path(__file__).parents[3] / "rtseg" / "weights"
SHIPPED = sorted(path.name for path in WEIGHTS.glob("*.onnx"))
TYPES = {"fp16": "Half", "fp32": "Float", "int8": "Int8"}
RECIPE = EngineRecipe(name="tiny")


@pytest.fixture(scope="module")
def library():
    return load_library("tensorrt-rtx")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "engines"))
    return tmp_path / "engines"


def convolutions(layers):
    return [layer for layer in layers if layer.kind == "correlation"]


def check_precision(layers, precision):
    """Check that every convolution computes in the precision at every batch size, and that nothing
    inside the network is converted back and forth."""
    counts = Counter(layer.reads for layer in convolutions(layers))
    if precision == "int8":
        # the first and the depthwise convolutions are not quantised
        assert counts["Int8"] > sum(counts.values()) / 2, counts
        counts = Counter({"Int8": counts["Int8"]})
    assert set(counts) == {TYPES[precision]}, counts
    per_batch, rest = divmod(sum(counts.values()), len(BATCHES))
    assert per_batch > 0
    assert rest == 0
    if precision == "int8":
        return  # each step is rounded to bytes, and names of such kernels contain a cast
    # the file's own casts: of the picture's bytes at the beginning, and of the logits at the end
    casts = [layer.name for layer in layers if "Cast" in layer.name]
    assert len(casts) <= 2 * len(BATCHES), casts
    # half precision would be visible in the probabilities
    assert {layer.outputs for layer in layers if "Div" in layer.name} == {("Float",)}


@pytest.mark.parametrize("precision", ["as shipped", "fp32"])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_models_are_built_in_their_precision(library, name, precision):
    exported = read_onnx(WEIGHTS / name)
    if precision == "fp32":
        if exported.precision != "fp16":
            pytest.skip("only FP16 is widened")
        exported = parse_onnx(widen(exported.data), name=name)
    steps = []
    built = build_plan(
        library,
        exported,
        RECIPE,
        architectures=("sm86", "sm89", "sm120"),
        on_progress=lambda share, phase: steps.append((share, phase)),
    )
    assert len(built.plan) > len(exported.data) / 2
    check_precision(parse_layers(built.layers), exported.precision)
    shares = [share for share, _phase in steps]
    assert shares == sorted(shares)
    assert 0 < shares[-1] <= 1
    assert len({phase for _share, phase in steps}) > 3


def test_engines_are_built_for_every_gpu_architecture_alone_and_together(library):
    alone = {
        name: build_plan(library, tiny_onnx(), RECIPE, architectures=(name,)).plan
        for name in (ARCHITECTURES[0], ARCHITECTURES[-1])
    }
    together = build_plan(library, tiny_onnx(), RECIPE, architectures=ARCHITECTURES).plan
    assert len({*alone.values(), together}) == 3


SMALL = ("residual-pyramid", "lite-pyramid", "face-finder")


@pytest.mark.builder
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if recipe.spec.architecture in SMALL else pytest.mark.slow)
        for name, recipe in sorted(RECIPES.items())
    ],
)
def test_the_network_of_every_recipe_is_built_at_its_full_size(library, name):
    """Use random weights: only the architecture matters to the builder."""
    recipe = RECIPES[name]
    spec = recipe.spec
    require_library(spec.architecture)
    network = build_model(spec.architecture, classes=len(spec.label_set), options=spec.options)
    tensors = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    checkpoint = Checkpoint(spec=spec, tensors=tensors, digest="0" * 64)
    exported = parse_onnx(export_onnx(checkpoint), name=name)
    built = build_plan(library, exported, RECIPE, architectures=("sm89",))
    layers = parse_layers(built.layers)
    assert {layer.reads for layer in convolutions(layers)} == {"Half"}


def test_a_build_for_other_machines_is_stored_checked_and_inspected(folder):
    target = other_machines(("sm89", "sm120"))
    engine = prepare_engine(tiny_onnx(), RECIPE, target, parity_check=lambda *_: 0.0)
    assert engine.read()
    assert engine.manifest.architectures == ("sm89", "sm120")
    assert engine.manifest.agreement is None
    check_precision(read_layers(engine), "fp16")
    assert prepare_engine(tiny_onnx(), RECIPE, target) == engine
    engine.path.write_bytes(engine.path.read_bytes()[:-1])
    assert prepare_engine(tiny_onnx(), RECIPE, target).read()


def test_the_label_output_is_neither_computed_nor_returned(library):
    layers = parse_layers(build_plan(library, tiny_onnx(), RECIPE, architectures=("sm89",)).layers)
    assert not [layer.name for layer in layers if "argmax" in layer.name.lower()]
    kinds = {kind for layer in layers for kind in layer.outputs}
    assert "UInt8" not in kinds, "labels would be bytes"


def test_without_a_driver_nothing_is_run():
    if nvidia_driver_problem() is None:
        pytest.skip("there is a driver")
    with pytest.raises(BackendError, match="cannot run here: no NVIDIA driver"):
        library_to_run()


def changed(change):
    """The tiny model with a modified graph."""
    model = onnx.load_model_from_string(tiny_onnx("fp32").data)
    change(model.graph)
    return parse_onnx(model.SerializeToString(), name="changed")


def unknown_operator(graph):
    relu = next(node for node in graph.node if node.op_type == "Relu")
    relu.op_type = "Frobnicate"


def wrong_channels(graph):
    node = next(node for node in graph.node if node.op_type == "Conv")
    (weight,) = (one for one in graph.initializer if one.name == node.input[1])
    values = onnx.numpy_helper.to_array(weight)
    weight.CopyFrom(onnx.numpy_helper.from_array(values[:, :-1].copy(), weight.name))


def missing_input(graph):
    node = next(node for node in graph.node if node.op_type == "Conv")
    node.input[0] = "nothing of that name"


def mixed_types(graph):
    node = next(node for node in graph.node if node.op_type == "Conv")
    cast = helper.make_node("Cast", [node.input[0]], ["half"], to=TensorProto.FLOAT16)
    node.input[0] = "half"
    graph.node.insert(list(graph.node).index(node), cast)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (unknown_operator, r"Frobnicate"),
        (wrong_channels, r"Kernel weight dimension failed to broadcast.*\(node '.*', Conv\)"),
        (missing_input, r"Node input was not registered.*\(node '.*', Conv\)"),
        (mixed_types, r"type|Half"),
    ],
)
def test_rejected_models_are_reported_with_the_parsers_message(library, change, words):
    with pytest.raises(BackendError, match=words) as raised:
        build_plan(library, changed(change), RECIPE, architectures=("sm89",))
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("TensorRT")


def test_a_truncated_file_is_refused(library):
    data = tiny_onnx().data
    with pytest.raises((ModelError, BackendError)):
        build_plan(
            library,
            parse_onnx(data[: len(data) // 2], name="half"),
            RECIPE,
            architectures=("sm89",),
        )


def test_an_interruption_inside_a_progress_report_ends_the_build(library):
    calls = []

    def interrupt(share, _phase):
        calls.append(share)
        if len(calls) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(library, tiny_onnx(), RECIPE, architectures=("sm89",), on_progress=interrupt)
    assert len(calls) == 5
    # and it does not affect the next build
    assert build_plan(library, tiny_onnx(), RECIPE, architectures=("sm89",)).plan


SLOWED = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
from pathlib import Path
from rtseg.backends.tensorrt import progress
from rtseg.cli import main

there = progress.PhaseTracker.step

def slowly(self, name, done):
    Path(sys.argv[1]).touch()
    time.sleep(0.02)
    there(self, name, done)

progress.PhaseTracker.step = slowly
sys.exit(main(["engine", "build", sys.argv[2], "--for", "sm89"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_during_a_build_exits_with_130_and_leaves_no_files(tmp_path, folder):
    model, started = tmp_path / "tiny.onnx", tmp_path / "started"
    model.write_bytes(tiny_onnx().data)
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWED, str(started), str(model)],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert not list(folder.glob("*.engine*"))
