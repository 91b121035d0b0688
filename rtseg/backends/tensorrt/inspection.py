"""Inspect an engine: its layers and the precision each one computes in.

Builders report layers while they build, and the report is stored beside the engine, so that it can
be read without a GPU, which loading an engine would need.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from rtseg.backends.tensorrt.manifest import Engine, StaleEngineError

_FIELD = re.compile(r"(?:^|, )(Name|LayerType|Inputs|Constants|Outputs|TacticName|StreamId): ")
_DATATYPE = re.compile(r"Datatype: (\w+)|Format/Datatype: (\w+)")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer of an engine.

    Attributes:
        name: as the builder reports it, composed of the names of the model's nodes.
        kind: as the builder reports it: `correlation` and `kgen` (TensorRT-RTX's convolutions and
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
        """The type of its first input, in which a convolution computes; "" if it has none."""
        return next(iter((*self.inputs, *self.constants)), "")

    def to_json(self) -> dict[str, object]:
        """Convert to JSON values."""
        return asdict(self)


def parse_layers(report: str) -> tuple[Layer, ...]:
    """Parse the layers in a builder's report, or in an inspector's, one line per layer.

    Only field names and types of the report are relied on; lines without them are skipped.
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
    """The layers of a stored engine; none if its builder did not report any.

    Raises:
        StaleEngineError: the report is missing or damaged.
    """
    try:
        report = engine.layers_path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StaleEngineError(f"{engine.layers_path}: cannot be read: {error}") from None
    return parse_layers(report)
