"""The TensorRT backend's control flow on a fake GPU; tests/backends/test_gpu.py uses a real one."""

import gc
import json
import logging
import subprocess
import sys
import threading

import numpy as np
import pytest

from rtseg.backends.tensorrt import (
    EngineRecipe,
    StaleEngineError,
    list_engines,
)
from rtseg.backends.tensorrt.backend import TensorRtBackend
from rtseg.backends.tensorrt.loading import open_built, open_tensorrt, recipe_for
from rtseg.errors import BackendError, DeviceMemoryError, ModelError, SettingError
from tests.backends.tensorrt.opened import (
    RECIPE,
    STRIDE,
    VERSIONS,
    built,
    expected,
    opened,
    stacks,
)
from tests.support.exported import HEIGHT, WIDTH, tiny_crops, tiny_onnx
from tests.support.fakes.machine import install

pytestmark = pytest.mark.usefixtures("models", "agreeing_builds")


@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_batches_are_padded_run_and_split(machine, cuda_graphs):
    with opened(cuda_graphs=cuda_graphs) as backend:
        for count, runs in ((1, [1]), (2, [2]), (3, [4]), (5, [8]), (8, [8]), (11, [8, 4])):
            machine.behaviour.executed_batches.clear()
            crops = tiny_crops(count, seed=count)
            probabilities = backend.infer(crops)
            np.testing.assert_array_equal(probabilities, expected(crops))
            assert probabilities.dtype == np.float32
            # with graphs, a size's first use also runs it once before recording
            assert machine.behaviour.executed_batches[-len(runs) :] == runs
            assert set(machine.behaviour.executed_batches) == set(runs)
        assert backend.infer(tiny_crops(0)).shape == (0, HEIGHT // STRIDE, WIDTH // STRIDE, 11)


def test_each_size_is_recorded_once_and_replayed(one_machine):
    with opened() as backend:
        backend.warm_up()
        assert one_machine.behaviour.executed_batches == [1, 1, 2, 2, 4, 4, 8, 8]
        assert one_machine.driver.launches == 4
        for seed in range(3):
            crops = tiny_crops(2, seed=seed)
            np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert one_machine.driver.launches == 7


@pytest.mark.parametrize(
    "call", ["cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags"]
)
def test_without_graphs_it_runs_call_by_call_and_says_so(monkeypatch, caplog, call):
    machine = install(monkeypatch, failing_driver_call=call)
    with opened() as backend:
        for count in (1, 1, 2):
            crops = tiny_crops(count)
            np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert not backend.uses_cuda_graphs
    assert machine.driver.launches == 0
    assert caplog.text.count("CUDA graphs do not work here") == 1


def test_a_result_is_not_overwritten_by_the_next_call(one_machine):
    with opened() as backend:
        first = backend.infer(tiny_crops(1, seed=1))
        kept = first.copy()
        backend.infer(tiny_crops(1, seed=2))
        np.testing.assert_array_equal(first, kept)


def test_a_smaller_engine_cuts_batches_at_its_own_limit(one_machine):
    with opened(EngineRecipe(name="tiny", largest_batch=2)) as backend:
        assert backend.max_batch == 2
        crops = tiny_crops(5)
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert set(one_machine.behaviour.executed_batches) == {1, 2}


def test_the_context_is_current_only_inside_calls(one_machine):
    with opened() as backend:
        assert stacks(one_machine) == ([], [])
        backend.infer(tiny_crops(3))
        assert stacks(one_machine) == ([], [])
        one_machine.behaviour.executes = False
        backend.uses_cuda_graphs = False
        with pytest.raises(BackendError, match="TensorRT failed to run"):
            backend.infer(tiny_crops(1))
        assert stacks(one_machine) == ([], [])
    # releasing the primary context does not pop it, which has to be done separately
    assert stacks(one_machine) == ([], [])
    assert not any(one_machine.memory.alive().values())


def test_another_context_is_current_again_afterwards(one_machine):
    other_context = one_machine.pycuda.Device(1).retain_primary_context()
    other_context.push()
    with opened() as backend:
        backend.infer(tiny_crops(1))
        assert stacks(one_machine) == ([other_context], [other_context])
    assert stacks(one_machine) == ([other_context], [other_context])
    other_context.pop()


def test_everything_is_freed_in_order(one_machine):
    backend = opened()
    backend.infer(tiny_crops(1))
    backend.infer(tiny_crops(2))
    one_machine.behaviour.events.clear()
    backend.close()
    gc.collect()
    assert one_machine.behaviour.events == [
        *["graph", "context", "device memory"] * 2,
        "engine",
        "runtime",
        *["device memory"] * 2,
        *["host memory"] * 2,
        "detach",
    ]
    assert not any(one_machine.memory.alive().values())
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(tiny_crops(1))


def test_an_unclosed_backend_is_freed_when_it_is_dropped(one_machine):
    backend = opened()
    backend.infer(tiny_crops(2))
    assert one_machine.memory.alive()["device blocks"] == 3
    del backend
    gc.collect()
    assert not any(one_machine.memory.alive().values())
    assert stacks(one_machine) == ([], [])


@pytest.mark.parametrize("call", ["cuStreamSynchronize", "cuCtxPushCurrent", "cuCtxPopCurrent"])
def test_a_failed_device_leaves_no_context_behind(one_machine, call):
    """PyCUDA would abort the process at exit if its stack were not empty."""
    backend = opened()
    backend.infer(tiny_crops(1))
    one_machine.memory.failing[call] = one_machine.pycuda.Error(f"{call} failed: illegal address")
    with pytest.raises(BackendError, match="illegal address"):
        backend.close()
    assert one_machine.memory.pycuda_stack == []
    assert one_machine.memory.references == 0
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(tiny_crops(1))


def test_an_error_while_closing_does_not_hide_the_first_error(one_machine, caplog):
    def run_and_die():
        with opened() as backend:
            backend.infer(tiny_crops(1))
            one_machine.driver.failing, one_machine.driver.failing_code = "cuGraphLaunch", 700
            error = one_machine.pycuda.Error("it is gone")
            one_machine.memory.failing["cuStreamSynchronize"] = error
            backend.infer(tiny_crops(1))

    with pytest.raises(
        BackendError, match=r"CUDA error 700, ILLEGAL_ADDRESS: a kernel accessed memory"
    ):
        run_and_die()
    assert "it is gone" in caplog.text


@pytest.mark.parametrize("fails_at", ["cuMemHostAlloc", "cuMemAlloc"])
def test_resources_are_freed_after_a_failure_while_opening(one_machine, fails_at):
    error = one_machine.pycuda.MemoryError(f"{fails_at} failed: out of memory")
    one_machine.memory.failing[fails_at] = error
    with pytest.raises(DeviceMemoryError):
        opened()
    assert not any(one_machine.memory.alive().values())
    assert stacks(one_machine) == ([], [])


def test_a_runtime_that_cannot_be_created_is_a_backend_error(machine):
    engine = built()
    machine.behaviour.makes_nothing = ("Runtime",)
    with pytest.raises(BackendError, match="could not make a runtime"):
        TensorRtBackend(engine.read(), engine.manifest)
    assert not any(machine.memory.alive().values())


def test_device_time_covers_the_whole_call(one_machine):
    with opened() as backend:
        backend.infer(tiny_crops(3))
        assert backend.device_seconds == 0.0015
        backend.infer(tiny_crops(11))
        assert backend.device_seconds == pytest.approx(0.003), "batches of 8 and of 4"
        backend.infer(tiny_crops(0))
        assert backend.device_seconds is None
        backend.infer(tiny_crops(1))
        one_machine.memory.failing["cuStreamSynchronize"] = one_machine.pycuda.Error("gone")
        with pytest.raises(BackendError):
            backend.infer(tiny_crops(1))
        assert backend.device_seconds is None, "not an earlier call's"
        del one_machine.memory.failing["cuStreamSynchronize"]


def test_another_device_can_be_chosen(one_machine):
    with open_tensorrt(tiny_onnx(), RECIPE, device_index=1) as backend:
        assert backend.device == "cuda:1 (NVIDIA Fake 4000)"
    with pytest.raises(SettingError, match="cuda:2: does not exist; found: cuda:0, cuda:1"):
        open_tensorrt(tiny_onnx(), RECIPE, device_index=2)


def test_every_graph_is_recorded_before_the_first_call(one_machine):
    with open_tensorrt(tiny_onnx(), RECIPE) as backend:
        one_machine.behaviour.executed_batches.clear()
        before = one_machine.driver.launches
        backend.infer(tiny_crops(3))
        assert one_machine.driver.launches == before + 1
        assert one_machine.behaviour.executed_batches == [4]


def test_kernels_of_tensorrt_rtx_are_compiled_once_and_cached(monkeypatch, caplog):
    machine = install(monkeypatch, version=VERSIONS[-1])
    with open_tensorrt(tiny_onnx(), RECIPE) as backend:
        crops = tiny_crops(5)
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
    assert machine.behaviour.compiled_kernels == 4
    (engine,) = list_engines()
    (kept,) = engine.path.parent.glob("*.kernels")
    for change in ("none", "damage", "another driver"):
        machine.behaviour.compiled_kernels = 0
        machine.behaviour.kernels_fit = change != "another driver"
        if change == "damage":
            kept.write_bytes(kept.read_bytes()[:-1])
        with open_built(tiny_onnx(), RECIPE) as backend:
            np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert machine.behaviour.compiled_kernels == (0 if change == "none" else 4)
        assert (f"{kept}: damaged" in caplog.text) == (change != "none")
    # a folder that cannot be written to only costs time
    kept.unlink()
    monkeypatch.setattr("rtseg.backends.tensorrt.kernel_cache.write_private", no_room)
    with open_built(tiny_onnx(), RECIPE) as backend:
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
    assert "compiled kernels are not cached: the disk is full" in caplog.text


def no_room(_path, _data):
    raise BackendError("the disk is full")


def test_an_engine_that_cannot_be_recorded_runs_call_by_call(monkeypatch, caplog):
    machine = install(monkeypatch, version=VERSIONS[-1])
    machine.behaviour.is_capturable = False
    with opened() as backend:
        crops = tiny_crops(2)
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert not backend.uses_cuda_graphs
    assert "the engine cannot be recorded" in caplog.text
    assert machine.driver.launches == 0


def test_an_engine_of_the_other_flavour_is_not_loaded(monkeypatch):
    install(monkeypatch)
    engine = built()
    install(monkeypatch, version=VERSIONS[-1])
    with pytest.raises(StaleEngineError, match=r"built by TensorRT 11.*, and TensorRT-RTX 1"):
        TensorRtBackend(engine.read(), engine.manifest)


def test_it_runs_and_closes_on_any_thread(one_machine):
    backend, results = opened(), []
    crops = tiny_crops(2)

    def work():
        results.append(backend.infer(crops))
        backend.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    np.testing.assert_array_equal(results[0], expected(crops))


def test_an_engine_with_other_tensors_is_refused(one_machine):
    engine = built()
    plan = json.loads(engine.read())
    plan["classes"] = 12
    with pytest.raises(BackendError, match="not one of rtseg's"):
        TensorRtBackend(json.dumps(plan).encode(), engine.manifest)
    plan = json.loads(engine.read())
    plan["profiles"].pop()
    with pytest.raises(BackendError, match=r"for batches of \[1, 2, 4\]; expected"):
        TensorRtBackend(json.dumps(plan).encode(), engine.manifest)


def test_wrong_crops_are_refused(one_machine):
    with opened() as backend:
        for wrong in (tiny_crops(1)[:, :32], tiny_crops(1).astype(np.float32), tiny_crops(1)[0]):
            with pytest.raises(SettingError, match="crops must be uint8"):
                backend.infer(wrong)


def test_an_engine_that_does_not_load_is_rebuilt_once(machine, caplog):
    built()
    machine.behaviour.loads = lambda plan: plan["build"] > 1
    with open_tensorrt(tiny_onnx(), RECIPE) as backend:
        assert backend.name == "tensorrt"
    assert machine.behaviour.builds == 2
    assert "rebuilding it" in caplog.text
    machine.behaviour.loads = lambda _plan: False
    with pytest.raises(BackendError, match="rtseg doctor"):
        open_tensorrt(tiny_onnx(), RECIPE)
    assert machine.behaviour.builds == 3


def test_an_engine_is_built_on_request_only(one_machine):
    assert open_built(tiny_onnx(), RECIPE) is None
    assert one_machine.behaviour.builds == 0
    with open_tensorrt(tiny_onnx(), RECIPE) as backend:
        assert backend.precision == "fp16"
        assert "NVIDIA Fake 4000" in backend.device
        assert "fp16" in backend.reason
    again = open_built(tiny_onnx(), RECIPE)
    assert again is not None
    again.close()
    assert one_machine.behaviour.builds == 1


def test_precisions_are_chosen_or_refused(one_machine):
    assert recipe_for("face-parts").precision == "fp16"
    assert recipe_for("mine", precision="fp32") == EngineRecipe(name="mine", precision="fp32")
    with pytest.raises(SettingError, match="allowed: auto, fp32, fp16"):
        recipe_for("mine", precision="bf16")
    # FP16 is converted to FP32, but never the other way, which needs the exporter
    with open_tensorrt(tiny_onnx(), recipe_for("tiny", precision="fp32")) as backend:
        assert backend.precision == "fp32"
    with pytest.raises(ModelError, match="--precision fp16"):
        open_tensorrt(tiny_onnx("fp32"), RECIPE)


def test_without_cuda_packages_the_error_names_both(one_machine, monkeypatch):
    engine = built()
    for name in ("pycuda", "pycuda.driver", "cuda", "cuda.bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=r"needs PyCUDA .* or cuda-bindings .*pip install cuda"):
        TensorRtBackend(engine.read(), engine.manifest)


def test_progress_reaches_the_callback(one_machine, caplog):
    steps = []
    with caplog.at_level(logging.INFO, "rtseg"):
        open_tensorrt(tiny_onnx(), RECIPE, on_progress=lambda *step: steps.append(step)).close()
    assert {phase for _share, phase in steps} == {"Building", "Timing"}


NO_DRIVER = """
import sys
from rtseg.backends.tensorrt.loading import open_built
from rtseg.backends.tensorrt import EngineRecipe
from rtseg.errors import BackendError
from rtseg.export import read_onnx
try:
    open_built(read_onnx(sys.argv[1]), EngineRecipe())
except BackendError as error:
    print(error)
print([name for name in ("torch", "tensorrt", "pycuda", "onnx", "cv2") if name in sys.modules])
"""


def test_without_a_gpu_nothing_is_loaded(tmp_path):
    from rtseg.system.nvidia import nvidia_driver_problem

    if nvidia_driver_problem() is None:
        pytest.skip("there is a GPU")
    model = tmp_path / "tiny.onnx"
    model.write_bytes(tiny_onnx().data)
    done = subprocess.run(
        [sys.executable, "-c", NO_DRIVER, str(model)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said, loaded = done.stdout.splitlines()
    assert said.startswith("TensorRT cannot run here: no NVIDIA driver")
    assert loaded == "[]"
