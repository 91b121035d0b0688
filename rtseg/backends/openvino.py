"""OpenVINO: an exported model on a processor, without PyTorch.

The exported file is read from memory, and what OpenVINO compiled from it is kept in the user's
cache folder for the next start.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch, check_file_precision
from rtseg.backends.turns import fastest_in_turns
from rtseg.errors import BackendError, SettingError, listed
from rtseg.export.onnx_file import INPUT, PROBABILITIES, OnnxModel
from rtseg.frames import Image, Probabilities
from rtseg.settings import DeviceName, ModelSettings, Precision, device_kind, thread_count
from rtseg.system.cache import private_folder, user_cache
from rtseg.system.machine import has_int8_instructions

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16", "int8": "INT8"}

_log = logging.getLogger("rtseg")


class OpenVinoBackend(Backend):
    """Runs an exported model through OpenVINO.

    One crop at a time: on a processor a batch is no faster than its crops one after the other,
    and so a face's result cannot depend on its neighbours. The label output of the file is left
    out, as smoothing needs the probabilities.

    Args:
        exported: the model; a quantised one runs in int8.
        quantized: the same model in INT8, which `precision` `auto` takes where a short measurement
            finds it faster.
        device: `cpu` or `auto`, which is the same.
        precision: `auto` is int8 where that is given and faster, else what OpenVINO finds best:
            bf16 where the processor multiplies it natively, else fp32.
        threads: processor threads, OpenCV's too; 0 is one a core.
        cache: the folder of compiled models; the user's cache folder if not given.

    Raises:
        SettingError: a value is unknown, or does not go with this processor.
        BackendError: OpenVINO is not installed, or fails.
    """

    name = "openvino"

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
        if device_kind(device) == "cuda":
            raise SettingError(
                f"device {device}: the openvino backend runs on cpu only; allowed: cpu"
            )
        check_file_precision(exported, precision)
        self._lock = threading.Lock()
        self.model = exported.model
        self.threads = thread_count(threads)
        openvino = _library()
        _share_threads(self.threads)
        # Compiling gives its thread an alternate signal stack, which is unmapped when the model
        # is released: from then on a Ctrl-C in that thread would end the process with a
        # segmentation fault. So that thread is one that ends before.
        errors: list[BaseException] = []

        def work() -> None:
            try:
                self._open(openvino, exported, quantized, precision=precision, cache=cache)
            except BaseException as error:  # noqa: BLE001  raised again by who waits for it
                errors.append(error)

        opener = threading.Thread(target=work, name="rtseg-compile")
        opener.start()
        opener.join()
        if errors:
            raise errors.pop()

    def _open(
        self,
        openvino: Any,
        exported: OnnxModel,
        quantized: OnnxModel | None,
        *,
        precision: Precision,
        cache: Path | None,
    ) -> None:
        """Compile the model, and say in what it computes and why."""
        why = "OpenVINO's own choice" if precision == "auto" else "asked for"
        try:
            core = openvino.Core()
            capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            options = _options(precision, capabilities, self.threads, cache)
            self._compiled: _Compiled | None = _Compiled(openvino, core, exported, options)
            if exported.precision == "int8" and precision == "auto":
                why = "so is the file"
            elif quantized is not None and precision == "auto":
                why = self._choose(_Compiled(openvino, core, quantized, options))
            self.device = f"cpu ({core.get_property('CPU', 'FULL_DEVICE_NAME').strip()})"
        except RuntimeError as error:
            raise _failure(error) from error
        self.precision = self._compiled.precision
        self.reason = f"openvino on cpu, {self.precision} ({why}), {self.threads} threads"

    def _choose(self, quantized: _Compiled) -> str:
        """Go on with the quantised model where that is faster; returns why, or why not."""
        plain = self._compiled
        assert plain is not None
        if has_int8_instructions() is False:
            return "the processor has no int8 instructions"
        empty = np.zeros((self.model.input_height, self.model.input_width, 3), np.uint8)
        fastest = fastest_in_turns(
            {plain.precision: lambda: plain(empty), "int8": lambda: quantized(empty)}
        )
        if fastest["int8"] < fastest[plain.precision]:
            self._compiled = quantized
        times = ", ".join(f"{name} {ms:.1f}" for name, ms in fastest.items())
        return f"the fastest: {times} ms a crop"

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As `Backend.infer`."""
        self.check_crops(crops)
        height = self.model.input_height // self.model.stride
        width = self.model.input_width // self.model.stride
        out = np.empty((len(crops), height, width, len(self.model.label_set)), np.float32)
        with self._lock:
            if self._compiled is None:
                raise BackendError("the openvino backend is closed; open a new one")
            try:
                for index, crop in enumerate(crops):
                    out[index] = self._compiled(crop)
            except RuntimeError as error:
                raise _failure(error) from error
        return out

    def close(self) -> None:
        """As `Backend.close`."""
        with self._lock:
            self._compiled = None


class _Compiled:
    """A compiled model that takes one crop, with its input and output laid out once."""

    def __init__(
        self, openvino: Any, core: Any, exported: OnnxModel, options: dict[str, Any]
    ) -> None:
        read = core.read_model(exported.data)
        # the cut model runs only what the probabilities need
        model = openvino.Model([read.output(PROBABILITIES)], read.get_parameters(), "rtseg")
        shape = (1, exported.model.input_height, exported.model.input_width, 3)
        model.reshape({INPUT: list(shape)})
        self.request = core.compile_model(model, "CPU", options).create_infer_request()
        self._crop = np.empty(shape, np.uint8)
        self.request.set_input_tensor(openvino.Tensor(self._crop, shared_memory=True))
        self._probabilities: Any = self.request.get_output_tensor(0).data
        hint = self.request.get_compiled_model().get_property("INFERENCE_PRECISION_HINT")
        rest = {hint: ours for ours, hint in _HINTS.items()}.get(hint.to_string(), str(hint))
        self.precision = "int8" if exported.precision == "int8" else rest

    def __call__(self, crop: Image) -> Probabilities:
        """Probabilities of one crop; overwritten by the next call."""
        self._crop[0] = crop
        self.request.infer()
        found: Probabilities = self._probabilities[0]
        return found


def _library() -> Any:
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(
            f"the openvino backend needs OpenVINO ({error}); pip install openvino"
        ) from None
    return openvino


def _share_threads(count: int) -> None:
    """Hold OpenCV, which prepares the crops, to the same number of threads."""
    import cv2

    cv2.setNumThreads(count)


def _options(
    precision: Precision, capabilities: list[str], threads: int, cache: Path | None
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # OpenVINO would tie each of its threads to one core, and wait there while a decoder or an
        # encoder has it, though another core may be free.
        "ENABLE_CPU_PINNING": False,
    }
    if precision != "auto":
        allowed = [ours for ours, theirs in _CAPABILITIES.items() if theirs in capabilities]
        if precision not in allowed:
            raise SettingError(
                f"precision {precision!r} does not run on this processor with openvino; "
                f"allowed: {listed(('auto', *allowed))}"
            )
        # of a quantised model, the rest computes in what OpenVINO finds best
        if precision in _HINTS:
            options["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    try:
        folder = private_folder(user_cache("openvino") if cache is None else cache)
        options["CACHE_DIR"] = str(folder)
    except BackendError as error:
        _log.warning("compiled models are not kept: %s", error)
    return options


def _failure(error: RuntimeError) -> BackendError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else repr(error)
    return BackendError(f"the openvino backend failed: {reason}")
