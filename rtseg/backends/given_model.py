"""Load a model in the form that a backend needs: weights or an exported file."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from rtseg.checkpoint import Checkpoint, ModelSpec, read_checkpoint, read_spec
from rtseg.errors import ModelError
from rtseg.export import OnnxModel, exported_path, find_onnx, read_onnx
from rtseg.weights import model_path

Model = Checkpoint | Path | str


class GivenModel:
    """A model given by the user, available as weights or as ONNX.

    Args:
        model: a checkpoint, its path, or the path of an ONNX file; None for the built-in
            face-parts model.
    """

    def __init__(self, model: Model | None) -> None:
        if model is None:
            from rtseg.weights import default_checkpoint_path

            model = default_checkpoint_path()
        self._given = model if isinstance(model, Checkpoint) else model_path(model)

    @property
    def name(self) -> str:
        """Its name in recipes and messages."""
        model = self._given
        return model.spec.architecture if isinstance(model, Checkpoint) else model.stem

    @property
    def weights_path(self) -> Path | None:
        """The weights file, if there is one."""
        model = self._given
        return None if isinstance(model, Checkpoint) or model.suffix == ".onnx" else model

    @cached_property
    def spec(self) -> ModelSpec:
        """What the network sees and means; of a file, only its header is read.

        Raises:
            ModelError: the model is missing or damaged.
        """
        if isinstance(self._given, Checkpoint):
            return self._given.spec
        return self.exported.model if self._given.suffix == ".onnx" else read_spec(self._given)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The weights.

        Raises:
            ModelError: they are missing or damaged, or an ONNX file was given.
        """
        if isinstance(self._given, Checkpoint):
            return self._given
        if self._given.suffix == ".onnx":
            raise ModelError(
                f"{self._given}: torch runs .safetensors models; an exported one runs with "
                "openvino, onnxruntime or tensorrt"
            )
        return read_checkpoint(self._given)

    @cached_property
    def exported(self) -> OnnxModel:
        """The exported model: the given file, or the one beside the weights.

        Raises:
            ModelError: it is missing, damaged, or made from other weights.
        """
        if isinstance(self._given, Checkpoint):
            raise ModelError(
                "a model in memory has no ONNX file; write it to a file and export that"
            )
        if self._given.suffix == ".onnx":
            return read_onnx(self._given)
        return find_onnx(self._given)

    @cached_property
    def quantized(self) -> OnnxModel:
        """The model in INT8: the given file, or the one beside the weights.

        Raises:
            ModelError: it is missing, damaged, or made from other weights.
        """
        weights = self.weights_path
        if weights is not None:
            return find_onnx(weights, int8=True)
        if self.exported.precision != "int8":
            raise ModelError(
                f"{self.name}: is in {self.exported.precision}; `precision` int8 needs a quantised "
                "model: `python -m training quantize` makes one"
            )
        return self.exported

    @property
    def faithful_quantized(self) -> OnnxModel | None:
        """The INT8 model, if there is one that was measured to be as good as FP32."""
        weights = self.weights_path
        if weights is None or not exported_path(weights, int8=True).is_file():
            return None
        measured = self.quantized.quantization
        return self.quantized if measured is not None and measured.is_faithful else None
