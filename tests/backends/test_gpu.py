"""TensorRT, PyCUDA and CUDA on a real NVIDIA GPU.

Skipped without one; fails without one under RTSEG_REQUIRE_GPU=1. Figures are printed, not
asserted (`pytest -m gpu -s`).
"""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from rtseg.backends import open_backend
from rtseg.backends.parity import label_agreement, portrait_crops
from rtseg.errors import BackendError
from tests.backends.gpu import require_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", autouse=True)
def gpu():
    require_gpu()


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    require_tensorrt()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RTSEG_ENGINE_DIR", str(tmp_path_factory.mktemp("engines")))
        yield


def require_tensorrt():
    """Skip if neither library runs here: TensorRT-RTX has no kernels for data-centre cards."""
    from rtseg.backends.tensorrt import this_machine

    try:
        this_machine()
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def reference():
    with open_backend("torch", device="cpu", precision="fp32") as backend:
        crops = portrait_crops(backend.model)
        return crops, backend.infer(crops)


def show(figure):
    sys.stdout.write(f"\n{figure}")


def median_ms(work, count=50):
    work()
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        samples.append(time.perf_counter() - start)
    return 1e3 * float(np.median(samples))


@pytest.mark.parametrize(("precision", "least"), [("fp16", 0.995), ("fp32", 0.999), ("int8", 0.98)])
def test_tensorrt_builds_loads_and_agrees(engines, reference, precision, least):
    crops, expected = reference
    start = time.perf_counter()
    with open_backend("tensorrt", precision=precision) as backend:
        built = time.perf_counter() - start
        assert backend.precision == precision
        assert label_agreement(backend.infer(crops), expected) >= least
    start = time.perf_counter()
    with open_backend("tensorrt", precision=precision) as backend:
        loaded = time.perf_counter() - start
        show(f"tensorrt {precision}: built in {built:.1f} s, loaded in {loaded:.2f} s")
        assert label_agreement(backend.infer(crops), expected) >= least


def test_auto_takes_the_built_engine(engines, reference):
    crops, expected = reference
    open_backend("tensorrt").close()
    with open_backend("auto") as backend:
        assert backend.name == "tensorrt"
        assert label_agreement(backend.infer(crops), expected) >= 0.995


def test_graphs_agree_with_eager_calls(engines, reference):
    from rtseg.backends.tensorrt import this_machine
    from rtseg.backends.tensorrt.backend import TensorRtBackend
    from rtseg.backends.tensorrt.loading import build_engine, recipe_for
    from rtseg.export import find_onnx
    from rtseg.weights import default_checkpoint_path

    crops, _expected = reference
    path = default_checkpoint_path()
    engine = build_engine(find_onnx(path), recipe_for("face-parts"), this_machine(), weights=path)
    sixteen = np.concatenate([crops, crops])
    results, figures = {}, {}
    for graphs in (True, False):
        with TensorRtBackend(engine.read(), engine.manifest, cuda_graphs=graphs) as backend:
            backend.warm_up()
            assert backend.uses_cuda_graphs == graphs
            results[graphs] = backend.infer(sixteen)
            for faces in (1, 4, 16):
                part = sixteen[:faces]
                figures[graphs, faces] = median_ms(lambda part=part, b=backend: b.infer(part))
    np.testing.assert_array_equal(results[True], results[False])
    for faces in (1, 4, 16):
        graph, eager = figures[True, faces], figures[False, faces]
        show(f"{faces} faces: graph {graph:.3f} ms, eager {eager:.3f} ms")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_torch_on_cuda_agrees(reference, precision):
    crops, expected = reference
    with open_backend("torch", device="cuda", precision=precision) as backend:
        least = 0.999 if precision == "fp32" else 0.995
        assert label_agreement(backend.infer(crops), expected) >= least
        for faces in (1, 4, 8):
            ms = median_ms(lambda faces=faces: backend.infer(crops[:faces]))
            show(f"torch {precision}, {faces} faces: {ms:.3f} ms")


def test_torch_graphs_agree_with_eager_calls(reference):
    from rtseg.backends.torch.backend import TorchBackend
    from rtseg.checkpoint import read_checkpoint
    from rtseg.weights import default_checkpoint_path

    crops, _expected = reference
    sixteen = np.concatenate([crops, crops])
    model = read_checkpoint(default_checkpoint_path())
    results, figures = {}, {}
    for graphs in (True, False):
        with TorchBackend(model, device="cuda", precision="fp16", cuda_graphs=graphs) as backend:
            backend.warm_up()
            assert backend.uses_cuda_graphs == graphs
            assert set(backend._graphed) == {1, 2, 4, 8}
            results[graphs] = backend.infer(sixteen)
            for faces in (1, 4, 16):
                part = sixteen[:faces]
                host_ms = median_ms(lambda part=part, b=backend: b.infer(part))
                assert 0 < backend.device_seconds * 1e3 < host_ms * 1.5
                figures[graphs, faces] = host_ms, backend.device_seconds * 1e3
    assert label_agreement(results[True], results[False]) >= 0.999
    for faces in (1, 4, 16):
        (graph, on_device), (eager, _) = figures[True, faces], figures[False, faces]
        show(f"{faces} faces: graph {graph:.3f} ms ({on_device:.3f} by CUDA), eager {eager:.3f} ms")


def test_memory_running_out_during_a_run_falls_back(reference, caplog):
    """Another program's memory is simulated by a limit on this process's share."""
    import torch

    crops, expected = reference
    with open_backend("auto", device="auto", precision="auto") as backend:
        if backend.name != "torch":
            pytest.skip(f"{backend.name} comes first here; its own tests inject full memory")
        backend.infer(crops[:1])
        torch.cuda.empty_cache()
        # no more memory than is already allocated; the next batch size needs its own buffers
        share = torch.cuda.memory_reserved() / torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(share)
        try:
            probabilities = backend.infer(crops)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        assert label_agreement(probabilities, expected) >= 0.99
        assert "memory" in caplog.text
        show(f"afterwards: {backend.reason}, batches of {backend.max_batch}")


def test_torch_requested_by_name_does_not_leave_a_full_gpu(reference):
    import torch

    from rtseg.errors import DeviceMemoryError

    crops, _expected = reference
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-7)
    try:
        with pytest.raises(DeviceMemoryError, match="memory is full"):
            open_backend("torch", device="cuda").infer(crops)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_pycuda_buffers_and_streams_work_alone():
    cuda = pytest.importorskip("pycuda.driver")
    cuda.init()
    context = cuda.Device(0).retain_primary_context()
    context.push()
    try:
        stream = cuda.Stream()
        sent, back = (cuda.pagelocked_empty((1 << 20,), np.uint8) for _ in range(2))
        sent[:] = np.random.default_rng(0).integers(0, 256, sent.size, np.uint8)
        back[:] = 0
        memory = cuda.mem_alloc(sent.nbytes)
        cuda.memcpy_htod_async(memory, sent[: 1 << 19], stream)
        cuda.memcpy_dtoh_async(back[: 1 << 19], memory, stream)
        stream.synchronize()
        np.testing.assert_array_equal(back[: 1 << 19], sent[: 1 << 19])
        assert not back[1 << 19 :].any()
        memory.free()
        sent.base.free()
        back.base.free()
    finally:
        context.detach()


def test_torch_and_pycuda_share_the_device(engines, reference):
    """Closing one does not take the device's context from the other."""
    crops, expected = reference
    with open_backend("torch", device="cuda", precision="fp32") as torch_backend:
        with open_backend("tensorrt") as backend:
            backend.infer(crops)
            assert label_agreement(torch_backend.infer(crops), expected) >= 0.999
        assert label_agreement(torch_backend.infer(crops), expected) >= 0.999
