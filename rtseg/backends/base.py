"""The interface of every backend, which runs a network on a device."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from rtseg.checkpoint import ModelSpec
from rtseg.errors import BackendError, SettingError
from rtseg.export.onnx_file import OnnxModel
from rtseg.settings import Precision

_log = logging.getLogger("rtseg")

Crops = npt.NDArray[np.uint8]
"""RGB, uint8, (batch, input_height, input_width, 3)."""

ProbabilityBatch = npt.NDArray[np.float32]
"""float32, (batch, input_height / stride, input_width / stride, classes); sums to one."""


class CompilerError(BackendError):
    """A network cannot be compiled on this machine; it can still run uncompiled."""


class Backend(ABC):
    """Runs one model on one device, synchronously.

    Safe to share between streams, because the backend serialises calls. A crop's result does not
    depend on the rest of its batch.

    Attributes:
        name: as in `rtseg.backends.registry`: `torch`, `openvino`, `onnxruntime`, `tensorrt`.
        device: the device, for people: `cpu`, `cuda:0 (NVIDIA …)`.
        precision: the arithmetic: `fp32`, `bf16`, `fp16`, `int8`.
        model: the model's specification (its weights may have been released).
        max_batch: the largest batch run at once; larger ones are split.
        reason: one line for people: what runs where, and why it was chosen.
        device_seconds: duration of the last batch by the device's clock, including copies; None
            if the device has no clock.
    """

    name: str = "custom"
    device: str = "cpu"
    precision: str = "fp32"
    model: ModelSpec
    max_batch: int = 8
    reason: str = ""
    device_seconds: float | None = None

    @abstractmethod
    def infer(self, crops: Crops) -> ProbabilityBatch:
        """Compute the class probabilities of each crop, at the network's stride.

        Args:
            crops: uint8 (batch, input_height, input_width, 3), RGB; the batch may be empty.

        Raises:
            SettingError: the array has the wrong shape or dtype.
            DeviceMemoryError: the device's memory is full.
            BackendError: the device failed, or the backend is closed.
        """

    def check_crops(self, crops: Crops) -> None:
        """Raise SettingError if the array is not valid input for `infer`."""
        size = (self.model.input_height, self.model.input_width, 3)
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != size:
            raise SettingError(
                f"crops must be uint8 (batch, {size[0]}, {size[1]}, 3); "
                f"found {crops.dtype} {crops.shape}"
            )

    def warm_up(self) -> None:
        """Run once on a blank picture, so that the first real call is as fast as later ones."""
        self.infer(np.zeros((1, self.model.input_height, self.model.input_width, 3), np.uint8))

    def side_by_side(self, count: int) -> Backend | None:
        """Open the same network for several callers at once, each on cores of its own.

        Args:
            count: how many callers there will be at most.

        Returns:
            None where callers do better with a batch, or nothing is gained.
        """
        return None

    def close(self) -> None:
        """Release all resources. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except BackendError as closing:
            # the first error is the one that explains what went wrong
            if error is None:
                raise
            _log.warning("%s", closing)


def check_file_precision(exported: OnnxModel, precision: Precision) -> None:
    """Raise SettingError if an exported file cannot run in the requested precision."""
    if precision == "auto" or (exported.precision == "int8") == (precision == "int8"):
        return
    if exported.precision == "int8":
        raise SettingError(f"precision {precision!r}: this model is quantised; allowed: auto, int8")
    raise SettingError(
        f"precision 'int8': this model is in {exported.precision}; "
        "`python -m training quantize` makes an INT8 model from it"
    )
