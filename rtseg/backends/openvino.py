"""Run an exported model on a processor with OpenVINO, without PyTorch.

The exported file is loaded from memory, and the compiled model is cached in the user's cache folder
for the next start.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch, check_file_precision
from rtseg.backends.fastest import Speeds, fastest_in_turns, remembered_speeds, trial
from rtseg.backends.openvino_graph import (
    with_faster_softmax,
    with_normalised_rows,
    with_whole_pixel_shuffles,
)
from rtseg.backends.side_by_side import SideBySideBackend
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

    It runs one crop at a time, because on a processor a batch is no faster, and a face's result
    then cannot depend on others. The file's label output is removed, since smoothing needs
    probabilities.

    Args:
        exported: the model; a quantised one runs in int8.
        quantized: the same model in INT8, which `precision` `auto` uses if it is faster on this
            machine: measured at the first start, remembered for the following ones.
        device: `cpu`, or `auto`, which means the same.
        precision: `auto` is int8 if available and faster, otherwise OpenVINO's choice: bf16 if the
            processor supports it natively, else fp32.
        threads: processor threads, for OpenCV as well; 0 means one per core.
        cache: the folder for compiled models and measurements; by default in the user's cache
            folder.

    Raises:
        SettingError: a value is unknown, or not supported on this processor.
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
        _on_own_thread(
            lambda: self._open(openvino, exported, quantized, precision=precision, cache=cache)
        )

    def _open(
        self,
        openvino: Any,
        exported: OnnxModel,
        quantized: OnnxModel | None,
        *,
        precision: Precision,
        cache: Path | None,
    ) -> None:
        """Compile the model; set the precision and the reason for it."""
        why = "OpenVINO's own choice" if precision == "auto" else "as requested"
        try:
            core = openvino.Core()
            capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            options = _options(precision, capabilities, self.threads, cache)

            def compiled(model: OnnxModel) -> _Compiled:
                return _Compiled(openvino, core, model, options)

            chosen = exported
            if exported.precision == "int8" and precision == "auto":
                why = "the file's precision"
            elif quantized is not None and precision == "auto":
                if has_int8_instructions() is False:
                    why = "the processor has no int8 instructions"
                else:
                    speeds = self._speeds(exported, quantized, compiled, cache=cache)
                    chosen = quantized if speeds.int8_is_worth_it else exported
                    why = f"the faster one: {speeds.line()}"
            self._compiled: _Compiled | None = compiled(chosen)
            self._exported, self._options = chosen, options
            self.device = f"cpu ({core.get_property('CPU', 'FULL_DEVICE_NAME').strip()})"
        except RuntimeError as error:
            raise _failure(error) from error
        self.precision = self._compiled.precision
        self.reason = f"openvino on cpu, {self.precision} ({why}), {self.threads} threads"

    def _speeds(
        self,
        exported: OnnxModel,
        quantized: OnnxModel,
        compiled: Callable[[OnnxModel], _Compiled],
        *,
        cache: Path | None,
    ) -> Speeds:
        """Compare the two models on this machine, or read the earlier comparison."""

        def measure() -> dict[str, float]:
            plain, int8 = compiled(exported), compiled(quantized)
            empty = np.zeros((self.model.input_height, self.model.input_width, 3), np.uint8)
            return fastest_in_turns(
                {plain.precision: lambda: plain(empty), "int8": lambda: int8(empty)}
            )

        return remembered_speeds(
            trial("openvino", exported.digest, quantized.digest, threads=self.threads),
            measure,
            folder=None if cache is None else cache / "speeds",
        )

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`."""
        self.check_crops(crops)
        out = np.empty(self.model.output_shape(len(crops)), np.float32)
        with self._lock:
            if self._compiled is None:
                raise BackendError("the openvino backend is closed; open a new one")
            try:
                for index, crop in enumerate(crops):
                    out[index] = self._compiled(crop)
            except RuntimeError as error:
                raise _failure(error) from error
        return out

    def side_by_side(self, count: int) -> Backend | None:
        """See `Backend.side_by_side`: one crop for each core."""
        lanes = min(count, self.threads)
        if lanes < 2:
            return None
        made: list[_Compiled] = []

        def compile_lanes() -> None:
            openvino = _library()
            options = {**self._options, "NUM_STREAMS": lanes}
            first = _Compiled(openvino, openvino.Core(), self._exported, options)
            made.extend([first, *(first.twin(openvino) for _ in range(lanes - 1))])

        try:
            _on_own_thread(compile_lanes)
        except RuntimeError as error:
            _log.warning("streams take turns at the network: %s", _failure(error))
            return None
        return SideBySideBackend(self, made)

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            self._compiled = None


class _Compiled:
    """A compiled model for one crop, with preallocated input and output."""

    def __init__(
        self, openvino: Any, core: Any, exported: OnnxModel, options: dict[str, Any]
    ) -> None:
        read = core.read_model(exported.data)
        # without the label output, only what the probabilities need is computed
        if exported.precision == "int8":
            model = with_faster_softmax(openvino, read, PROBABILITIES)
        else:
            model = openvino.Model([read.output(PROBABILITIES)], read.get_parameters(), "rtseg")
        model = with_whole_pixel_shuffles(openvino, model)
        shape = (1, exported.model.input_height, exported.model.input_width, 3)
        model.reshape({INPUT: list(shape)})
        model = with_normalised_rows(openvino, model)
        if exported.precision == "int8":
            # bf16 between the quantised convolutions would save 4% and cost as much agreement with
            # FP32 again as rounding to eight bits does
            options = {**options, "INFERENCE_PRECISION_HINT": _HINTS["fp32"]}
        self._compiled = core.compile_model(model, "CPU", options)
        hint = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        rest = {hint: precision for precision, hint in _HINTS.items()}.get(
            hint.to_string(), str(hint)
        )
        self.precision = "int8" if exported.precision == "int8" else rest
        self._prepare(openvino, shape)

    def _prepare(self, openvino: Any, shape: tuple[int, ...]) -> None:
        self.request = self._compiled.create_infer_request()
        self._crop = np.empty(shape, np.uint8)
        self.request.set_input_tensor(openvino.Tensor(self._crop, shared_memory=True))
        self._probabilities: Any = self.request.get_output_tensor(0).data

    def twin(self, openvino: Any) -> _Compiled:
        """The same compiled model with an input and output of its own."""
        other = copy.copy(self)
        other._prepare(openvino, self._crop.shape)
        return other

    def __call__(self, crop: Image) -> Probabilities:
        """Compute the probabilities of one crop; the next call overwrites them."""
        self._crop[0] = crop
        self.request.infer()
        result: Probabilities = self._probabilities[0]
        return result


def _on_own_thread(work: Callable[[], None]) -> None:
    """Compile on a thread that ends, and raise here what it raises.

    Compiling gives its thread an alternate signal stack, which is unmapped when the model is
    released; a later Ctrl-C in that thread would crash the process.
    """
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  raised again in the thread that waits
            errors.append(error)

    opener = threading.Thread(target=guarded, name="rtseg-compile")
    opener.start()
    opener.join()
    if errors:
        raise errors.pop()


def _library() -> Any:
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(
            f"the openvino backend needs OpenVINO ({error}); pip install openvino"
        ) from None
    return openvino


def _share_threads(count: int) -> None:
    """Limit OpenCV, which prepares the crops, to the same number of threads."""
    import cv2

    cv2.setNumThreads(count)


def _options(
    precision: Precision, capabilities: list[str], threads: int, cache: Path | None
) -> dict[str, Any]:
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # OpenVINO would pin each of its threads to a core, and wait while a decoder or an encoder
        # occupies it even if another core is free.
        "ENABLE_CPU_PINNING": False,
    }
    if precision != "auto":
        allowed = [name for name, capability in _CAPABILITIES.items() if capability in capabilities]
        if precision not in allowed:
            raise SettingError(
                f"precision {precision!r} does not run on this processor with openvino; "
                f"allowed: {listed(('auto', *allowed))}"
            )
        # an INT8 model has no hint of its own: its rest is FP32, see `_Compiled`
        if precision in _HINTS:
            options["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    try:
        folder = private_folder(user_cache("openvino") if cache is None else cache)
        options["CACHE_DIR"] = str(folder)
    except BackendError as error:
        _log.warning("compiled models are not cached: %s", error)
    return options


def _failure(error: RuntimeError) -> BackendError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else repr(error)
    return BackendError(f"the openvino backend failed: {reason}")
