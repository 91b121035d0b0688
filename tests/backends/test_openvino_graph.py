"""Steps that OpenVINO computes faster have the same results."""

import numpy as np
import pytest

from rtseg.backends.openvino_graph import (
    with_faster_softmax,
    with_normalised_rows,
    with_whole_pixel_shuffles,
)
from rtseg.export.onnx_file import INPUT, PROBABILITIES
from tests.support.exported import tiny_crops, tiny_int8, tiny_onnx

pytest.importorskip("openvino")


@pytest.mark.parametrize("fine", [0, 8])
def test_the_sum_of_exponentials_is_openvinos_softmax(fine):
    import openvino

    core, exported = openvino.Core(), tiny_onnx("fp32", fine)
    results, kinds = [], []
    for faster in (False, True):
        read = core.read_model(exported.data)
        if faster:
            model = with_faster_softmax(openvino, read, PROBABILITIES)
        else:
            model = openvino.Model([read.output(PROBABILITIES)], read.get_parameters(), "plain")
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        assert compiled.output(0).get_any_name() == PROBABILITIES
        results.append(compiled(tiny_crops(2))[0])
        kinds.append({operation.get_type_name() for operation in model.get_ops()})
    assert ["Softmax" in names for names in kinds] == [True, False]
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)
    np.testing.assert_allclose(results[1].sum(-1), 1, atol=1e-6)


def small_ending(openvino, *, transposed=True):
    """A model of one pixel and three classes that ends in a softmax."""
    ops = openvino.opset13
    logits = ops.parameter([1, 3, 1, 1], np.float32)
    last = ops.transpose(logits, [0, 2, 3, 1]) if transposed else logits
    softmax = ops.softmax(last, 3 if transposed else 1)
    softmax.output(0).get_tensor().set_names({PROBABILITIES})
    return openvino.Model([softmax], [logits], "small")


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ((0, 0, 0), (1 / 3, 1 / 3, 1 / 3)),
        ((500, 0, -500), (1, 0, 0)),
        ((-500, -400, 60), (0, 0, 1)),
        ((-90, -90, -90), (1 / 3, 1 / 3, 1 / 3)),
        ((90, 90, 0), (0.5, 0.5, 0)),
    ],
)
def test_extreme_logits_are_neither_infinite_nor_undefined(logits, expected):
    import openvino

    model = with_faster_softmax(openvino, small_ending(openvino), PROBABILITIES)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (result,) = compiled(np.float32(logits).reshape(1, 3, 1, 1)).values()
    np.testing.assert_allclose(result.ravel(), expected, atol=1e-6)


def test_a_model_that_ends_otherwise_keeps_its_own_softmax():
    import openvino

    plain = small_ending(openvino, transposed=False)
    model = with_faster_softmax(openvino, plain, PROBABILITIES)
    assert "Softmax" in {operation.get_type_name() for operation in model.get_ops()}


@pytest.mark.parametrize("quantised", [False, True])
def test_pixel_shuffles_are_the_same_when_they_move_whole_pixels(quantised):
    import openvino

    core = openvino.Core()
    exported = tiny_int8(8) if quantised else tiny_onnx("fp32", 8)
    results, modes = [], []
    for faster in (False, True):
        read = core.read_model(exported.data)
        model = openvino.Model([read.output(PROBABILITIES)], read.get_parameters(), "plain")
        if faster:
            model = with_whole_pixel_shuffles(openvino, model)
        modes.append(shuffle_modes(model))
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        results.append(compiled(tiny_crops(2))[0])
    assert modes == [["depth_first"] * 2, ["blocks_first"] * 2]
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)


def shuffle_modes(model):
    return [
        operation.get_attributes()["mode"]
        for operation in model.get_ordered_ops()
        if operation.get_type_name() == "DepthToSpace"
    ]


def small_shuffle(openvino, *, second_reader=False, convolution=True):
    """A convolution of 8 channels to as many, and a pixel shuffle, without a bias."""
    ops, weights = openvino.opset13, np.random.default_rng(0).normal(size=(8, 8, 1, 1))
    picture = ops.parameter([1, 8, 2, 3], np.float32)
    computed = picture
    if convolution:
        kernel = ops.constant(weights.astype(np.float32))
        computed = ops.convolution(picture, kernel, [1, 1], [0, 0], [0, 0], [1, 1])
    outputs = [ops.depth_to_space(computed, "depth_first", 2)]
    if second_reader:
        outputs.append(ops.exp(computed))
    return openvino.Model(outputs, [picture], "small")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ({}, "blocks_first"),
        ({"second_reader": True}, "depth_first"),
        ({"convolution": False}, "depth_first"),
    ],
)
def test_channels_are_reordered_only_where_nothing_else_reads_them(kind, mode):
    import openvino

    picture = np.random.default_rng(1).normal(size=(1, 8, 2, 3)).astype(np.float32)
    expected = openvino.Core().compile_model(small_shuffle(openvino, **kind), "CPU")(picture)
    model = with_whole_pixel_shuffles(openvino, small_shuffle(openvino, **kind))
    assert shuffle_modes(model) == [mode]
    results = openvino.Core().compile_model(model, "CPU")(picture)
    for index in range(len(expected)):
        np.testing.assert_allclose(results[index], expected[index], rtol=0.02, atol=0.02)


def whole_rows(model):
    """The shapes of the numbers by which a model's values are multiplied first."""
    first = next(node for node in model.get_ordered_ops() if node.get_type_name() == "Multiply")
    return tuple(first.input(1).get_shape())


@pytest.mark.parametrize("kind", ["fp32", "fp16", "int8"])
def test_crops_normalised_row_by_row_are_the_same_bit_for_bit(kind):
    import openvino

    core = openvino.Core()
    exported = tiny_int8(8) if kind == "int8" else tiny_onnx(kind, 8)
    crops = tiny_crops(1)
    results, shapes = [], []
    for faster in (False, True):
        model = core.read_model(exported.data)
        model.reshape({INPUT: list(crops.shape)})
        if faster:
            model = with_normalised_rows(openvino, model)
        shapes.append(whole_rows(model))
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        results.append(compiled(crops)[compiled.output(PROBABILITIES)])
    assert shapes == [(1, 1, 1, 3), (3 * crops.shape[2],)]
    assert (results[0] == results[1]).all()


def small_beginning(openvino, *, size=3, mean=(1, 1, 1, 3), second_reader=False, order="-*"):
    """A model that normalises one crop of 2 x `size` pixels."""
    ops, numbers = openvino.opset13, np.random.default_rng(0)
    crops = ops.parameter([1, 2, size, 3], np.uint8)
    values = pixels = ops.convert(crops, "f32")
    for sign in order:
        other = ops.constant(numbers.uniform(1, 2, mean).astype(np.float32))
        values = ops.subtract(values, other) if sign == "-" else ops.multiply(values, other)
    outputs = [values, ops.exp(pixels)] if second_reader else [values]
    return openvino.Model(outputs, [crops], "small")


@pytest.mark.parametrize(
    ("kind", "is_rewritten"),
    [
        ({}, True),
        ({"second_reader": True}, False),
        ({"mean": (1, 1, 1, 1)}, False),
        ({"mean": (1, 1, 3, 3)}, False),
        ({"size": -1}, False),
        ({"order": "*-"}, False),
        ({"order": "**"}, False),
    ],
)
def test_only_what_normalises_channels_is_done_row_by_row(kind, is_rewritten):
    import openvino

    crops = np.random.default_rng(1).integers(0, 256, (1, 2, 3, 3), np.uint8)
    plain = small_beginning(openvino, **kind)
    shape = whole_rows(plain)
    model = with_normalised_rows(openvino, small_beginning(openvino, **kind))
    assert (whole_rows(model) == (9,)) is is_rewritten
    assert is_rewritten or whole_rows(model) == shape
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    expected = openvino.Core().compile_model(plain, "CPU", options)(crops)
    results = openvino.Core().compile_model(model, "CPU", options)(crops)
    for index in range(len(expected)):
        np.testing.assert_allclose(results[index], expected[index], rtol=1e-5)
