"""The TensorRT backend's control flow, on a fake GPU; tests/backends/test_gpu.py has the real."""

import gc
import json
import logging
import subprocess
import sys
import threading

import numpy as np
import pytest

from rtseg.backends.tensorrt import EngineRecipe, prepare_engine
from rtseg.backends.tensorrt.backend import TensorRtBackend
from rtseg.backends.tensorrt.loading import open_built, open_tensorrt, recipe_for
from rtseg.errors import BackendError, DeviceMemoryError, ModelError, SettingError
from tests.support.exported import HEIGHT, WIDTH, tiny_checkpoint, tiny_crops, tiny_onnx
from tests.support.fakes.machine import install
from tests.support.fakes.tensorrt import probabilities_of

RECIPE = EngineRecipe(name="tiny")
STRIDE = tiny_checkpoint().stride
VERSIONS = ("10.13.0.35", "11.4.0.106")


@pytest.fixture(scope="module", autouse=True)
def models():
    """Exported before any fake is in place: PyTorch looks for a TensorRT of its own."""
    return tiny_onnx("fp16"), tiny_onnx("fp32")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "engines"))
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.loading.parity_check_of", lambda *_args, **_names: agreeing
    )


def agreeing(_plan, _manifest):
    return 1.0


@pytest.fixture(params=VERSIONS)
def machine(request, monkeypatch):
    return install(monkeypatch, version=request.param)


@pytest.fixture
def one_machine(monkeypatch):
    return install(monkeypatch)


def built(recipe=RECIPE):
    return prepare_engine(tiny_onnx(), recipe, parity_check=agreeing)


def opened(recipe=RECIPE, **options):
    engine = built(recipe)
    return TensorRtBackend(engine.read(), engine.manifest, **options)


def expected(crops):
    return probabilities_of(crops, stride=STRIDE, classes=11)


@pytest.mark.parametrize("cuda_graphs", [True, False])
def test_batches_are_padded_run_and_cut(machine, cuda_graphs):
    with opened(cuda_graphs=cuda_graphs) as backend:
        for count, runs in ((1, [1]), (2, [2]), (3, [4]), (5, [8]), (8, [8]), (11, [8, 4])):
            machine.behaviour.executed_batches.clear()
            crops = tiny_crops(count, seed=count)
            found = backend.infer(crops)
            np.testing.assert_array_equal(found, expected(crops))
            assert found.dtype == np.float32
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


def test_a_result_is_its_callers_own(one_machine):
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
    current = one_machine.pycuda.current
    with opened() as backend:
        assert current == []
        backend.infer(tiny_crops(3))
        assert current == []
        one_machine.behaviour.executes = False
        backend.uses_cuda_graphs = False
        with pytest.raises(BackendError, match="TensorRT failed to run"):
            backend.infer(tiny_crops(1))
        assert current == []
    assert current == []
    assert one_machine.pycuda.primary.detached


def test_everything_is_given_back_in_order(one_machine):
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
        *["device memory"] * 3,
        *["host memory"] * 2,
        "detach",
    ]
    assert one_machine.memory.blocks == {}
    backend.close()
    with pytest.raises(BackendError, match="closed"):
        backend.infer(tiny_crops(1))


def test_it_runs_and_closes_on_any_thread(one_machine):
    backend, found = opened(), []
    crops = tiny_crops(2)

    def work():
        found.append(backend.infer(crops))
        backend.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    np.testing.assert_array_equal(found[0], expected(crops))


def test_full_memory_is_named(monkeypatch):
    machine = install(monkeypatch, fits_bytes=1000)
    with pytest.raises(BackendError, match="memory is full"):
        opened()
    assert machine.pycuda.current == []
    assert machine.pycuda.primary.detached
    machine = install(monkeypatch)
    machine.behaviour.no_context = True
    with opened() as backend, pytest.raises(DeviceMemoryError, match="too full for a batch of 1"):
        backend.infer(tiny_crops(1))


def leave_room_for(machine, crops):
    """From here on the GPU has memory to work on so many crops, and for nothing else."""
    held = sum(map(len, machine.memory.blocks.values()))
    machine.memory.fits_bytes = held + crops * machine.behaviour.bytes_per_crop


def test_where_memory_is_full_smaller_batches_are_tried(machine, caplog):
    crops = tiny_crops(11)
    with opened() as backend:
        leave_room_for(machine, 3)
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert backend.max_batch == 2
        assert set(machine.behaviour.executed_batches) == {2, 1}
        said = [record.getMessage() for record in caplog.records]
        assert [text.partition("is too full for ")[2] for text in said] == [
            "a batch of 8: going on with batches of 4",
            "a batch of 4: going on with batches of 2",
        ]
        machine.memory.fits_bytes = 1 << 40
        backend.infer(crops)
        assert backend.max_batch == 2, "what filled the memory may do so again"
        assert len(caplog.records) == 2
    assert machine.memory.blocks == {}


def test_what_other_sizes_hold_is_given_back_first(one_machine):
    crops = tiny_crops(8)
    with opened() as backend:
        backend.infer(crops[:2])
        leave_room_for(one_machine, 2)  # together with those two, for four
        np.testing.assert_array_equal(backend.infer(crops), expected(crops))
        assert backend.max_batch == 4
        assert len(one_machine.memory.blocks) == 3 + 1


def test_one_crop_is_tried_again_without_the_larger_sizes(one_machine):
    with opened() as backend:
        backend.infer(tiny_crops(4))
        leave_room_for(one_machine, 0)
        np.testing.assert_array_equal(backend.infer(tiny_crops(1)), expected(tiny_crops(1)))


@pytest.mark.parametrize("count", [1, 5, 8])
def test_memory_too_full_for_one_crop_is_a_typed_error(one_machine, count):
    with opened() as backend:
        leave_room_for(one_machine, 0)
        with pytest.raises(DeviceMemoryError, match="memory is full; close other programs"):
            backend.infer(tiny_crops(count))
        assert one_machine.pycuda.current == []
        assert len(one_machine.memory.blocks) == 3, "what a failed call took is given back"
        one_machine.memory.fits_bytes = 1 << 40
        np.testing.assert_array_equal(backend.infer(tiny_crops(1)), expected(tiny_crops(1)))


def test_a_graph_that_finds_no_memory_means_smaller_batches_too(monkeypatch):
    machine = install(monkeypatch, failing_driver_call="cuGraphInstantiateWithFlags")
    machine.driver.failing_code = 2
    with opened() as backend:
        with pytest.raises(DeviceMemoryError, match="too full for a CUDA graph"):
            backend.infer(tiny_crops(8))
        assert (backend.max_batch, backend.uses_cuda_graphs) == (1, True)
        assert len(machine.memory.blocks) == 3


def test_a_run_that_finds_no_memory_is_told_from_other_failures(one_machine):
    one_machine.behaviour.executes = False
    with opened() as backend:
        with pytest.raises(BackendError, match="TensorRT failed to run") as caught:
            backend.infer(tiny_crops(8))
        assert not isinstance(caught.value, DeviceMemoryError)
        assert backend.max_batch == 8
        backend._logger.errors.append("Cuda Runtime (out of memory)")
        with pytest.raises(DeviceMemoryError, match="TensorRT failed to run"):
            backend.infer(tiny_crops(8))
        assert backend.max_batch == 1


def test_an_engine_of_something_else_is_refused(one_machine):
    engine = built()
    plan = json.loads(engine.read())
    plan["classes"] = 12
    with pytest.raises(BackendError, match="not one of rtseg's"):
        TensorRtBackend(json.dumps(plan).encode(), engine.manifest)
    plan = json.loads(engine.read())
    plan["profile"][2][0] = 4
    with pytest.raises(BackendError, match="batches up to 4"):
        TensorRtBackend(json.dumps(plan).encode(), engine.manifest)


def test_wrong_crops_are_refused(one_machine):
    with opened() as backend:
        for wrong in (tiny_crops(1)[:, :32], tiny_crops(1).astype(np.float32), tiny_crops(1)[0]):
            with pytest.raises(SettingError, match="crops must be uint8"):
                backend.infer(wrong)


def test_an_engine_that_does_not_load_is_built_anew_once(machine, caplog):
    built()
    machine.behaviour.loads = lambda plan: plan["build"] > 1
    with open_tensorrt(tiny_onnx(), RECIPE) as backend:
        assert backend.name == "tensorrt"
    assert machine.behaviour.builds == 2
    assert "building it anew" in caplog.text
    machine.behaviour.loads = lambda _plan: False
    with pytest.raises(BackendError, match="rtseg doctor"):
        open_tensorrt(tiny_onnx(), RECIPE)
    assert machine.behaviour.builds == 3


def test_opening_builds_where_asked_for_and_only_there(one_machine):
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


def test_precisions(one_machine):
    assert recipe_for("face-parts").precision == "fp16"
    assert recipe_for("mine", precision="fp32") == EngineRecipe(name="mine", precision="fp32")
    with pytest.raises(SettingError, match="allowed: auto, fp32, fp16"):
        recipe_for("mine", precision="bf16")
    # FP16 is widened to FP32, but never the other way: that needs the exporter
    with open_tensorrt(tiny_onnx(), recipe_for("tiny", precision="fp32")) as backend:
        assert backend.precision == "fp32"
    with pytest.raises(ModelError, match="--precision fp16"):
        open_tensorrt(tiny_onnx("fp32"), RECIPE)


def test_a_missing_pycuda_is_named(one_machine, monkeypatch):
    engine = built()
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(BackendError, match="needs PyCUDA"):
        TensorRtBackend(engine.read(), engine.manifest)


def test_progress_reaches_the_caller(one_machine, caplog):
    seen = []
    with caplog.at_level(logging.INFO, "rtseg"):
        open_tensorrt(tiny_onnx(), RECIPE, on_progress=lambda *step: seen.append(step)).close()
    assert {phase for _share, phase in seen} == {"Building", "Timing"}


NO_DRIVER = """
import sys
from rtseg.backends.tensorrt.loading import find_engine
from rtseg.backends.tensorrt import EngineRecipe
from rtseg.errors import BackendError
from rtseg.export import read_onnx
try:
    find_engine(read_onnx(sys.argv[1]), EngineRecipe())
except BackendError as error:
    print(error)
print([name for name in ("torch", "tensorrt", "pycuda", "onnx", "cv2") if name in sys.modules])
"""


def test_without_a_gpu_it_says_so_and_loads_nothing(tmp_path):
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
