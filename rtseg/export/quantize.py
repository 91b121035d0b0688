"""An exported model in INT8: one file with quantise and dequantise nodes (Q/DQ) for OpenVINO, ONNX
Runtime and TensorRT.

Weights and activations are rounded to eight bits (symmetric; weights channel by channel), by the
ranges that NNCF finds on calibration crops, and the biases are corrected for what rounding moved
(Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019).
Normalisation and softmax stay as they are, as in FP16. The file has no `labels` output: what
computes it would have to be quantised as well, or would cost more than the rest.
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


def quantize_onnx(exported: OnnxModel, crops: Iterable[Image], *, seed: int = 0) -> bytes:
    """The INT8 form of an exported model, whole (no other files), for batches of 1 to 8.

    The same crops in the same order give the same file.

    Args:
        exported: the model in FP32 or FP16.
        crops: what the network will see: uint8 (input_height, input_width, 3), RGB; some hundred.
        seed: what chose them, for the file's own description.

    Raises:
        SettingError: there is no crop, or one has another shape.
        ModelError: a package is missing, the model is quantised already, or cannot be.
    """
    missing = [name for name in ("nncf", "onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"quantising a model needs {' and '.join(missing)}; pip install 'rtseg[quantize]'"
        )
    if exported.precision == "int8":
        raise ModelError("the model is quantised already; give the one that it was made from")
    pictures = _checked(crops, exported)
    import nncf
    import onnx

    data = exported.data if exported.precision == "fp32" else widen(exported.data)
    single = onnx.load_model_from_string(without_output(data, LABELS))
    inside = {node.name for node in network_nodes(single)}
    with _quiet():
        quantized: onnx.ModelProto = nncf.quantize(
            single,
            nncf.Dataset(pictures, lambda crop: {INPUT: crop[None]}),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            subset_size=len(pictures),
            fast_bias_correction=True,
            ignored_scope=nncf.IgnoredScope(
                names=[node.name for node in single.graph.node if node.name not in inside]
            ),
        )
    _describe(quantized, single, Quantization(pictures=len(pictures), seed=seed))
    onnx.checker.check_model(quantized, full_check=True)
    whole = bytes(quantized.SerializeToString(deterministic=True))
    parse_onnx(whole, name="the quantised model")
    return whole


def with_measurement(data: bytes, measured: Quantization) -> bytes:
    """An INT8 model that says of itself what was measured.

    Raises:
        ModelError: the package onnx is missing, or the model is none of `quantize_onnx`.
    """
    if parse_onnx(data, name="the quantised model").quantization is None:
        raise ModelError("only a quantised model says how it was quantised")
    import onnx

    model = onnx.load_model_from_string(data)
    _note(model, {QUANTIZED_KEY: json.dumps(asdict(measured), sort_keys=True)})
    return bytes(model.SerializeToString(deterministic=True))


def with_signed_activations(data: bytes) -> bytes:
    """An INT8 model all of whose activations are signed, as TensorRT demands.

    Where values are never negative, half of the range is lost: on a processor, unsigned ones are
    both closer and faster.

    Raises:
        ModelError: the package onnx is missing, or a range does not begin at zero.
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
            raise ModelError(f"{node.name}: zero lies at {offset.max()}, not at 0: not symmetric")
        wider = numpy_helper.to_array(scale) * np.float32(_LARGEST_UINT8 / _LARGEST_INT8)
        scale.CopyFrom(numpy_helper.from_array(wider.astype(np.float32), scale.name))
        zero.CopyFrom(numpy_helper.from_array(offset.astype(np.int8), zero.name))
    del model.graph.value_info[:]
    model = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    return bytes(model.SerializeToString(deterministic=True))


def _checked(crops: Iterable[Image], exported: OnnxModel) -> list[Image]:
    shape = (exported.model.input_height, exported.model.input_width, 3)
    pictures = []
    for crop in crops:
        if crop.dtype != np.uint8 or crop.shape != shape:
            raise SettingError(f"crops must be uint8 {shape}; found {crop.dtype} {crop.shape}")
        pictures.append(crop)
    if not pictures:
        raise SettingError("a model is quantised on pictures of what it will see; none was given")
    return pictures


def _describe(
    quantized: onnx.ModelProto, original: onnx.ModelProto, quantization: Quantization
) -> None:
    """What the model was, and nothing of the machine that quantised it."""
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
    """Without NNCF's own log."""
    logger = logging.getLogger("nncf")
    level = logger.level
    # not by its own function, which sets the level of everybody's handlers
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
