"""Run an exported model with ONNX Runtime on any of its execution providers, without PyTorch.

Its distributions conflict with each other, so no extra installs one: `onnxruntime` (processors;
CoreML on macOS), `onnxruntime-gpu` (CUDA), `onnxruntime-directml` (Windows).
"""

from __future__ import annotations

import functools
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch, check_file_precision
from rtseg.backends.fastest import Speeds, fastest_in_turns, remembered_speeds, trial
from rtseg.errors import BackendError, DeviceMemoryError, SettingError, listed
from rtseg.export.onnx_file import INPUT, LABELS, MAX_BATCH, PROBABILITIES, OnnxModel
from rtseg.export.onnx_outputs import without_output
from rtseg.export.precision import widen
from rtseg.settings import (
    DeviceKind,
    DeviceName,
    ModelSettings,
    Precision,
    device_index,
    device_kind,
    thread_count,
)
from rtseg.system.machine import has_int8_instructions
from rtseg.system.nvidia import nvidia_driver_problem

_CPU = "CPUExecutionProvider"
_ACCELERATORS = {
    "CUDAExecutionProvider": "cuda",
    "DmlExecutionProvider": "directml",
    "CoreMLExecutionProvider": "coreml",
}
"""Providers in the order of preference for the device `auto`."""
_QUIET = 3
"""ONNX Runtime's severity for errors; its messages below that are noise."""


class OnnxRuntimeBackend(Backend):
    """Runs an exported model through ONNX Runtime.

    On a processor it runs one crop at a time, as in OpenVINO; elsewhere in batches of up to 8.

    Args:
        exported: the model; a quantised one runs in int8.
        quantized: the same model in INT8, which `precision` `auto` uses on a processor if it is
            faster on this machine: measured at the first start, remembered for the following ones.
        device: `cpu`, `cuda`, `cuda:N`, or `auto`: the first of CUDA, DirectML, CoreML and the
            processor that this installation supports and this machine can use.
        precision: `auto` is int8 on a processor if available and faster; otherwise fp32 if the
            package onnx is installed to convert the file; otherwise the file's own precision.
        threads: processor threads, for OpenCV as well; 0 means one per core.
        cache: the folder for measurements; by default in the user's cache folder.

    Raises:
        SettingError: a value is unknown, or not supported on this device.
        BackendError: ONNX Runtime or the device is missing or fails.
    """

    name = "onnxruntime"

    def __init__(
        self,
        exported: OnnxModel,
        *,
        quantized: OnnxModel | None = None,
        device: DeviceName = "auto",
        precision: Precision = "auto",
        threads: int = 0,
        cache: Path | None = None,
    ) -> None:
        ModelSettings(device=device, precision=precision, threads=threads)
        check_file_precision(exported, precision)
        self._lock = threading.Lock()
        self.model = exported.model
        self.threads = thread_count(threads)
        self._library = _library()
        _share_threads(self.threads)
        self._provider = _provider(self._library, device_kind(device))
        self._device_index = device_index(device)
        self.device = _ACCELERATORS.get(self._provider, "cpu")
        self.max_batch = 1 if self._provider == _CPU else MAX_BATCH
        data, self.precision, why = self._file(exported, precision)
        if precision == "auto" and quantized is not None and self._provider == _CPU:
            if has_int8_instructions() is False:
                why = "the processor has no int8 instructions"
            else:
                speeds = self._speeds(exported, data, quantized, cache=cache)
                if speeds.int8_is_worth_it:
                    data, self.precision = quantized.data, "int8"
                why = f"the faster one: {speeds.line()}"
        self._session: Any = self._open(data)
        self.reason = (
            f"onnxruntime on {self.device}, {self.precision} ({why}), {self.threads} threads"
        )

    def _file(self, exported: OnnxModel, precision: Precision) -> tuple[bytes, str, str]:
        """Choose the file to run; return it with its precision and the reason."""
        file_precision, is_requested = exported.precision, precision != "auto"
        if file_precision == "int8":
            return (
                exported.data,
                file_precision,
                "as requested" if is_requested else "the file's precision",
            )
        allowed = ("fp32",) if self._provider == _CPU else ("fp32", "fp16")
        if is_requested and precision not in allowed:
            raise SettingError(
                f"precision {precision!r} does not run on {self.device} with onnxruntime; "
                f"allowed: {listed(('auto', *allowed, 'int8'))}"
            )
        data = without_output(exported.data, LABELS)
        if file_precision == "fp16" and (
            precision == "fp32" or (not is_requested and self._provider == _CPU)
        ):
            # On a processor, casting to FP16 and back would take twice as long.
            if is_requested or find_spec("onnx") is not None:
                return (
                    widen(data),
                    "fp32",
                    "as requested" if is_requested else "the processor's own",
                )
            return data, file_precision, "the file's precision; faster in fp32: pip install onnx"
        if is_requested and precision != file_precision:
            raise SettingError(
                f"precision {precision!r}: this model is in {file_precision}; "
                f"`rtseg engine export --precision {precision}` converts it"
            )
        return data, file_precision, "as requested" if is_requested else "the file's precision"

    def _speeds(
        self, exported: OnnxModel, plain: bytes, quantized: OnnxModel, *, cache: Path | None
    ) -> Speeds:
        """Compare the two models on this machine, or read the earlier comparison."""

        def measure() -> dict[str, float]:
            empty = np.zeros((1, self.model.input_height, self.model.input_width, 3), np.uint8)
            sessions = {
                self.precision: self._open(plain),
                "int8": self._open(quantized.data),
            }
            return fastest_in_turns(
                {
                    name: functools.partial(session.run, [PROBABILITIES], {INPUT: empty})
                    for name, session in sessions.items()
                }
            )

        return remembered_speeds(
            trial(
                "onnxruntime",
                exported.digest,
                quantized.digest,
                self.precision,
                threads=self.threads,
            ),
            measure,
            folder=None if cache is None else cache / "speeds",
        )

    def _open(self, data: bytes) -> Any:
        options = self._library.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _QUIET
        # A spinning thread takes a core away from the decoder or the encoder.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[str | tuple[str, dict[str, Any]]] = [self._provider, _CPU]
        if self._provider == _CPU:
            providers = [_CPU]
        elif self._provider != "CoreMLExecutionProvider":
            providers[0] = (self._provider, {"device_id": self._device_index})
        try:
            session = self._library.InferenceSession(data, options, providers=providers)
        except Exception as error:  # its exception classes derive directly from Exception
            raise self._failure(error) from error
        if self._provider not in session.get_providers():
            raise BackendError(
                f"onnxruntime cannot use {self._provider} here and ignored it; its libraries "
                "are missing or have the wrong version; `device` cpu works without it"
            )
        return session

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        self.check_crops(crops)
        out = np.empty(self.model.output_shape(len(crops)), np.float32)
        with self._lock:
            if self._session is None:
                raise BackendError("the onnxruntime backend is closed; open a new one")
            for first in range(0, len(crops), self.max_batch):
                part = np.ascontiguousarray(crops[first : first + self.max_batch])
                try:
                    (out[first : first + len(part)],) = self._session.run(
                        [PROBABILITIES], {INPUT: part}
                    )
                except Exception as error:
                    raise self._failure(error) from error
        return out

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            self._session = None

    def _failure(self, error: Exception) -> BackendError:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else repr(error)
        if "memory" in reason.lower() and self.device != "cpu":
            return DeviceMemoryError(f"onnxruntime on {self.device}: {reason}")
        return BackendError(f"the onnxruntime backend failed: {reason}")


def _library() -> Any:
    try:
        import onnxruntime
    except (ImportError, OSError) as error:
        raise BackendError(
            f"the onnxruntime backend needs ONNX Runtime ({error}); pip install onnxruntime, or "
            "onnxruntime-gpu, or onnxruntime-directml: one of them"
        ) from None
    onnxruntime.set_default_logger_severity(_QUIET)
    return onnxruntime


def _provider(library: Any, device: DeviceKind) -> str:
    """Choose the execution provider.

    Raises:
        BackendError: a GPU was requested and cannot be used.
    """
    available = library.get_available_providers()
    if device == "cuda":
        if "CUDAExecutionProvider" not in available:
            raise BackendError(
                f"device cuda: this ONNX Runtime has {listed(available)} only; "
                "pip install onnxruntime-gpu in place of it"
            )
        problem = nvidia_driver_problem()
        if problem is not None:
            raise BackendError(f"device cuda: {problem}")
        return "CUDAExecutionProvider"
    if device == "auto":
        for provider in _ACCELERATORS:
            if provider in available and (
                provider != "CUDAExecutionProvider" or nvidia_driver_problem() is None
            ):
                return provider
    return _CPU


def _share_threads(count: int) -> None:
    """Limit OpenCV, which prepares the crops, to the same number of threads."""
    import cv2

    cv2.setNumThreads(count)
