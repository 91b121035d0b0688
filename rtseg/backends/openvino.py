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

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.errors import BackendError, RtsegError, SettingError, listed
from rtseg.export.onnx_file import INPUT, PROBABILITIES, OnnxModel
from rtseg.settings import DeviceName, ModelSettings, Precision, device_kind, thread_count
from rtseg.system.cache import private_folder, user_cache

_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "fp16": "FP16"}

_log = logging.getLogger("rtseg")


class OpenVinoBackend(Backend):
    """Runs an exported model through OpenVINO.

    One crop at a time: on a processor a batch is no faster than its crops one after the other,
    and so a face's result cannot depend on its neighbours. The label output of the file is left
    out, as smoothing needs the probabilities.

    Args:
        exported: the model.
        device: `cpu` or `auto`, which is the same.
        precision: `auto` is what OpenVINO finds best: bf16 where the processor multiplies it
            natively, else fp32.
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
        self._lock = threading.Lock()
        self.model = exported.model
        self.threads = thread_count(threads)
        openvino = _library()
        _share_threads(self.threads)
        settings = (openvino, exported, precision, cache)
        # Compiling gives its thread an alternate signal stack, which is unmapped when the model
        # is released: from then on a Ctrl-C in that thread would end the process with a
        # segmentation fault. So that thread is one that ends before.
        opened: list[Any] = []
        opener = threading.Thread(target=lambda: opened.append(self._open(*settings)))
        opener.start()
        opener.join()
        (outcome,) = opened
        if isinstance(outcome, RtsegError):
            raise outcome
        found, name = outcome
        self.device = f"cpu ({name.strip()})"
        self.precision = {hint: ours for ours, hint in _HINTS.items()}.get(found, found)
        why = "OpenVINO's own choice here" if precision == "auto" else "asked for"
        self.reason = f"openvino on cpu, {self.precision} ({why}), {self.threads} threads"

    def _open(
        self, openvino: Any, exported: OnnxModel, precision: Precision, cache: Path | None
    ) -> tuple[str, str] | RtsegError:
        """Compile the model; what it computes in and on what, or the error."""
        try:
            core = openvino.Core()
            capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            self._request: Any = self._compile(
                openvino, core, exported, _options(precision, capabilities, self.threads, cache)
            )
            compiled = self._request.get_compiled_model()
            found = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
            return found, core.get_property("CPU", "FULL_DEVICE_NAME")
        except RuntimeError as error:
            return _failure(error)
        except RtsegError as error:
            return error

    def _compile(self, openvino: Any, core: Any, exported: OnnxModel, options: Any) -> Any:
        """A request for one crop, with its input and output laid out once."""
        read = core.read_model(exported.data)
        # the cut model runs only what the probabilities need
        model = openvino.Model([read.output(PROBABILITIES)], read.get_parameters(), "rtseg")
        shape = (1, self.model.input_height, self.model.input_width, 3)
        model.reshape({INPUT: list(shape)})
        request = core.compile_model(model, "CPU", options).create_infer_request()
        self._crop = np.empty(shape, np.uint8)
        request.set_input_tensor(openvino.Tensor(self._crop, shared_memory=True))
        self._probabilities = request.get_output_tensor(0).data
        return request

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As `Backend.infer`."""
        self.check_crops(crops)
        height = self.model.input_height // self.model.stride
        width = self.model.input_width // self.model.stride
        out = np.empty((len(crops), height, width, len(self.model.label_set)), np.float32)
        with self._lock:
            if self._request is None:
                raise BackendError("the openvino backend is closed; open a new one")
            try:
                for index, crop in enumerate(crops):
                    self._crop[0] = crop
                    self._request.infer()
                    out[index] = self._probabilities[0]
            except RuntimeError as error:
                raise _failure(error) from error
        return out

    def close(self) -> None:
        """As `Backend.close`."""
        with self._lock:
            self._request = self._probabilities = None


def _library() -> Any:
    try:
        import openvino
    except (ImportError, OSError) as error:
        raise BackendError(
            f"the openvino backend needs OpenVINO ({error}); pip install 'rtseg[openvino]'"
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
