"""Rewrite parts of an exported model into steps that OpenVINO computes faster.

OpenVINO's softmax over the last axis takes one pixel at a time: for 19 classes at 128x128, 0.7 of
the 10 ms that a quantised network takes on one thread. Exponentials, their sum by a 1x1 convolution
and a division, each of which takes many pixels at a time, need 0.3 ms for the same result.

A pixel shuffle (Shi et al., CVPR 2016) makes four pixels of neighbouring channels, one of every
four. With channels last, as processors compute, it moves single numbers. If the convolution before
it computes its channels in another order, first those of the upper left pixels, the shuffle moves
whole pixels.

Normalising a crop channel by channel, OpenVINO computes three numbers at a time, those of a pixel.
With constants for a whole row it computes as many as fit a register: 0.03 instead of 0.12 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST_LOGIT = 80.0
"""Logits are limited to this on both sides: the sum of their exponentials is then neither infinite
nor zero in float32. Softmax needs no limit, because it subtracts each pixel's largest logit. The
difference would show only where two classes' odds both exceed e^80; trained networks stay far
below."""


def with_faster_softmax(openvino: Any, model: Any, name: str) -> Any:
    """Return a model with one output, the probabilities, computed without OpenVINO's softmax.

    Only the end of a model from `rtseg.export` is rewritten: a softmax of transposed logits,
    float32 (n, classes, h, w) -> (n, h, w, classes). A model that ends otherwise keeps its own
    steps.

    Args:
        openvino: the module.
        model: an `openvino.Model`, which must not be used afterwards.
        name: the name of the output.
    """
    output = model.output(name).get_node().input_value(0)
    softmax = output.get_node()
    before = softmax.input_value(0).get_node() if softmax.get_type_name() == "Softmax" else softmax
    if before.get_type_name() == "Transpose" and before is not softmax:
        ops = openvino.opset13
        logits, order = before.input_value(0), before.input_value(1)
        classes = logits.get_partial_shape()[1].get_length()
        powers = ops.exp(ops.clamp(logits, -LARGEST_LOGIT, LARGEST_LOGIT))
        ones = ops.constant(np.ones((1, classes, 1, 1), np.float32))
        total = ops.convolution(powers, ones, [1, 1], [0, 0], [0, 0], [1, 1])
        output = ops.transpose(ops.divide(powers, total), order).output(0)
        output.get_tensor().set_names({name})
    return openvino.Model([output], model.get_parameters(), "rtseg")


def with_normalised_rows(openvino: Any, model: Any) -> Any:
    """Return a model that normalises its crops row by row, with exactly the same results.

    Only a model from `rtseg.export` of fixed sizes is rewritten: one whose uint8 (n, h, w, 3)
    crops are converted to floats, from which each channel's mean is subtracted and which are then
    multiplied by a number for each channel, before anything else reads them.

    Args:
        openvino: the module.
        model: an `openvino.Model`, which is changed.
    """
    ops = openvino.opset13
    (crops,) = model.inputs
    values, constants = crops, []
    for kind in ("Convert", "Subtract", "Multiply"):
        readers = _readers(values)
        if len(readers) != 1 or readers[0].get_type_name() != kind:
            return model
        values = readers[0].output(0)
        if kind != "Convert":
            constant = readers[0].input_value(1).get_node()
            if constant.get_type_name() != "Constant" or constant.data.shape != (1, 1, 1, 3):
                return model
            constants.append(constant.data)
    shape = values.get_partial_shape()
    if shape.is_dynamic or values.get_element_type() != openvino.Type.f32:
        return model
    count, height, width, channels = shape.to_shape()
    mean, scale = (ops.constant(np.tile(data.reshape(3), width)) for data in constants)
    rows = ops.reshape(crops, [count, height, width * channels], special_zero=False)
    normalised = ops.multiply(ops.subtract(ops.convert(rows, "f32"), mean), scale)
    pixels = ops.reshape(normalised, [count, height, width, channels], special_zero=False)
    values.replace(pixels.output(0))
    return model


def with_whole_pixel_shuffles(openvino: Any, model: Any) -> Any:
    """Return a model whose pixel shuffles move whole pixels, with exactly the same results.

    Only shuffles of what a convolution computes, with or without a bias, are rewritten, and only if
    nothing else reads that.

    Args:
        openvino: the module.
        model: an `openvino.Model`, which is changed.
    """
    for shuffle in model.get_ordered_ops():
        if shuffle.get_type_name() != "DepthToSpace":
            continue
        attributes = shuffle.get_attributes()
        if attributes["mode"] != "depth_first":
            continue
        computed = shuffle.input_value(0)
        parts = _convolution_parts(computed)
        if not parts:
            continue
        size, channels = attributes["block_size"], computed.get_partial_shape()[1].get_length()
        order = np.arange(channels).reshape(-1, size * size).T.ravel()
        for part in parts:
            _reorder_channels(openvino, part, order)
        faster = openvino.opset13.depth_to_space(computed, "blocks_first", size)
        faster.set_friendly_name(shuffle.get_friendly_name())
        shuffle.output(0).replace(faster.output(0))
    return model


def _convolution_parts(computed: Any) -> list[Any]:
    """The inputs that hold the weights and the bias of the convolution that computes a value;
    none if something else computes it, or reads it too."""
    bias: list[Any] = []
    node = computed.get_node()
    values = [computed]
    if node.get_type_name() == "Add":
        bias = [node.input(1)]
        values.append(node.input_value(0))
        node = node.input_value(0).get_node()
    if node.get_type_name() != "Convolution" or any(len(_readers(value)) > 1 for value in values):
        return []
    return [node.input(1), *bias]


def _readers(value: Any) -> list[Any]:
    """The nodes that read a value, besides those that only ask for its shape."""
    readers = [target.get_node() for target in value.get_target_inputs()]
    return [node for node in readers if node.get_type_name() != "ShapeOf"]


def _reorder_channels(openvino: Any, target: Any, order: npt.NDArray[np.intp]) -> None:
    """Change the order of the output channels in all constants from which an input is computed.

    Weights and their scales have the channels on the first axis, biases have nothing else.
    """
    node = target.get_source_output().get_node()
    if node.get_type_name() != "Constant":
        shape_is_last = node.get_type_name() == "Reshape"
        for source in node.inputs()[: 1 if shape_is_last else None]:
            _reorder_channels(openvino, source, order)
        return
    values = node.data
    axis = next((axis for axis, count in enumerate(values.shape) if count == len(order)), None)
    if axis is not None:
        reordered = openvino.opset13.constant(np.ascontiguousarray(values.take(order, axis)))
        target.replace_source_output(reordered.output(0))
