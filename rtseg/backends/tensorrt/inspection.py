"""Inspect an engine: its layers and the precision each one computes in.

Builders report it while they build, and the report is kept beside the engine; so it can be read
without a GPU, which loading an engine needs.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from rtseg.backends.tensorrt.manifest import Engine, StaleEngineError

_FIELD = re.compile(r"(?:^|, )(Name|LayerType|Inputs|Constants|Outputs|TacticName|StreamId): ")
_DATATYPE = re.compile(r"Datatype: (\w+)|Format/Datatype: (\w+)")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One step of an engine.

    Attributes:
        name: as the builder gives it, made of the names of the model's nodes.
        kind: what the builder calls it: `correlation` and `kgen` (TensorRT-RTX's convolutions and
            generated kernels), `CaskConvolution`, `Reformat`, …
        inputs, constants, outputs: the types of its tensors: `Half`, `Float`, `Int8`, `UInt8`, …
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    constants: tuple[str, ...]
    outputs: tuple[str, ...]

    @property
    def reads(self) -> str:
        """The type of its first input, which is what a convolution computes in; "" without one."""
        return next(iter((*self.inputs, *self.constants)), "")

    def to_json(self) -> dict[str, object]:
        """Plain JSON values."""
        return asdict(self)


def parse_layers(report: str) -> tuple[Layer, ...]:
    """The layers in a builder's report, or in an inspector's in one line a layer.

    Of the report's own words only the fields' names and the types are relied on; a line without
    them is left out.
    """
    layers = []
    for line in report.splitlines():
        marks = list(_FIELD.finditer(line))
        ends = [mark.start() for mark in marks[1:]] + [len(line)] * bool(marks)
        fields = {
            mark.group(1): line[mark.end() : end] for mark, end in zip(marks, ends, strict=True)
        }
        if "Name" in fields and "LayerType" in fields:
            layers.append(
                Layer(
                    name=fields["Name"].strip(),
                    kind=fields["LayerType"].strip(),
                    inputs=_types(fields.get("Inputs", "")),
                    constants=_types(fields.get("Constants", "")),
                    outputs=_types(fields.get("Outputs", "")),
                )
            )
    return tuple(layers)


def _types(tensors: str) -> tuple[str, ...]:
    return tuple(first or second for first, second in _DATATYPE.findall(tensors))


def read_layers(engine: Engine) -> tuple[Layer, ...]:
    """The layers of an engine that is kept; none where its builder reported none.

    Raises:
        StaleEngineError: the report is missing or damaged.
    """
    try:
        report = engine.layers_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StaleEngineError(f"{engine.layers_path}: cannot be read: {error}") from None
    return parse_layers(report)
