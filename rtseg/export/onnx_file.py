"""Read exported models, single ONNX files with everything needed to run them, without ONNX's own
library or PyTorch.

A file's metadata has the checkpoint's header under the key `rtseg`, the digest of the weights it
was made from under `rtseg.weights`, and its arithmetic under `rtseg.precision`. An INT8 file has
under `rtseg.quantized` how it was calibrated and how well it agrees with FP32.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from rtseg.checkpoint import METADATA_KEY, ModelSpec, read_digest, spec_from_header
from rtseg.errors import ModelError

WEIGHTS_KEY = "rtseg.weights"
PRECISION_KEY = "rtseg.precision"
QUANTIZED_KEY = "rtseg.quantized"
INPUT = "crops"
"""uint8 (batch, input_height, input_width, 3), RGB."""
PROBABILITIES = "probabilities"
"""float32 (batch, input_height / stride, input_width / stride, classes)."""
LABELS = "labels"
"""uint8 (batch, input_height, input_width): labels upsampled from the probabilities."""
MAX_BATCH = 8

LEAST_AGREEMENT = 0.995
MOST_F1_LOST = 0.003
"""Limits within which an INT8 model counts as good as the model it was made from."""

OnnxPrecision = Literal["fp32", "fp16"]
"""The precisions of exported models."""
FilePrecision = Literal["fp32", "fp16", "int8"]
"""The precisions of files; INT8 is made from an exported file."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How an INT8 model was calibrated, and how much accuracy it lost.

    Attributes:
        pictures, seed: the number of calibration pictures and the seed that selected them.
        agreement: share of pixels with the same label as in FP32, 0..1; None if not measured.
        f1, f1_fp32: mean F1 over the classes for this model and for FP32 on the same labelled
            pictures; None if not measured.
        measured_on: a description of those pictures.
    """

    pictures: int
    seed: int
    agreement: float | None = None
    f1: float | None = None
    f1_fp32: float | None = None
    measured_on: str = ""

    @property
    def is_faithful(self) -> bool:
        """Whether agreement and F1 were measured and are good enough for `auto`."""
        if self.agreement is None or self.f1 is None or self.f1_fp32 is None:
            return False
        return self.agreement >= LEAST_AGREEMENT and self.f1_fp32 - self.f1 <= MOST_F1_LOST


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxModel:
    """An exported model and its description.

    Attributes:
        data: the whole file.
        model: the network's specification.
        weights_digest: SHA-256 of the weights file that it was made from.
        precision: the network's arithmetic between normalisation and softmax.
        digest: SHA-256 of `data`.
        quantization: how an INT8 model was made; None for others.
    """

    data: bytes = field(repr=False)
    model: ModelSpec
    weights_digest: str
    precision: FilePrecision
    digest: str
    quantization: Quantization | None = None


def read_onnx(path: Path | str) -> OnnxModel:
    """Read an exported model.

    Raises:
        ModelError: it is missing, damaged, not exported by rtseg, or refers to other files.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_onnx(data, name=str(path))


def parse_onnx(data: bytes, *, name: str) -> OnnxModel:
    """Parse an exported model; `name` is its name in messages.

    Raises:
        ModelError: as for `read_onnx`.
    """
    metadata: dict[str, str] = {}
    try:
        for kind, content in _messages(memoryview(data)):
            if kind == "tensor" and _is_external(content):
                raise ModelError(
                    f"{name}: keeps its weights in other files, but rtseg reads only models in one "
                    "file: `rtseg engine export` makes one"
                )
            if kind == "metadata":
                metadata.update([_key_and_value(content)])
        header = json.loads(metadata[METADATA_KEY])
        weights, precision = metadata[WEIGHTS_KEY], metadata[PRECISION_KEY]
        quantization = _quantization(metadata, precision)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(
            f"{name}: not an ONNX model exported by rtseg; `rtseg engine export` makes one"
        ) from None
    if not isinstance(header, dict) or precision not in get_args(FilePrecision):
        raise ModelError(
            f"{name}: its description is damaged; `rtseg engine export` makes a new one"
        )
    return OnnxModel(
        data=data,
        model=spec_from_header(header, path=name),
        weights_digest=weights,
        precision=cast("FilePrecision", precision),
        digest=hashlib.sha256(data).hexdigest(),
        quantization=quantization,
    )


def _quantization(metadata: Mapping[str, str], precision: str) -> Quantization | None:
    """Parse it. Raises KeyError, TypeError or ValueError if it is missing or malformed."""
    if precision != "int8":
        return None
    values = json.loads(metadata[QUANTIZED_KEY])
    quantization = Quantization(**values)
    shares = (quantization.agreement, quantization.f1, quantization.f1_fp32)
    if not all(share is None or 0 <= share <= 1 for share in shares):
        raise ValueError("a share is outside 0..1")
    return quantization


def exported_path(weights: Path, *, int8: bool = False) -> Path:
    """The path of the model exported from a weights file: NAME.onnx, or NAME.int8.onnx."""
    return weights.with_suffix(".int8.onnx" if int8 else ".onnx")


def find_onnx(weights_path: Path | str, *, int8: bool = False) -> OnnxModel:
    """Find the exported model beside a weights file, and check that it was made from it.

    Args:
        weights_path: the weights file.
        int8: whether to find the quantised model.

    Raises:
        ModelError: there is none, it is damaged, or it was made from other weights.
    """
    weights = Path(weights_path)
    path = exported_path(weights, int8=int8)
    kind, command = "exported", "rtseg engine export"
    if int8:
        kind, command = "quantised", "python -m training quantize"
    remedy = f"`{command} {weights}` makes it"
    if not path.is_file():
        raise ModelError(f"{path}: there is no {kind} model beside {weights.name}; {remedy}")
    exported = read_onnx(path)
    if exported.weights_digest != read_digest(weights):
        raise ModelError(
            f"{path}: was made from other weights than those in {weights.name}; {remedy} again"
        )
    return exported


# Field numbers of nested messages (onnx.proto of ONNX 1.16, IR version 10).
_CHILDREN: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 14: "metadata", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14


def _messages(model: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Yield the messages of interest in a serialised model, by kind."""
    waiting = [("model", model)]
    while waiting:
        kind, content = waiting.pop()
        yield kind, content
        children = _CHILDREN.get(kind)
        if children is None:
            continue
        for number, value in _fields(content):
            if number in children and isinstance(value, memoryview):
                waiting.append((children[number], value))


def _is_external(tensor: memoryview) -> bool:
    return any(
        number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
        for number, value in _fields(tensor)
    )


def _key_and_value(entry: memoryview) -> tuple[str, str]:
    values = {number: value for number, value in _fields(entry) if isinstance(value, memoryview)}
    return str(values[1], "utf-8"), str(values[2], "utf-8")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a protobuf message: number, and an integer or bytes."""
    for number, value, _ in raw_fields(message):
        yield number, value


def raw_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """Yield the fields of a protobuf message: number, an integer or bytes, and the encoded field.

    Raises:
        ValueError: the message is truncated or malformed.
    """
    position = 0
    while position < len(message):
        start = position
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == 0:
            number, position = _varint(message, position)
            yield tag >> 3, number, message[start:position]
            continue
        if kind == 2:
            length, position = _varint(message, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if position + length > len(message):
            raise ValueError("cut off")
        value = message[position : position + length]
        position += length
        yield tag >> 3, value, message[start:position]


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            break
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number is truncated")
