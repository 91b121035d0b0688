"""Exported ONNX models, which every backend except PyTorch runs.

onnx_file.py  reads an exported file, without ONNX's own library or PyTorch
precision.py  converts a file between FP32 and FP16
quantize.py   converts a file to INT8, using calibration pictures
onnx.py       exports a checkpoint; imports PyTorch, so it is not imported here
"""

from rtseg.export.onnx_file import (
    OnnxModel,
    OnnxPrecision,
    Quantization,
    exported_path,
    find_onnx,
    parse_onnx,
    read_onnx,
)

__all__ = [
    "OnnxModel",
    "OnnxPrecision",
    "Quantization",
    "exported_path",
    "find_onnx",
    "parse_onnx",
    "read_onnx",
]
