"""Runs of the TensorRT backend on a stub of libcuda.

`python -m tests.backends.tensorrt.cuda_stub_runs MODEL FOLDER NAME…` executes them one after the
other with an exported tiny model. The stub is the process's libcuda (LD_LIBRARY_PATH), driven by
the real PyCUDA or the real cuda-bindings, as the variable RTSEG_CUDA says. TensorRT is the fake
one, whose kernels run on the stub's streams. A run prints its name, or fails with an assertion.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtseg.backends.tensorrt import EngineRecipe, cuda_device, prepare_engine, this_machine
from rtseg.backends.tensorrt.backend import TensorRtBackend
from rtseg.errors import BackendError, DeviceMemoryError
from rtseg.export.onnx_file import read_onnx
from rtseg.system.nvidia import cuda_driver, find_gpu, find_gpus, nvidia_driver_problem
from tests.support.exported import tiny_crops
from tests.support.fakes.tensorrt import make_tensorrt
from tests.support.fakes.tensorrt_behaviour import Behaviour, probabilities_of

DEVICE_BLOCKS, HOST_BLOCKS, STREAMS, GRAPHS, EXECUTABLES, EVENTS = range(6)
PAGEABLE_COPIES, BAD_FREES, BAD_COPIES, LEGACY_CALLS, LAUNCHES = range(5)
MODEL = ""
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)

LEFT_OPEN: list[TensorRtBackend] = []

stub = cuda_driver()
stub.stub_live.restype = stub.stub_count.restype = ctypes.c_long


class StubMemory:
    """Device memory for the fake TensorRT: the stub's addresses are ordinary ones."""

    def __init__(self) -> None:
        self._kernels: list[Any] = []
        self.beside: Callable[[], None] = lambda: None
        self.blocks = self
        self.streams = self

    def __contains__(self, address: int) -> bool:
        return True

    def __getitem__(self, address: int) -> Any:
        return range(1 << 40)

    def read(self, address: int, shape: tuple[int, ...]) -> np.ndarray:
        memory = (ctypes.c_uint8 * int(np.prod(shape))).from_address(address)
        return np.frombuffer(memory, np.uint8).reshape(shape).copy()

    def write(self, address: int, values: np.ndarray) -> None:
        ctypes.memmove(address, values.tobytes(), values.nbytes)

    def enqueue(self, stream_handle: int, work: Callable[[], None]) -> None:
        self.beside()
        kernel = KERNEL(lambda _argument: work())
        self._kernels.append(kernel)
        code = stub.stub_enqueue(ctypes.c_void_p(stream_handle), kernel, None)
        assert code == 0, code


def opened(patch: pytest.MonkeyPatch, **options: Any) -> tuple[TensorRtBackend, Behaviour]:
    behaviour = Behaviour()
    behaviour.memory = StubMemory()
    module = make_tensorrt("11.4.0.106", behaviour)
    patch.setitem(sys.modules, "tensorrt", module)
    patch.setattr("rtseg.backends.tensorrt.library.installed_flavours", lambda: ("tensorrt",))
    engine = prepare_engine(
        read_onnx(MODEL), EngineRecipe(name="tiny"), this_machine(), parity_check=lambda *_: 1.0
    )
    return TensorRtBackend(engine.read(), engine.manifest, **options), behaviour


def expected(crops: np.ndarray) -> np.ndarray:
    return probabilities_of(crops, stride=4, classes=11)


def nothing_is_left() -> None:
    gc.collect()
    alive = [stub.stub_live(kind) for kind in range(6)]
    assert alive == [0] * 6, alive
    assert (stub.stub_depth(), stub.stub_references(0)) == (0, 0)
    faults = [stub.stub_count(what) for what in (PAGEABLE_COPIES, BAD_FREES, BAD_COPIES)]
    assert faults == [0, 0, 0], faults


def run_close(patch: pytest.MonkeyPatch) -> None:
    """Run batches through graphs and free everything, twice, since memory must not grow."""
    for _ in range(2):
        backend, _behaviour = opened(patch)
        assert os.environ["RTSEG_CUDA"] in backend.reason
        backend.warm_up()
        for count in (1, 2, 3, 5, 8, 11):
            crops = tiny_crops(count, seed=count)
            np.testing.assert_array_equal(backend.infer(crops), expected(crops))
            assert 0 <= backend.device_seconds < 60
        assert stub.stub_live(EXECUTABLES) == 4
        assert stub.stub_depth() == 0
        backend.close()
        nothing_is_left()
    assert stub.stub_count(LAUNCHES) >= 2 * 7


def run_threads(patch: pytest.MonkeyPatch) -> None:
    """Open, call and close on three different threads."""
    held: list[TensorRtBackend] = []
    problems: list[BaseException] = []

    def on_its_own(work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
                assert stub.stub_depth() == 0
            except BaseException as error:  # noqa: BLE001 - raised again below
                problems.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        thread.join(60)
        if problems:
            raise problems[0]

    crops = tiny_crops(3)
    on_its_own(lambda: held.append(opened(patch)[0]))
    on_its_own(lambda: np.testing.assert_array_equal(held[0].infer(crops), expected(crops)))
    on_its_own(lambda: held[0].close())
    held.clear()
    nothing_is_left()


def run_dropped(patch: pytest.MonkeyPatch) -> None:
    """An unclosed backend is freed when it is dropped."""
    backend, _behaviour = opened(patch)
    backend.infer(tiny_crops(2))
    del backend
    nothing_is_left()


def run_left_open(patch: pytest.MonkeyPatch) -> None:
    """A backend that is still open when the process exits does not abort it."""
    LEFT_OPEN.append(opened(patch)[0])
    LEFT_OPEN[0].infer(tiny_crops(1))


def run_sticky(patch: pytest.MonkeyPatch) -> None:
    """A failing device raises a BackendError, and the process exits normally."""
    backend, _behaviour = opened(patch)
    backend.infer(tiny_crops(1))
    stub.stub_set_sticky(700)
    for call in (lambda: backend.infer(tiny_crops(1)), backend.close):
        with pytest.raises(BackendError):
            call()
    backend.close()
    assert stub.stub_depth() == 0


def run_memory(patch: pytest.MonkeyPatch) -> None:
    """If memory runs out, smaller batches are tried, then an error is raised; nothing leaks."""
    backend, _behaviour = opened(patch)
    stub.stub_set_limit(3 << 16)
    crops = tiny_crops(8)
    np.testing.assert_array_equal(backend.infer(crops), expected(crops))
    assert backend.max_batch == 2
    backend.close()
    nothing_is_left()
    for name in ("cuMemAlloc", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate"):
        for after in range(3):
            stub.stub_set_limit(-1)
            stub.stub_fail(name.encode(), 2, after, 0)
            try:
                backend, _behaviour = opened(patch)
                backend.infer(tiny_crops(1))
                backend.close()
            except DeviceMemoryError:
                pass
            stub.stub_forget_failures()
            nothing_is_left()


def run_beside(patch: pytest.MonkeyPatch) -> None:
    """While graphs are recorded, another thread uses the default stream, as other libraries do."""
    codes = []

    def other_library() -> None:
        context, address = ctypes.c_void_p(), ctypes.c_uint64()
        stub.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        stub.cuCtxPushCurrent_v2(context)
        stub.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(64))
        host_memory = (ctypes.c_uint8 * 64)()
        codes.append(stub.cuMemcpyHtoD_v2(address, host_memory, ctypes.c_size_t(64)))
        stub.cuMemFree_v2(address)
        stub.cuCtxPopCurrent_v2(None)
        stub.cuDevicePrimaryCtxRelease_v2(0)

    def meanwhile() -> None:
        thread = threading.Thread(target=other_library)
        thread.start()
        thread.join(60)

    backend, behaviour = opened(patch)
    behaviour.memory.beside = meanwhile
    backend.warm_up()
    # each batch size is run once before it is recorded
    assert codes == [0] * 8, codes
    assert backend.uses_cuda_graphs
    backend.close()
    nothing_is_left()


def run_devices(patch: pytest.MonkeyPatch) -> None:
    """The driver's description of its devices, and use of the second one."""
    assert nvidia_driver_problem() is None
    assert [gpu.architecture for gpu in find_gpus()] == ["sm89"]
    stub.stub_set_device_count(2)
    assert [gpu.name[-4:] for gpu in find_gpus()] == ["5000", " (1)"]
    assert find_gpu(1).index == 1
    backend, _behaviour = opened(patch, device_index=1)
    assert (stub.stub_references(0), stub.stub_references(1)) == (0, 1)
    backend.infer(tiny_crops(1))
    backend.close()
    nothing_is_left()
    assert stub.stub_references(1) == 0


def main(names: list[str]) -> None:
    if os.environ["RTSEG_CUDA"] != "pycuda":
        cuda_device._open_pycuda = cuda_device._open_bindings
    for name in names:
        with pytest.MonkeyPatch.context() as patch:
            globals()[f"run_{name}"](patch)
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    _, MODEL, os.environ["RTSEG_ENGINE_DIR"], *chosen = sys.argv
    main(chosen)
