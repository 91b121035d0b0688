"""An exported model: one ONNX file that says everything needed to run it, read without ONNX's
own library or PyTorch.

The file carries its checkpoint's header under the metadata key `rtseg`, the digest of the weights
it was made from under `rtseg.weights`, and the type of its arithmetic under `rtseg.precision`; an
INT8 one says under `rtseg.quantized` how it was calibrated and how far it agrees with FP32.
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
"""uint8 (batch, input_height, input_width): what `finish` makes of the probabilities."""
MAX_BATCH = 8

LEAST_AGREEMENT = 0.995
MOST_F1_LOST = 0.003
"""Up to here an INT8 model is as good as the model that it was made from."""

OnnxPrecision = Literal["fp32", "fp16"]
"""What a model is exported in."""
FilePrecision = Literal["fp32", "fp16", "int8"]
"""What a file may be in: INT8 is made from an exported one."""


@dataclass(frozen=True, kw_only=True)
class Quantization:
    """How an INT8 model was calibrated, and what that cost.

    Attributes:
        pictures, seed: the calibration pictures: how many, and what chose them.
        agreement: share of pixels whose label is FP32's, 0..1; None where it was not measured.
        f1, f1_fp32: mean F1 over the classes, of this model and of FP32, on the same labelled
            pictures; None where it was not measured.
        measured_on: those pictures, in words.
    """

    pictures: int
    seed: int
    agreement: float | None = None
    f1: float | None = None
    f1_fp32: float | None = None
    measured_on: str = ""

    @property
    def is_faithful(self) -> bool:
        """Whether both were measured, and neither is worse than `auto` allows."""
        if self.agreement is None or self.f1 is None or self.f1_fp32 is None:
            return False
        return self.agreement >= LEAST_AGREEMENT and self.f1_fp32 - self.f1 <= MOST_F1_LOST


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxModel:
    """An exported model and what it says of itself.

    Attributes:
        data: the whole file.
        model: what the network sees and means.
        weights_digest: SHA-256 of the weights file that it was made from.
        precision: what the network between normalisation and softmax computes in.
        digest: SHA-256 of `data`.
        quantization: of an INT8 model; None for the others.
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
    """An exported model from its bytes; `name` is what errors call it.

    Raises:
        ModelError: as `read_onnx`.
    """
    metadata: dict[str, str] = {}
    try:
        for kind, content in _messages(memoryview(data)):
            if kind == "tensor" and _is_external(content):
                raise ModelError(
                    f"{name}: keeps its weights in other files; rtseg reads only models that are "
                    "whole: `rtseg engine export` makes one"
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
        raise ModelError(f"{name}: its description is damaged; `rtseg engine export` makes it anew")
    return OnnxModel(
        data=data,
        model=spec_from_header(header, path=name),
        weights_digest=weights,
        precision=cast("FilePrecision", precision),
        digest=hashlib.sha256(data).hexdigest(),
        quantization=quantization,
    )


def _quantization(metadata: Mapping[str, str], precision: str) -> Quantization | None:
    """Raises KeyError, TypeError or ValueError where it is missing or malformed."""
    if precision != "int8":
        return None
    values = json.loads(metadata[QUANTIZED_KEY])
    found = Quantization(**values)
    shares = (found.agreement, found.f1, found.f1_fp32)
    if not all(share is None or 0 <= share <= 1 for share in shares):
        raise ValueError("a share is outside 0..1")
    return found


def exported_path(weights: Path, *, int8: bool = False) -> Path:
    """Where the model exported from a weights file lies: NAME.onnx, or NAME.int8.onnx."""
    return weights.with_suffix(".int8.onnx" if int8 else ".onnx")


def find_onnx(weights_path: Path | str, *, int8: bool = False) -> OnnxModel:
    """The exported model that lies beside a weights file and was made from it.

    Args:
        weights_path: the weights file.
        int8: the quantised one.

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
            f"{path}: was made from other weights than those in {weights.name}; {remedy} anew"
        )
    return exported


# Where in ONNX's messages others lie, by field number (onnx.proto of ONNX 1.16, IR version 10).
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
    """Every message of interest in a serialized model, by kind."""
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
    """The fields of one protobuf message: number, and an integer or the bytes."""
    for number, value, _ in raw_fields(message):
        yield number, value


def raw_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview, memoryview]]:
    """The fields of one protobuf message: number, an integer or the bytes, and the whole field as
    it stands in the message.

    Raises:
        ValueError: the message is cut off or malformed.
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
    raise ValueError("a number is cut off")
