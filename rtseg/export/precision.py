"""Convert an exported model between FP32 and FP16 (see `quantize.py` for INT8).

In strongly typed networks precision is a property of the file, not an option for building an
engine. Only the network itself is converted; normalisation, softmax and upsampling to labels stay
in FP32, because FP16 would lose precision or overflow there.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from rtseg.errors import ModelError
from rtseg.export.onnx_file import INPUT, PRECISION_KEY, PROBABILITIES

if TYPE_CHECKING:
    import onnx

_NORMALISATION = ("Cast", "Transpose", "Sub", "Mul")
# Inputs that ONNX requires in FP32 whatever the data's type: region of interest and scales.
_ALWAYS_FP32 = {"Resize": (1, 2)}


def narrow(model: onnx.ModelProto) -> None:
    """Convert a model from `rtseg.export.onnx` to FP16 arithmetic, in place.

    Raises:
        ModelError: a weight does not fit into FP16.
    """
    import onnx

    graph = model.graph
    entry, exit_ = _entry(graph.node), _exit(graph.node)
    inside = network_nodes(model)
    _retype(model, inside, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    _cast(graph, entry, onnx.TensorProto.FLOAT16, users=inside)
    _cast(graph, exit_, onnx.TensorProto.FLOAT, users=[n for n in graph.node if n not in inside])
    _finish(model, "fp16")


def widen(data: bytes) -> bytes:
    """Convert an FP16 model to FP32, for devices on which FP16 fails.

    The weights keep their values as rounded to FP16.

    Raises:
        ModelError: the package onnx is missing.
    """
    if find_spec("onnx") is None:
        raise ModelError(
            "changing a model's precision needs the package onnx; pip install 'rtseg[export]'"
        )
    import onnx

    model = onnx.load_model_from_string(data)
    half, single = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    _retype(model, model.graph.node, half, single)
    _finish(model, "fp32")
    return bytes(model.SerializeToString(deterministic=True))


def network_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The network's own nodes: after normalisation, up to the logits.

    Raises:
        ModelError: the model does not begin or end as one from `rtseg.export.onnx`.
    """
    nodes = model.graph.node
    return _between(nodes, _entry(nodes), _exit(nodes))


def _entry(nodes: Iterable[onnx.NodeProto]) -> str:
    """The normalised picture: the end of the chain of single steps after the input."""
    name = INPUT
    while True:
        # a node may also read its shape, which does not depend on its type
        users = [node for node in nodes if name in node.input and node.op_type != "Shape"]
        if len(users) != 1 or users[0].op_type not in _NORMALISATION:
            raise ModelError("the model does not begin with rtseg's own normalisation")
        name = str(users[0].output[0])
        if users[0].op_type == "Mul":
            return name


def _exit(nodes: Iterable[onnx.NodeProto]) -> str:
    """The logits: the input of the softmax that yields the probabilities, before any transposing
    of their classes."""
    makers = {output: node for node in nodes for output in node.output}
    node = makers[PROBABILITIES]
    while node.op_type != "Softmax":
        if node.op_type not in ("Transpose", "Identity"):
            raise ModelError("the model does not end with rtseg's own softmax")
        node = makers[node.input[0]]
    name = str(node.input[0])
    while name in makers and makers[name].op_type in ("Transpose", "Identity"):
        name = str(makers[name].input[0])
    return name


def _between(nodes: Iterable[onnx.NodeProto], entry: str, exit_: str) -> list[onnx.NodeProto]:
    """The nodes that the exit depends on, up to the entry."""
    makers = {output: node for node in nodes for output in node.output}
    needed, waiting = {entry}, [exit_]
    while waiting:
        name = waiting.pop()
        if name not in needed and name in makers:
            waiting.extend(makers[name].input)
        needed.add(name)
    before = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        before.add(name)
        if name in makers:
            waiting.extend(makers[name].input)
    return [n for n in nodes if n.output[0] in needed and n.output[0] not in before]


def _retype(
    model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto], source: int, target: int
) -> None:
    """Change the floating-point type of some nodes' weights, constants and casts."""
    graph = model.graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    exempt = {
        node.input[index]
        for node in graph.node
        for index in _ALWAYS_FP32.get(node.op_type, ())
        if index < len(node.input)
    }
    for node in nodes:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == source:
                attribute.i = target
            elif attribute.HasField("t") and not exempt.intersection(node.output):
                _convert(attribute.t, source, target)
        for name in node.input:
            if name in initializers and name not in exempt:
                _convert(initializers[name], source, target)


def _convert(tensor: onnx.TensorProto, source: int, target: int) -> None:
    from onnx import helper, numpy_helper

    if tensor.data_type != source:
        return
    before = numpy_helper.to_array(tensor)
    with np.errstate(over="ignore"):
        after = before.astype(helper.tensor_dtype_to_np_dtype(target))
    if np.isfinite(before).all() and not np.isfinite(after).all():
        raise ModelError(
            f"weight {tensor.name!r} reaches {np.abs(before).max():.3g}, beyond FP16's 65504; "
            "export it with `precision` fp32"
        )
    tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))


def _cast(
    graph: onnx.GraphProto, name: str, target: int, *, users: Iterable[onnx.NodeProto]
) -> None:
    """Insert a cast of one value, right after it is computed, for some of its users."""
    from onnx import helper

    cast = f"{name}_{'half' if target == 10 else 'single'}"
    for user in users:
        user.input[:] = [cast if used == name else used for used in user.input]
    index = next(i for i, node in enumerate(graph.node) if name in node.output)
    graph.node.insert(index + 1, helper.make_node("Cast", [name], [cast], name=cast, to=target))


def _finish(model: onnx.ModelProto, precision: str) -> None:
    """Infer all types again, and record the precision."""
    import onnx

    del model.graph.value_info[:]
    for entry in model.metadata_props:
        if entry.key == PRECISION_KEY:
            entry.value = precision
    model.CopyFrom(onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True))
