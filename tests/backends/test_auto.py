"""Which backend `open_backend` chooses, and the reason that it gives."""

import logging
import subprocess
import sys

import pytest

from rtseg.backends import open_backend, open_beside
from rtseg.checkpoint import read_checkpoint, write_checkpoint
from rtseg.errors import BackendError, DeviceMemoryError, ModelError, SettingError
from tests.support.exported import tiny_checkpoint, tiny_crops, tiny_int8, tiny_onnx
from tests.support.fakes.machine import install


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model file with its export beside it."""
    tiny_onnx()  # skips where nothing can be exported
    from rtseg.export.onnx import write_onnx

    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    write_checkpoint(tiny_checkpoint(), path)
    write_onnx(read_checkpoint(path), path.with_suffix(".onnx"))
    return path


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "engines"))
    monkeypatch.setattr("rtseg.backends.registry.nvidia_driver_problem", lambda: "no NVIDIA driver")


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "rtseg")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def without(monkeypatch):
    """Hide run-times, as if they were not installed."""
    from rtseg.backends import registry

    real_find_spec = registry.find_spec

    def leave_out(*names):
        monkeypatch.setattr(
            registry, "find_spec", lambda name: None if name in names else real_find_spec(name)
        )

    return leave_out


@pytest.fixture
def gpu(monkeypatch):
    machine = install(monkeypatch)
    monkeypatch.setattr("rtseg.backends.registry.nvidia_driver_problem", lambda: None)
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.loading.parity_check_of", lambda *_a, **_n: lambda *_: 1.0
    )
    return machine


def test_on_a_processor_openvino_comes_first(model, lines):
    pytest.importorskip("openvino")
    with open_backend(model=model, threads=1) as backend:
        assert backend.name == "openvino"
        (line,) = lines()
        assert line == backend.reason
        assert line.startswith("openvino on cpu, ")
        assert line.endswith("; not tensorrt or torch on a GPU: no NVIDIA driver")


def test_a_requested_processor_gives_no_reasons_about_gpus(model, lines):
    pytest.importorskip("openvino")
    open_backend(model=model, device="cpu", threads=1).close()
    assert "tensorrt" not in lines()[0]


def test_onnx_runtime_comes_second(model, without, lines):
    pytest.importorskip("onnxruntime")
    without("openvino")
    with open_backend(model=model, threads=1) as backend:
        assert backend.name == "onnxruntime"
    (line,) = lines()
    assert line.startswith("onnxruntime on cpu, fp32")
    assert "; not openvino: not installed, and the network takes two to four times" in line
    assert "(pip install openvino)" in line


def test_pytorch_comes_third(model, without, lines):
    without("openvino", "onnxruntime")
    with open_backend(model=model, threads=1, precision="fp32") as backend:
        assert backend.name == "torch"
    (line,) = lines()
    assert line.startswith("torch on cpu, fp32")
    assert "; not openvino: not installed, " in line
    assert line.endswith("; not onnxruntime: not installed")


def test_without_an_export_pytorch_runs_and_a_remedy_is_shown(model, tmp_path, lines):
    pytest.importorskip("openvino")
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(model.read_bytes())
    with open_backend(model=alone, threads=1, precision="fp32") as backend:
        assert backend.name == "torch"
    assert f"`rtseg engine export {alone}` makes it" in lines()[0]


def test_an_existing_engine_comes_before_all_others(model, gpu, lines):
    with open_backend("tensorrt", model=model) as backend:
        assert backend.name == "tensorrt"
    assert gpu.behaviour.builds == 1
    with open_backend(model=model) as backend:
        assert (backend.name, backend.precision) == ("tensorrt", "fp16")
    assert lines()[-1].startswith("tensorrt on cuda:0 (NVIDIA Fake 4000) by TensorRT 11")
    assert gpu.behaviour.builds == 1


def test_auto_builds_no_engine(model, gpu, lines):
    pytest.importorskip("openvino")
    with open_backend(model=model, threads=1) as backend:
        assert backend.name == "openvino"
    assert gpu.behaviour.builds == 0
    assert "not tensorrt: its engine is not built yet; `rtseg engine build`" in lines()[-1]


def test_an_engine_that_does_not_load_is_skipped_with_a_remedy(model, gpu, lines):
    pytest.importorskip("openvino")
    open_backend("tensorrt", model=model).close()
    gpu.behaviour.loads = lambda _plan: False
    with open_backend(model=model, threads=1) as backend:
        assert backend.name == "openvino"
    assert "`rtseg engine build --rebuild`" in lines()[-1]


def test_full_memory_falls_back_with_a_message(model, gpu, monkeypatch, lines):
    pytest.importorskip("openvino")
    open_backend("tensorrt", model=model).close()
    machine = install(monkeypatch, fits_bytes=10)
    with open_backend(model=model, threads=1) as backend:
        assert backend.name == "openvino"
    assert "not tensorrt: the GPU's memory is full" in lines()[-1]
    assert not any(machine.memory.alive().values())


def fail_at_launch(gpu, code):
    gpu.driver.failing, gpu.driver.failing_code = "cuGraphLaunch", code


def test_memory_running_out_during_a_run_falls_back(model, gpu, lines):
    pytest.importorskip("openvino")
    crops = tiny_crops(3)
    with open_backend("tensorrt", model=model) as backend:
        fail_at_launch(gpu, 2)
        with pytest.raises(DeviceMemoryError, match="too full for a CUDA graph"):
            backend.infer(crops)
        fail_at_launch(gpu, 0)
    with open_backend("openvino", model=model, threads=1) as expected:
        labels = expected.infer(crops).argmax(-1)
    with open_backend(model=model, threads=1) as backend:
        backend.infer(crops[:1])
        assert backend.name == "tensorrt"
        fail_at_launch(gpu, 2)
        assert (backend.infer(crops).argmax(-1) == labels).all()
        assert backend.name == "openvino"
    tried = ("batch of 4: continuing with batches of 2", "batch of 2: continuing with batches of 1")
    for text, line in zip((*tried, "CUDA graph"), lines()[-3:], strict=True):
        assert f"too full for a {text}" in line
    assert "; continuing with openvino on cpu" in lines()[-1]
    assert not any(gpu.memory.alive().values())


@pytest.mark.parametrize(("code", "said"), [(700, "ILLEGAL_ADDRESS"), (999, "gives no reason")])
def test_a_gpu_failing_during_a_run_falls_back_to_the_processor(model, gpu, lines, code, said):
    """After such an error every call to the GPU fails, including those that free memory."""
    pytest.importorskip("openvino")
    open_backend("tensorrt", model=model).close()
    crops = tiny_crops(2)
    with open_backend(model=model, threads=1) as backend:
        assert backend.name == "tensorrt"
        fail_at_launch(gpu, code)
        gpu.memory.failing["cuStreamSynchronize"] = gpu.pycuda.Error("cuStreamSynchronize failed")
        assert len(backend.infer(crops)) == 2
        assert backend.name == "openvino"
        assert f"CUDA error {code}" in lines()[-1]
        assert said in lines()[-1]
        assert "; continuing with openvino on cpu" in lines()[-1]
    assert (gpu.memory.driver_stack, gpu.memory.pycuda_stack) == ([], [])


@pytest.mark.parametrize("name", ["tensorrt", "openvino", "onnxruntime", "torch"])
def test_a_backend_requested_by_name_never_falls_back(model, name, monkeypatch, lines):
    for package in ("tensorrt", "openvino", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
    if name == "torch":
        with pytest.raises(BackendError, match="no NVIDIA GPU"):
            open_backend(name, model=model, device="cuda")
    else:
        with pytest.raises(BackendError):
            open_backend(name, model=model)
    assert lines() == []


def test_conflicting_devices_and_precisions_are_refused(model):
    with pytest.raises(SettingError, match="allowed: cuda"):
        open_backend("tensorrt", model=model, device="cpu")
    # by name: OpenVINO computes in fp16 on some processors
    with pytest.raises(SettingError, match="allowed: auto, fp32, bf16"):
        open_backend("torch", model=model, device="cpu", precision="fp16")
    with pytest.raises(SettingError, match="`threads`"):
        open_backend(model=model, threads=-1)
    with pytest.raises(BackendError, match="no NVIDIA GPU"):
        open_backend(model=model, device="cuda")


def test_an_onnx_file_alone_is_enough_except_for_pytorch(model, tmp_path, without):
    path = tmp_path / "alone.onnx"
    path.write_bytes(model.with_suffix(".onnx").read_bytes())
    without("openvino", "onnxruntime")
    with pytest.raises(ModelError, match=r"torch runs \.safetensors models"):
        open_backend(model=path)
    pytest.importorskip("openvino")
    with open_backend("openvino", model=path, threads=1) as backend:
        assert backend.model.header() == tiny_checkpoint().spec.header()


def test_a_model_in_memory_runs_in_pytorch(lines):
    with open_backend(model=tiny_checkpoint(), threads=1, precision="fp32") as backend:
        assert backend.name == "torch"
    with pytest.raises(ModelError, match="in memory"):
        open_backend("openvino", model=tiny_checkpoint())


@pytest.mark.parametrize("torch_too", [False, True], ids=["but PyTorch", "all"])
def test_partly_installed_packages_do_not_break_the_doctor(tmp_path, torch_too):
    """Modules that are installed but broken each become a line of the report."""
    broken = [
        ("tensorrt", "raise OSError('libnvinfer.so.11: cannot open shared object file')"),
        ("openvino", "raise ImportError('libopenvino.so: cannot open shared object file')"),
        ("onnxruntime", "raise ImportError('onnxruntime_pybind11_state: DLL load failed')"),
        ("pycuda", ""),
    ]
    if torch_too:
        broken.append(("torch", "raise OSError('libcudart.so.13: cannot open shared object file')"))
        broken.append(("av", "raise ImportError('libavcodec.so: cannot open')"))
    for name, text in broken:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    subjects = (
        *("PyTorch", "TensorRT", "OpenVINO", "ONNX Runtime"),
        *("backend (auto)", "PyAV", "model"),
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import rtseg.settings; rtseg.settings.thread_count = lambda _threads: 1\n"
        "from rtseg import doctor\n"
        "looks = doctor._EXAMINATIONS\n"
        "for name in [name for name in looks if name not in sys.argv]: del looks[name]\n"
        "for found in doctor.examine(): print(found.subject, '|', found.state, found.found, '→',"
        " found.remedy)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), *subjects],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    states = dict(line.split(" | ", 1) for line in done.stdout.splitlines())
    assert tuple(states) == subjects
    # without a driver nobody imports it, so nobody notices that it is broken
    assert not states["TensorRT"].startswith("ok ")
    assert states["OpenVINO"].startswith("broken ImportError: libopenvino.so")
    assert states["OpenVINO"].endswith("→ pip install --force-reinstall openvino")
    assert states["ONNX Runtime"].startswith("broken ImportError: onnxruntime_pybind11_state")
    assert states["ONNX Runtime"].endswith("→ pip install --force-reinstall onnxruntime")
    assert states["model"].startswith("ok ")
    if torch_too:
        assert states["PyTorch"].startswith("broken OSError: libcudart.so.13")
        assert states["backend (auto)"].startswith("broken PyTorch cannot be loaded (libcudart.so")
        assert states["PyAV"].endswith("→ pip install --force-reinstall av")
        return
    assert states["PyTorch"].startswith("ok ")
    assert states["backend (auto)"].startswith("ok torch on cpu")
    assert "not openvino:" in states["backend (auto)"]


def test_an_unquantised_model_runs_beside_an_int8_backend(model, tmp_path):
    pytest.importorskip("openvino")
    from rtseg.backends.openvino import OpenVinoBackend

    with OpenVinoBackend(tiny_int8(), threads=1, cache=tmp_path / "cache") as first:
        beside = open_beside(first, model)
    assert beside is not None
    with beside:
        assert (beside.name, beside.threads) == ("openvino", 1)
        assert beside.precision != "int8"
