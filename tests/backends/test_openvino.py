"""Tests specific to OpenVINO; the common contract is in test_contract.py."""

import subprocess
import sys
import threading

import numpy as np
import pytest

import rtseg.backends.openvino
from rtseg.backends import open_backend
from rtseg.backends.openvino import OpenVinoBackend
from rtseg.backends.parity import label_agreement, portrait_crops
from rtseg.errors import BackendError, SettingError
from rtseg.export import find_onnx
from rtseg.export.onnx_file import LABELS, PROBABILITIES
from rtseg.weights import default_checkpoint_path
from tests.support.exported import tiny_crops, tiny_int8, tiny_onnx

pytest.importorskip("openvino")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def test_precisions_are_used_or_refused(cache):
    with OpenVinoBackend(tiny_onnx(), precision="fp32", threads=1, cache=cache) as backend:
        assert backend.precision == "fp32"
        assert "fp32 (as requested), 1 threads" in backend.reason
    with OpenVinoBackend(tiny_onnx(), threads=1, cache=cache) as backend:
        assert backend.precision in ("fp32", "bf16", "fp16")
        assert "own choice" in backend.reason


def test_precisions_that_the_processor_lacks_are_refused(cache, monkeypatch):
    import openvino

    class Plain:
        def get_property(self, _device, _name):
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "Core", Plain)
    with pytest.raises(SettingError, match=r"'bf16' does not run .* allowed: auto, fp32, int8$"):
        OpenVinoBackend(tiny_onnx(), precision="bf16", cache=cache)


@pytest.fixture
def times(monkeypatch):
    """Fake the result of the short measurement."""

    def set_(**milliseconds):
        def measured(candidates):
            return {
                name: milliseconds["int8" if name == "int8" else "plain"] for name in candidates
            }

        monkeypatch.setattr("rtseg.backends.openvino.fastest_in_turns", measured)
        monkeypatch.setattr("rtseg.backends.openvino.has_int8_instructions", lambda: True)

    return set_


def test_int8_is_used_if_it_is_faster(cache, times, monkeypatch):
    files = {"quantized": tiny_int8(), "threads": 1, "cache": cache}
    times(int8=2.0, plain=3.0)
    crops = tiny_crops(2)
    with OpenVinoBackend(tiny_onnx(), **files) as backend:
        assert backend.precision == "int8"
        assert "the faster one: " in backend.reason
        assert "int8 2.0 ms" in backend.reason
        chosen = backend.infer(crops)
    with OpenVinoBackend(tiny_int8(), threads=1, cache=cache) as backend:
        assert "int8 (the file's precision)" in backend.reason
        np.testing.assert_array_equal(backend.infer(crops), chosen)
    # the next start remembers it, and compiles this model only
    times(int8=9.0, plain=3.0)
    opened = []
    compiled = rtseg.backends.openvino._Compiled
    monkeypatch.setattr(
        "rtseg.backends.openvino._Compiled",
        lambda *arguments: opened.append(arguments) or compiled(*arguments),
    )
    with OpenVinoBackend(tiny_onnx(), **files) as backend:
        assert backend.precision == "int8"
        assert "int8 2.0 ms" in backend.reason
    assert len(opened) == 1
    # for another number of threads it is another question
    with OpenVinoBackend(tiny_onnx(), **{**files, "threads": 2}) as backend:
        assert backend.precision in ("fp32", "bf16", "fp16")
        assert "int8 9.0 ms" in backend.reason


def test_int8_is_not_used_for_next_to_nothing(cache, times):
    times(int8=2.9, plain=3.0)
    with OpenVinoBackend(tiny_onnx(), quantized=tiny_int8(), threads=1, cache=cache) as backend:
        assert backend.precision in ("fp32", "bf16", "fp16")
        assert "int8 2.9 ms" in backend.reason


def test_unquantised_layers_compute_in_fp32_on_any_processor(cache):
    with OpenVinoBackend(tiny_int8(), threads=1, cache=cache) as backend:
        compiled = backend._compiled.request.get_compiled_model()
        assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == "f32"


@pytest.mark.parametrize("fine", [0, 8])
def test_the_label_output_is_not_computed(cache, fine):
    """Nobody reads it, and making it takes longer than the rest of a small network."""
    exported = tiny_onnx("fp32", fine)
    rows, columns = exported.model.input_height, exported.model.input_width
    assert LABELS.encode() in exported.data
    with OpenVinoBackend(exported, precision="fp32", threads=1, cache=cache) as backend:
        compiled = backend._compiled.request.get_compiled_model()
        assert [output.get_any_name() for output in compiled.outputs] == [PROBABILITIES]
        steps = [step for step in compiled.get_runtime_model().get_ops() if step.get_output_size()]
        kinds = {step.get_rt_info()["layerType"].astype(str) for step in steps}
        shapes = [tuple(step.get_output_shape(0)) for step in steps]
    assert "Softmax" in kinds
    assert "TopK" not in kinds, "which looks for the largest class of every pixel"
    upsampled = (1, len(exported.model.label_set), rows, columns)
    assert upsampled not in shapes


def test_int8_is_not_tried_without_its_instructions(cache, times, monkeypatch):
    times(int8=2.0, plain=3.0)
    monkeypatch.setattr("rtseg.backends.openvino.has_int8_instructions", lambda: False)
    with OpenVinoBackend(tiny_onnx(), quantized=tiny_int8(), threads=1, cache=cache) as backend:
        assert backend.precision != "int8"
        assert "no int8 instructions" in backend.reason


def test_a_requested_precision_overrides_int8(cache, times):
    times(int8=2.0, plain=3.0)
    with OpenVinoBackend(
        tiny_onnx(), quantized=tiny_int8(), precision="fp32", threads=1, cache=cache
    ) as backend:
        assert backend.precision == "fp32"


def test_a_quantised_file_runs_in_int8_only(cache):
    with pytest.raises(SettingError, match="'fp32': this model is quantised; allowed: auto, int8"):
        OpenVinoBackend(tiny_int8(), precision="fp32", cache=cache)
    with pytest.raises(SettingError, match="'int8': this model is in fp16; `python -m training q"):
        OpenVinoBackend(tiny_onnx(), precision="int8", cache=cache)


def test_a_bug_keeps_its_own_error(cache, monkeypatch):
    import openvino

    class Buggy:
        def get_property(self, _device, _name):
            raise LookupError("a bug")

    monkeypatch.setattr(openvino, "Core", Buggy)
    with pytest.raises(LookupError, match="a bug"):
        OpenVinoBackend(tiny_onnx(), cache=cache)


def test_the_shipped_int8_model_matches_the_shipped_weights(cache):
    """The file states its own accuracy; here it is compared with FP32 on a face it never saw."""
    exported = find_onnx(default_checkpoint_path(), int8=True)
    assert exported.quantization.is_faithful
    crops = portrait_crops(exported.model)
    plain = find_onnx(default_checkpoint_path())
    with (
        OpenVinoBackend(exported, precision="int8", threads=1, cache=cache) as int8,
        OpenVinoBackend(plain, precision="fp32", threads=1, cache=cache) as fp32,
    ):
        assert label_agreement(int8.infer(crops), fp32.infer(crops)) >= 0.99
        assert int8.model.header() == fp32.model.header()


@pytest.mark.parametrize("chosen", ["fp32", "int8"])
def test_side_by_side_gives_equal_results(cache, times, chosen):
    """Also for a precision that was chosen by measuring."""
    times(int8=2.0 if chosen == "int8" else 9.0, plain=4.0)
    crops = tiny_crops(2)
    with OpenVinoBackend(tiny_onnx(), quantized=tiny_int8(), threads=2, cache=cache) as backend:
        assert (backend.precision == "int8") == (chosen == "int8")
        assert backend.side_by_side(1) is None, "nothing is gained for one"
        wide = backend.side_by_side(4)
        assert "2 crops at once" in wide.reason
        assert wide.precision == backend.precision
        expected = backend.infer(crops)
        got = {}

        def ask(number):
            got[number] = wide.infer(crops[number : number + 1])[0]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        wide.close()
    for number in range(2):
        np.testing.assert_allclose(got[number], expected[number], atol=1e-5)


def test_one_thread_runs_nothing_side_by_side(cache):
    with OpenVinoBackend(tiny_onnx(), precision="fp32", threads=1, cache=cache) as backend:
        assert backend.side_by_side(4) is None


def test_other_devices_are_refused(cache):
    with pytest.raises(SettingError, match=r"device cuda: .* allowed: cpu"):
        OpenVinoBackend(tiny_onnx(), device="cuda", cache=cache)


def test_a_missing_openvino_is_reported_by_name(cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match=r"pip install openvino"):
        OpenVinoBackend(tiny_onnx(), cache=cache)


def test_compiled_models_are_cached(cache):
    crops = tiny_crops(2)
    with OpenVinoBackend(tiny_onnx(), precision="fp32", threads=1, cache=cache) as backend:
        first = backend.infer(crops)
    kept = sorted(path.name for path in cache.iterdir())
    assert kept
    with OpenVinoBackend(tiny_onnx(), precision="fp32", threads=1, cache=cache) as backend:
        np.testing.assert_array_equal(backend.infer(crops), first)
    assert sorted(path.name for path in cache.iterdir()) == kept


def test_without_a_cache_folder_it_runs_with_a_message(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with OpenVinoBackend(
        tiny_onnx(), precision="fp32", threads=1, cache=tmp_path / "file" / "x"
    ) as backend:
        backend.infer(tiny_crops(1))
    assert "compiled models are not cached" in caplog.text


def test_a_failure_is_reported_in_one_line(cache, monkeypatch):
    backend = OpenVinoBackend(tiny_onnx(), precision="fp32", threads=1, cache=cache)

    class Broken:
        def infer(self):
            raise RuntimeError("Exception from src/x.cpp:1:\n\nthe primitive failed\n")

    monkeypatch.setattr(backend._compiled, "request", Broken())
    with pytest.raises(BackendError) as raised:
        backend.infer(tiny_crops(1))
    assert str(raised.value) == "the openvino backend failed: the primitive failed"


def test_the_shipped_onnx_file_matches_the_shipped_weights(cache):
    """Compared in the file's own precision, on a real face, with PyTorch in FP32."""
    exported = find_onnx(default_checkpoint_path())  # raises where the digest differs
    crops = portrait_crops(exported.model)
    with (
        OpenVinoBackend(exported, precision="fp32", threads=1, cache=cache) as openvino,
        open_backend("torch", device="cpu", precision="fp32", threads=1) as pytorch,
    ):
        assert label_agreement(openvino.infer(crops), pytorch.infer(crops)) >= 0.995
        assert openvino.model.header() == pytorch.model.header()


PROGRAM = """
import sys
import numpy as np
from rtseg.backends import open_backend
backend = open_backend("openvino", threads=1)
size = (backend.model.input_height, backend.model.input_width, 3)
print(backend.infer(np.zeros((1, *size), np.uint8)).shape[0])
print([name for name in ("torch", "onnx", "tensorrt") if name in sys.modules])
"""


def test_it_starts_without_torch():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "1\n[]\n"


def test_ctrl_c_after_closing_on_another_thread_does_not_crash(tmp_path):
    # What OpenVINO leaves behind in a compiling thread crashed the process here (SIGSEGV).
    code = (
        "import gc, os, signal, sys, threading, time\n"
        # background jobs of a shell inherit an ignored Ctrl-C
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from rtseg.backends import open_backend\n"
        "backend = open_backend('openvino')\n"
        "backend.warm_up()\n"
        "closer = threading.Thread(target=backend.close)\n"
        "closer.start(); closer.join(); del backend; gc.collect()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT); time.sleep(5)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(42)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 42, done.stderr


def test_its_threads_are_not_pinned_to_cores(cache):
    """Decoders and encoders share the cores: a thread tied to one core would wait long for it."""
    with OpenVinoBackend(tiny_onnx(), threads=1, cache=cache) as backend:
        compiled = backend._compiled.request.get_compiled_model()
        assert compiled.get_property("ENABLE_CPU_PINNING") is False
