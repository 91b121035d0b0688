"""Exported models: the one form of a model that every backend but PyTorch's runs.

file.py       what an exported file holds, read without ONNX's own library or PyTorch
precision.py  between FP32 and FP16 arithmetic in it
export.py     checkpoint to ONNX; imports PyTorch, so it is not imported here
"""

from rtseg.export.onnx_file import OnnxModel, OnnxPrecision, find_onnx, parse_onnx, read_onnx

__all__ = ["OnnxModel", "OnnxPrecision", "find_onnx", "parse_onnx", "read_onnx"]
