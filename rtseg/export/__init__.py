"""Exported models: the one form of a model that every backend but PyTorch's runs.

onnx_file.py  what an exported file holds, read without ONNX's own library or PyTorch
precision.py  between FP32 and FP16 arithmetic in it
quantize.py   to INT8, by calibration pictures
onnx.py       checkpoint to ONNX; imports PyTorch, so it is not imported here
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
