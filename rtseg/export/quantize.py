"""Quantise an exported model to INT8: one file with quantise and dequantise nodes (Q/DQ) for
OpenVINO, ONNX Runtime and TensorRT.

The weights and inputs of convolutions are rounded to eight bits (symmetrically; weights per
channel) using ranges that NNCF measures on calibration crops, and biases are corrected for the
error of rounding (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", ICCV 2019). Everything else is not converted. The file has no `labels` output, because
its computation would cost more than all the rest.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from rtseg.errors import ModelError, SettingError
from rtseg.export.onnx_file import (
    INPUT,
    LABELS,
    PRECISION_KEY,
    QUANTIZED_KEY,
    OnnxModel,
    Quantization,
    parse_onnx,
)
from rtseg.export.onnx_outputs import without_output
from rtseg.export.precision import network_nodes, widen
from rtseg.frames import Image

if TYPE_CHECKING:
    import onnx

_LARGEST_UINT8, _LARGEST_INT8 = 255, 127


MEASURED_FIRST = (1, 6)
"""Numbers of first dense convolutions to leave unquantised, tried in turn until agreement suffices.
"""

_CONVOLUTIONS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def quantize_onnx(
    exported: OnnxModel,
    crops: Iterable[Image],
    *,
    seed: int = 0,
    first: int = MEASURED_FIRST[0],
) -> bytes:
    """Quantise an exported model to INT8, in a single file for batches of 1 to 8.

    The same crops in the same order result in the same file.

    Args:
        exported: the model in FP32 or FP16.
        crops: some hundred representative inputs: uint8 (input_height, input_width, 3), RGB.
        seed: the seed that selected them, for the file's description.
        first: how many of the first dense convolutions stay unquantised, with the depthwise ones
            between and right after them. They process the picture itself and fine detail, and lose
            most accuracy.

    Raises:
        SettingError: there are no crops, or one has the wrong shape.
        ModelError: a package is missing, or the model is already or cannot be quantised.
    """
    missing = [name for name in ("nncf", "onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"quantising a model needs {' and '.join(missing)}; pip install 'rtseg[quantize]'"
        )
    if exported.precision == "int8":
        raise ModelError("the model is already quantised; give the one that it was made from")
    pictures = _checked(crops, exported)
    import nncf
    import onnx

    data = exported.data if exported.precision == "fp32" else widen(exported.data)
    data = without_output(data, LABELS)
    single = onnx.load_model_from_string(data)
    unquantised = {node.name for node in single.graph.node} - _to_quantise(single, first)
    with _quiet():
        quantized: onnx.ModelProto = nncf.quantize(
            single,
            nncf.Dataset(pictures, lambda crop: {INPUT: crop[None]}),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(pictures),
            fast_bias_correction=True,
            # not checked, because NNCF's graph lacks nodes that only convert constants
            ignored_scope=nncf.IgnoredScope(names=sorted(unquantised), validate=False),
        )
    _describe(quantized, single, Quantization(pictures=len(pictures), seed=seed))
    onnx.checker.check_model(quantized, full_check=True)
    whole = bytes(quantized.SerializeToString(deterministic=True))
    parse_onnx(whole, name="the quantised model")
    return whole


def with_measurement(data: bytes, measured: Quantization) -> bytes:
    """Record measured accuracy in an INT8 model's description.

    Raises:
        ModelError: the package onnx is missing, or the model is not from `quantize_onnx`.
    """
    if parse_onnx(data, name="the quantised model").quantization is None:
        raise ModelError("only a quantised model describes its quantisation")
    import onnx

    model = onnx.load_model_from_string(data)
    _note(model, {QUANTIZED_KEY: json.dumps(asdict(measured), sort_keys=True)})
    return bytes(model.SerializeToString(deterministic=True))


def with_signed_activations(data: bytes) -> bytes:
    """Convert all activations of an INT8 model to signed, as TensorRT requires.

    For values that are never negative, this loses half of the range; on a processor, unsigned
    activations are more accurate and faster.

    Raises:
        ModelError: the package onnx is missing, or a range is not symmetric.
    """
    if find_spec("onnx") is None:
        raise ModelError("an INT8 engine needs the package onnx; pip install onnx")
    import onnx
    from onnx import numpy_helper

    model = onnx.load_model_from_string(data)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        scale, zero = tensors[node.input[1]], tensors[node.input[2]]
        offset = numpy_helper.to_array(zero)
        if offset.dtype != np.uint8:
            continue
        if offset.any():
            raise ModelError(
                f"{node.name}: the zero point is {offset.max()} instead of 0: not symmetric"
            )
        wider = numpy_helper.to_array(scale) * np.float32(_LARGEST_UINT8 / _LARGEST_INT8)
        scale.CopyFrom(numpy_helper.from_array(wider.astype(np.float32), scale.name))
        zero.CopyFrom(numpy_helper.from_array(offset.astype(np.int8), zero.name))
    del model.graph.value_info[:]
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    return bytes(model.SerializeToString(deterministic=True))


def _to_quantise(model: onnx.ModelProto, first: int) -> set[str]:
    """The names of the nodes that compute in INT8: the network's convolutions and products, from
    the dense one on that follows the first dense ones.

    Sums stay unquantised, so that residuals are not rounded repeatedly and logits not at all. Of
    the depthwise convolutions, only the one right after the first dense one loses much: with it,
    70 crops of faces kept 99.53% of FP32's labels; with all others 99.73%, and with none 99.76%.
    """
    all_of_them = [node for node in network_nodes(model) if node.op_type in _CONVOLUTIONS]
    dense = [index for index, node in enumerate(all_of_them) if _groups(node) == 1]
    return {node.name for node in all_of_them[dense[first] :]} if len(dense) > first else set()


def _groups(convolution: onnx.NodeProto) -> int:
    return next((entry.i for entry in convolution.attribute if entry.name == "group"), 1)


def _checked(crops: Iterable[Image], exported: OnnxModel) -> list[Image]:
    shape = (exported.model.input_height, exported.model.input_width, 3)
    pictures = []
    for crop in crops:
        if crop.dtype != np.uint8 or crop.shape != shape:
            raise SettingError(f"crops must be uint8 {shape}; found {crop.dtype} {crop.shape}")
        pictures.append(crop)
    if not pictures:
        raise SettingError("quantising a model needs representative pictures; none were given")
    return pictures


def _describe(
    quantized: onnx.ModelProto, original: onnx.ModelProto, quantization: Quantization
) -> None:
    """Describe the model in the file, without anything about the quantising machine."""
    quantized.producer_name = original.producer_name
    quantized.ClearField("producer_version")
    quantized.graph.name = original.graph.name
    del quantized.metadata_props[:]
    _note(
        quantized,
        {
            **{entry.key: entry.value for entry in original.metadata_props},
            PRECISION_KEY: "int8",
            QUANTIZED_KEY: json.dumps(asdict(quantization), sort_keys=True),
        },
    )


def _note(model: onnx.ModelProto, notes: dict[str, str]) -> None:
    from onnx import helper

    before = {entry.key: entry.value for entry in model.metadata_props}
    helper.set_model_props(model, {**before, **notes})


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence NNCF's log."""
    logger = logging.getLogger("nncf")
    level = logger.level
    # not with its own function, which changes the level of everybody's handlers
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
