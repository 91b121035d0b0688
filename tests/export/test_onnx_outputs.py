"""Removing an output from an exported model's bytes, with everything needed only for it."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from rtseg.errors import ModelError
from rtseg.export.onnx_file import INPUT, LABELS, PROBABILITIES, parse_onnx
from rtseg.export.onnx_outputs import without_output
from tests.support.exported import tiny_crops, tiny_onnx


def test_removing_the_labels_keeps_the_probabilities():
    exported = tiny_onnx("fp32")
    cut = without_output(exported.data, LABELS)
    model = onnx.load_model_from_string(cut)
    onnx.checker.check_model(model, full_check=True)
    assert [output.name for output in model.graph.output] == [PROBABILITIES]
    assert "ArgMax" not in {node.op_type for node in model.graph.node}
    assert parse_onnx(cut, name="cut").precision == "fp32"
    crops = {INPUT: tiny_crops(3)}
    before, after = (
        onnxruntime.InferenceSession(data).run([PROBABILITIES], crops)[0]
        for data in (exported.data, cut)
    )
    np.testing.assert_array_equal(before, after)
    assert without_output(cut, LABELS) == cut


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])


def test_values_read_inside_a_branch_are_kept():
    """A graph inside a node reads values of the graph around it without naming them as inputs."""
    branches = {
        name: helper.make_graph(
            [helper.make_node(kind, ["x", "weight"], [name])], name, [], [value(name)]
        )
        for name, kind in (("then", "Add"), ("else", "Mul"))
    }
    choice = helper.make_node(
        "If", ["flag"], ["kept"], then_branch=branches["then"], else_branch=branches["else"]
    )
    graph = helper.make_graph(
        [
            helper.make_node(
                "Constant",
                [],
                ["flag"],
                value=helper.make_tensor("flag", TensorProto.BOOL, [], [True]),
            ),
            helper.make_node("Relu", ["crops"], ["x"]),
            choice,
            helper.make_node("Add", ["x", "other"], ["extra"]),
        ],
        "branches",
        [value("crops")],
        [value("kept"), value("extra")],
        [
            helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0])
            for name in ("weight", "other")
        ],
    )
    data = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10
    ).SerializeToString()
    cut = without_output(data, "extra")
    model = onnx.load_model_from_string(cut)
    assert [node.op_type for node in model.graph.node] == ["Constant", "Relu", "If"]
    assert [tensor.name for tensor in model.graph.initializer] == ["weight"]
    session = onnxruntime.InferenceSession(cut)
    (output,) = session.run(None, {"crops": np.array([1, -1], np.float32)})
    np.testing.assert_array_equal(output, [2, 2])


@pytest.mark.parametrize("end", [1, 100, -1, -1000])
def test_a_truncated_file_is_a_model_error(end):
    with pytest.raises(ModelError, match="damaged"):
        without_output(tiny_onnx().data[:end], LABELS)
