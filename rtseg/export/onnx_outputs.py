"""Remove an unused output, and everything needed only for it, from an exported model.

Run-times compute every output of a file. rtseg makes labels from smoothed probabilities itself, so
the file's label output would waste a seventh of the memory traffic. This works on the file's bytes,
since machines that only run models do not have the package onnx.
"""

from __future__ import annotations

from collections.abc import Iterable

from rtseg.errors import ModelError
from rtseg.export.onnx_file import raw_fields

# Numbers of the relevant fields (onnx.proto of ONNX 1.16, IR version 10).
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT, _GRAPH_VALUE = 1, 5, 12, 13
_NODE_INPUT, _NODE_OUTPUT, _NODE_ATTRIBUTE = 1, 2, 5
_ATTRIBUTE_GRAPHS = (6, 11)
_INITIALIZER_NAME, _VALUE_NAME = 8, 1


def without_output(data: bytes, name: str) -> bytes:
    """Remove one output from an ONNX model; unchanged if it has no such output.

    Raises:
        ModelError: the file is truncated or malformed.
    """
    rewritten = bytearray()
    try:
        for number, value, raw in raw_fields(memoryview(data)):
            if number == _MODEL_GRAPH and isinstance(value, memoryview):
                rewritten += _length_delimited(_MODEL_GRAPH, _cut(value, name))
            else:
                rewritten += raw
    except ValueError as error:
        raise ModelError(f"the exported model is damaged: {error}") from None
    return bytes(rewritten)


def _cut(graph: memoryview, name: str) -> bytes:
    fields = list(raw_fields(graph))
    outputs = {_name(value, _VALUE_NAME) for number, value, _ in fields if number == _GRAPH_OUTPUT}
    if name not in outputs:
        return bytes(graph)
    nodes = [value for number, value, _ in fields if number == _GRAPH_NODE]
    needed = _needed(nodes, outputs - {name})
    rewritten = bytearray()
    for number, value, raw in fields:
        if number == _GRAPH_NODE:
            keep = not needed.isdisjoint(_strings(value, _NODE_OUTPUT))
        elif number == _GRAPH_OUTPUT:
            keep = _name(value, _VALUE_NAME) != name
        elif number == _GRAPH_INITIALIZER:
            keep = _name(value, _INITIALIZER_NAME) in needed
        elif number == _GRAPH_VALUE:
            keep = _name(value, _VALUE_NAME) in needed
        else:
            keep = True
        if keep:
            rewritten += raw
    return bytes(rewritten)


def _needed(nodes: Iterable[int | memoryview], outputs: set[str]) -> set[str]:
    """The names of the given outputs and of all values that they depend on."""
    makers = {output: node for node in nodes for output in _strings(node, _NODE_OUTPUT)}
    needed: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            if name in makers:
                waiting.extend(_inputs(makers[name]))
    return needed


def _inputs(node: int | memoryview) -> list[str]:
    """The names that a node reads, including those in its subgraphs (If, Loop)."""
    names = _strings(node, _NODE_INPUT)
    for attribute in _messages(node, (_NODE_ATTRIBUTE,)):
        for graph in _messages(attribute, _ATTRIBUTE_GRAPHS):
            for inner in _messages(graph, (_GRAPH_NODE,)):
                names += _inputs(inner)
            names += [_name(value, _VALUE_NAME) for value in _messages(graph, (_GRAPH_OUTPUT,))]
    return names


def _messages(message: int | memoryview, numbers: tuple[int, ...]) -> list[memoryview]:
    if not isinstance(message, memoryview):
        raise ValueError("not a message")
    return [
        value
        for number, value, _ in raw_fields(message)
        if number in numbers and isinstance(value, memoryview)
    ]


def _strings(message: int | memoryview, number: int) -> list[str]:
    return [str(value, "utf-8") for value in _messages(message, (number,))]


def _name(message: int | memoryview, number: int) -> str:
    return next(iter(_strings(message, number)), "")


def _length_delimited(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
