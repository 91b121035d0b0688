"""Tests specific to ONNX Runtime; the common contract is in test_contract.py."""

import subprocess
import sys

import numpy as np
import pytest

from rtseg.backends import open_backend
from rtseg.backends.onnxruntime import OnnxRuntimeBackend
from rtseg.errors import BackendError, SettingError
from tests.support.exported import tiny_crops, tiny_int8, tiny_onnx

onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def providers(monkeypatch):
    """Fake the providers that the installation reports."""

    def set_(*names):
        available = [f"{name}ExecutionProvider" for name in names]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)

    return set_


def test_on_a_processor_an_fp16_file_is_computed_in_fp32():
    with OnnxRuntimeBackend(tiny_onnx("fp16"), threads=1) as backend:
        assert (backend.device, backend.precision, backend.max_batch) == ("cpu", "fp32", 1)
        assert backend.reason == "onnxruntime on cpu, fp32 (the processor's own), 1 threads"
        inputs = backend._session.get_inputs() + backend._session.get_outputs()
    # otherwise the labels, which nobody reads, would be computed as well
    assert [value.name for value in inputs] == ["crops", "probabilities"]


def test_without_the_package_onnx_the_file_runs_unchanged(monkeypatch):
    monkeypatch.setattr("rtseg.backends.onnxruntime.find_spec", lambda _name: None)
    with OnnxRuntimeBackend(tiny_onnx("fp16"), threads=1) as backend:
        assert backend.precision == "fp16"
        assert "faster in fp32: pip install onnx" in backend.reason
        probabilities = backend.infer(tiny_crops(2))
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("int8", "taken"), [(1.0, "int8"), (4.5, "int8"), (4.9, "fp32"), (9.0, "fp32")]
)
def test_int8_is_used_if_it_is_faster(tmp_path, monkeypatch, int8, taken):
    monkeypatch.setattr("rtseg.backends.onnxruntime.has_int8_instructions", lambda: True)
    monkeypatch.setattr(
        "rtseg.backends.onnxruntime.fastest_in_turns", lambda _calls: {"fp32": 5.0, "int8": int8}
    )
    files = {"quantized": tiny_int8(), "threads": 1, "cache": tmp_path}
    with OnnxRuntimeBackend(tiny_onnx(), **files) as backend:
        assert backend.precision == taken
        assert f"fp32 5.0, int8 {int8:.1f} ms a crop" in backend.reason
        chosen = backend.infer(tiny_crops(1))
    file = tiny_int8() if taken == "int8" else tiny_onnx()
    with OnnxRuntimeBackend(file, threads=1) as backend:
        np.testing.assert_array_equal(backend.infer(tiny_crops(1)), chosen)
    # the next start measures nothing
    monkeypatch.setattr("rtseg.backends.onnxruntime.fastest_in_turns", None)
    with OnnxRuntimeBackend(tiny_onnx(), **files) as backend:
        assert backend.precision == taken


def test_unsupported_precisions_are_refused():
    for precision in ("bf16", "fp16"):
        with pytest.raises(SettingError, match=f"'{precision}' does not run on cpu .* fp32, int8$"):
            OnnxRuntimeBackend(tiny_onnx(), precision=precision)
    with pytest.raises(SettingError, match="this model is in fp16; `python -m training quantize`"):
        OnnxRuntimeBackend(tiny_onnx(), precision="int8")


def test_a_gpu_that_the_installation_cannot_use_is_refused(providers, monkeypatch):
    providers("CPU")
    with pytest.raises(BackendError, match="CPUExecutionProvider only; pip install onnxruntime-g"):
        OnnxRuntimeBackend(tiny_onnx(), device="cuda")
    providers("CUDA", "CPU")
    monkeypatch.setattr("rtseg.backends.onnxruntime.nvidia_driver_problem", lambda: "no driver")
    with pytest.raises(BackendError, match="device cuda: no driver"):
        OnnxRuntimeBackend(tiny_onnx(), device="cuda")
    # with `auto`, a working provider is used
    with OnnxRuntimeBackend(tiny_onnx(), threads=1) as backend:
        assert backend.device == "cpu"


@pytest.mark.parametrize(
    ("available", "device"),
    [(("CUDA", "CPU"), "cuda"), (("Dml", "CPU"), "directml"), (("CoreML", "CPU"), "coreml")],
)
def test_the_fastest_provider_is_used_in_batches(providers, monkeypatch, available, device):
    """Sessions of other providers are faked on the processor, and identified by their names."""
    providers(*available)
    monkeypatch.setattr("rtseg.backends.onnxruntime.nvidia_driver_problem", lambda: None)
    made = []
    session = onnxruntime.InferenceSession

    class Session:
        def __init__(self, data, options, *, providers):
            made.append(providers)
            self.run = session(data, options, providers=["CPUExecutionProvider"]).run

        def get_providers(self):
            return [name if isinstance(name, str) else name[0] for name in made[-1]]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with OnnxRuntimeBackend(tiny_onnx(), threads=1) as backend:
        assert (backend.device, backend.precision, backend.max_batch) == (device, "fp16", 8)
        assert backend.infer(tiny_crops(9)).shape[0] == 9
    ((first, second),) = made
    assert second == "CPUExecutionProvider"
    name, options = first if isinstance(first, tuple) else (first, {"device_id": 0})
    assert (name, options) == (f"{available[0]}ExecutionProvider", {"device_id": 0})


def test_a_provider_that_falls_back_silently_is_noticed(providers, monkeypatch):
    providers("CUDA", "CPU")
    monkeypatch.setattr("rtseg.backends.onnxruntime.nvidia_driver_problem", lambda: None)
    session = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda data, options, providers: session(data, options, providers=providers[-1:]),
    )
    with pytest.raises(BackendError, match="cannot use CUDAExecutionProvider here"):
        OnnxRuntimeBackend(tiny_onnx(), device="cuda")


def test_a_failure_is_reported_in_one_line(monkeypatch):
    backend = OnnxRuntimeBackend(tiny_onnx(), threads=1)

    class Broken:
        def run(self, _outputs, _inputs):
            raise RuntimeError("Non-zero status code.\n\nthe kernel failed\n")

    monkeypatch.setattr(backend, "_session", Broken())
    with pytest.raises(BackendError) as raised:
        backend.infer(tiny_crops(1))
    assert str(raised.value) == "the onnxruntime backend failed: the kernel failed"


def test_a_missing_onnxruntime_is_reported_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BackendError, match="pip install onnxruntime, or onnxruntime-gpu, or"):
        open_backend("onnxruntime")


PROGRAM = """
import sys
import numpy as np
from rtseg.backends import open_backend
backend = open_backend("onnxruntime", precision="int8", threads=1)
size = (backend.model.input_height, backend.model.input_width, 3)
print(backend.infer(np.zeros((1, *size), np.uint8)).shape[0])
print([name for name in ("torch", "openvino", "onnx", "tensorrt") if name in sys.modules])
"""


def test_it_imports_no_other_run_time():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "1\n[]\n"
    assert done.stderr == ""
