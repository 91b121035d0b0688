"""Export a checkpoint to ONNX, which every backend except PyTorch runs.

The file takes uint8 crops and contains normalisation, the network and softmax; it returns
probabilities at the network's stride. A second output has label ids at the crop's size, with the
same bilinear interpolation as `rtseg.postprocess`, for use in other programs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from rtseg.checkpoint import METADATA_KEY, Checkpoint
from rtseg.errors import ModelError, OutputExistsError, SettingError
from rtseg.export.onnx_file import (
    INPUT,
    LABELS,
    MAX_BATCH,
    PRECISION_KEY,
    PROBABILITIES,
    WEIGHTS_KEY,
    OnnxPrecision,
    parse_onnx,
)
from rtseg.export.precision import narrow
from rtseg.models import create_model
from rtseg.models.normalisation import input_scaling
from rtseg.system.files import write_whole

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""The opset: old enough for TensorRT 10 and OpenVINO 2024, new enough for PyTorch's exporter."""


class ExportedNetwork(nn.Module):
    """A network with the steps before and after it that belong in the file."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = create_model(checkpoint)
        self.stride = checkpoint.spec.stride
        shift, scale = input_scaling(checkpoint.spec.mean, checkpoint.spec.std)
        self.register_buffer("mean", shift.view(1, 1, 1, 3))
        self.register_buffer("scale", scale.view(1, 1, 1, 3))

    def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """uint8 (n, h, w, 3) -> float32 (n, h / stride, w / stride, classes), uint8 (n, h, w)."""
        # TensorRT supports uint8 only as input or output, converted directly from or to float.
        normalised = (crops.float() - self.mean) * self.scale
        # Transposed last, next to the first convolution: processors compute it with channels last,
        # and OpenVINO leaves out a transposition that a reordering would undo.
        logits: torch.Tensor = self.network(normalised.permute(0, 3, 1, 2))
        # Classes last before the softmax, not after it: processors compute convolutions with
        # channels last, and OpenVINO would otherwise reorder the whole map twice.
        probabilities = functional.softmax(logits.permute(0, 2, 3, 1), dim=3)
        fine = probabilities.permute(0, 3, 1, 2)
        if self.stride > 1:
            # a scale factor rather than a size, which would be computed at run time from the batch
            fine = functional.interpolate(
                fine, scale_factor=float(self.stride), mode="bilinear", align_corners=False
            )
        labels = fine.argmax(1).float().to(torch.uint8)
        return probabilities, labels


def export_onnx(checkpoint: Checkpoint, *, precision: OnnxPrecision = "fp16") -> bytes:
    """Export a model to a single ONNX file for batches of 1 to 8.

    Args:
        checkpoint: the model with its weights.
        precision: the network's arithmetic; `fp16` also halves the file.

    Raises:
        SettingError: the precision is not supported.
        ModelError: required packages are missing, or the architecture cannot be exported.
    """
    if precision not in ("fp32", "fp16"):
        raise SettingError(f"`precision`: {precision!r} is unknown; allowed: fp32, fp16")
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise ModelError(
            f"exporting a model needs {' and '.join(missing)}; pip install 'rtseg[export]'"
        )
    model = _trace(checkpoint)
    _take_shapes_of_floats(model.graph)
    _describe(model, checkpoint)
    if precision == "fp16":
        narrow(model)
    import onnx

    onnx.checker.check_model(model, full_check=True)
    data = bytes(model.SerializeToString(deterministic=True))
    parse_onnx(data, name="the exported model")
    return data


def write_onnx(
    checkpoint: Checkpoint,
    path: Path | str,
    *,
    precision: OnnxPrecision = "fp16",
    overwrite: bool = True,
) -> None:
    """Export to a file, completely or not at all.

    Args:
        checkpoint: the model.
        path: the file.
        precision: of the network's weights and arithmetic.
        overwrite: whether an existing file may be replaced.

    Raises:
        OutputExistsError: the file exists and may not be replaced.
        ModelError: as for `export_onnx`, or the file cannot be written.
    """
    data = export_onnx(checkpoint, precision=precision)
    target = Path(path)
    try:
        write_whole(target, data, overwrite=overwrite)
    except FileExistsError:
        raise OutputExistsError(f"{target} exists; `overwrite` replaces it") from None
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror}") from None


def _trace(checkpoint: Checkpoint) -> onnx.ModelProto:
    example = torch.zeros(
        2, checkpoint.spec.input_height, checkpoint.spec.input_width, 3, dtype=torch.uint8
    )
    batch = torch.export.Dim("batch", min=1, max=MAX_BATCH)
    try:
        with _quiet():
            program = torch.onnx.export(
                ExportedNetwork(checkpoint).eval(),
                (example,),
                dynamo=True,
                dynamic_shapes={"crops": {0: batch}},
                input_names=[INPUT],
                output_names=[PROBABILITIES, LABELS],
                opset_version=OPSET,
                external_data=False,
                optimize=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"architecture {checkpoint.spec.architecture!r} cannot be exported: {reason}"
        ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's log."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _take_shapes_of_floats(graph: onnx.GraphProto) -> None:
    """Let only the cast read the uint8 input, as TensorRT requires."""
    index, cast = next((i, n) for i, n in enumerate(graph.node) if _reads(n, INPUT, "Cast"))
    for node in graph.node:
        if _reads(node, INPUT, "Shape"):
            node.input[0] = cast.output[0]
    first = type(cast)()
    first.CopyFrom(cast)
    del graph.node[index]
    graph.node.insert(0, first)


def _reads(node: onnx.NodeProto, name: str, kind: str) -> bool:
    return bool(node.op_type == kind and node.input[0] == name)


def _describe(model: onnx.ModelProto, checkpoint: Checkpoint) -> None:
    """Describe the model in the file, without anything about the exporting machine."""
    from onnx import helper

    graph = model.graph
    graph.name = checkpoint.spec.architecture
    model.ClearField("doc_string")
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del graph.value_info[:]
    model.producer_name = "rtseg"
    model.ClearField("producer_version")
    metadata = {
        METADATA_KEY: json.dumps(checkpoint.spec.header(), sort_keys=True),
        WEIGHTS_KEY: checkpoint.digest,
        PRECISION_KEY: "fp32",
    }
    helper.set_model_props(model, metadata)
