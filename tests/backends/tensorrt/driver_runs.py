"""Runs of the TensorRT backend on a CUDA driver: the machine's own, or the stub of libcuda.

`python -m tests.backends.tensorrt.driver_runs MODEL FOLDER NAME…` executes them one after the other
with the description of an exported model, through the real PyCUDA or the real cuda-bindings, as the
variable RTSEG_CUDA says. The process's libcuda may be the stub (LD_LIBRARY_PATH). TensorRT is the
fake one, whose kernels run on the driver's streams. A run prints its name, or fails with an
assertion.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.backends.tensorrt import EngineRecipe, cuda_device, prepare_engine, this_machine
from rtseg.backends.tensorrt.backend import TensorRtBackend
from rtseg.errors import BackendError, DeviceMemoryError
from rtseg.export.onnx_file import read_onnx
from rtseg.system.nvidia import cuda_driver, find_gpu, find_gpus, nvidia_driver_problem
from tests.support.cuda_machine import Machine
from tests.support.fakes.tensorrt import make_tensorrt
from tests.support.fakes.tensorrt_behaviour import Behaviour, probabilities_of

MODEL = ""
LEFT_OPEN: list[TensorRtBackend] = []


def machine_here() -> Machine:
    """The machine of this process's driver."""
    if hasattr(cuda_driver(), "stub_live"):
        from tests.support.cuda_stub.machine import StubMachine

        return StubMachine()
    return Machine()


machine = machine_here()


def opened(patch: pytest.MonkeyPatch, **options: Any) -> TensorRtBackend:
    behaviour = Behaviour(memory=machine, bytes_per_crop=machine.bytes_per_crop)
    patch.setitem(sys.modules, "tensorrt", make_tensorrt("11.4.0.106", behaviour))
    patch.setattr("rtseg.backends.tensorrt.library.installed_flavours", lambda: ("tensorrt",))
    engine = prepare_engine(
        read_onnx(MODEL), EngineRecipe(name="tiny"), this_machine(), parity_check=lambda *_: 1.0
    )
    return TensorRtBackend(engine.read(), engine.manifest, **options)


def crops_for(backend: TensorRtBackend, count: int) -> np.ndarray:
    size = (count, backend.model.input_height, backend.model.input_width, 3)
    return np.random.default_rng(count).integers(0, 256, size, np.uint8)


def check(backend: TensorRtBackend, count: int) -> None:
    """Check the probabilities of that many crops."""
    crops, model = crops_for(backend, count), backend.model
    expected = probabilities_of(crops, stride=model.stride, classes=len(model.label_set))
    machine.check(backend.infer(crops), expected)


def run_close(patch: pytest.MonkeyPatch) -> None:
    """Run batches through graphs and free everything: beside another user of the device's context,
    and alone."""
    for is_held in (True, False):
        if is_held:
            machine.hold()
        before = machine.enqueued
        backend = opened(patch)
        assert os.environ["RTSEG_CUDA"] in backend.reason
        backend.warm_up()
        for count in (1, 2, 3, 5, 8, 11):
            check(backend, count)
            assert 0 <= backend.device_seconds < 60
        machine.nothing_is_current()
        # each of the four batch sizes is run once, then recorded
        assert machine.enqueued - before == 8
        machine.check_graphs(4, 7)
        backend.close()
        machine.nothing_is_left()


def run_flat(patch: pytest.MonkeyPatch) -> None:
    """Open and close over and over: neither the device's memory nor the process's may grow."""
    machine.hold()
    used, resident = [], []
    for _ in range(machine.rounds):
        with opened(patch) as backend:
            backend.infer(crops_for(backend, 8))
            check(backend, 1)
        used.append(machine.used())
        resident.append(resident_bytes())
    machine.nothing_is_left()
    third = machine.rounds // 3
    grown = {
        "rounds": machine.rounds,
        "device MiB": (used[-1] - used[third]) / 2**20,
        "process MiB": (resident[-1] - resident[third]) / 2**20,
    }
    sys.stderr.write(f"{json.dumps(grown)}\n")
    # the driver takes 2 MiB at a time; a backend's buffers take more
    assert grown["device MiB"] <= 2, grown
    # the process's own memory varies by some buffers; those of all rounds are far more
    assert grown["process MiB"] < 64, grown


def resident_bytes() -> int:
    """This process's memory in RAM, which includes page-locked memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run_threads(patch: pytest.MonkeyPatch) -> None:
    """Open, call and close on three different threads."""
    held: list[TensorRtBackend] = []
    problems: list[BaseException] = []

    def on_its_own(work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
                machine.nothing_is_current()
            except BaseException as error:  # noqa: BLE001 - raised again below
                problems.append(error)

        thread = threading.Thread(target=guarded)
        thread.start()
        thread.join(60)
        if problems:
            raise problems[0]

    on_its_own(lambda: held.append(opened(patch)))
    on_its_own(lambda: check(held[0], 3))
    on_its_own(lambda: held[0].close())
    held.clear()
    machine.nothing_is_left()


def run_dropped(patch: pytest.MonkeyPatch) -> None:
    """An unclosed backend is freed when it is dropped."""
    machine.hold()
    backend = opened(patch)
    check(backend, 2)
    del backend
    machine.nothing_is_left()


def run_left_open(patch: pytest.MonkeyPatch) -> None:
    """A backend that is still open when the process exits does not abort it."""
    LEFT_OPEN.append(opened(patch))
    check(LEFT_OPEN[0], 1)


def run_sticky(patch: pytest.MonkeyPatch) -> None:
    """A failing device raises a BackendError, and the process exits normally."""
    machine.hold()
    backend = opened(patch)
    check(backend, 1)
    machine.break_device()
    for call in (lambda: backend.infer(crops_for(backend, 1)), backend.close):
        with pytest.raises(BackendError) as failed:
            call()
        sys.stderr.write(f"{failed.value}\n")
    backend.close()
    machine.nothing_is_current()


def run_memory(patch: pytest.MonkeyPatch) -> None:
    """If memory runs out, smaller batches are tried; nothing leaks."""
    machine.hold()
    backend = opened(patch)
    machine.leave_room(3 * machine.bytes_per_crop)
    check(backend, 8)
    assert backend.max_batch == 2
    backend.close()
    machine.make_room()
    machine.nothing_is_left()


def run_failures(patch: pytest.MonkeyPatch) -> None:
    """Only the stub: whichever allocation fails, nothing leaks."""
    for name in ("cuMemAlloc", "cuMemHostAlloc", "cuStreamCreate", "cuEventCreate"):
        for after in range(3):
            machine.driver.stub_fail(name.encode(), 2, after, 0)
            try:
                with opened(patch) as backend:
                    backend.infer(crops_for(backend, 1))
            except DeviceMemoryError:
                pass
            machine.driver.stub_forget_failures()
            machine.nothing_is_left()


def run_beside(patch: pytest.MonkeyPatch) -> None:
    """While graphs are recorded, another thread uses the default stream, as other libraries do."""
    codes = []
    driver = machine.driver

    def other_library() -> None:
        context, address = ctypes.c_void_p(), ctypes.c_uint64()
        driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        driver.cuCtxPushCurrent_v2(context)
        driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(64))
        host_memory = (ctypes.c_uint8 * 64)()
        codes.append(driver.cuMemcpyHtoD_v2(address, host_memory, ctypes.c_size_t(64)))
        driver.cuMemFree_v2(address)
        driver.cuCtxPopCurrent_v2(None)
        driver.cuDevicePrimaryCtxRelease_v2(0)

    def meanwhile() -> None:
        thread = threading.Thread(target=other_library)
        thread.start()
        thread.join(60)

    backend = opened(patch)
    patch.setattr(machine, "beside", meanwhile)
    backend.warm_up()
    # each batch size is run once before it is recorded
    assert codes == [0] * 8, codes
    assert backend.uses_cuda_graphs
    check(backend, 5)
    backend.close()
    machine.nothing_is_left()


def run_devices(patch: pytest.MonkeyPatch) -> None:
    """Only the stub: the driver's description of its devices, and use of the second one."""
    stub = machine.driver
    assert nvidia_driver_problem() is None
    assert [gpu.architecture for gpu in find_gpus()] == ["sm89"]
    stub.stub_set_device_count(2)
    assert [gpu.name[-4:] for gpu in find_gpus()] == ["5000", " (1)"]
    assert find_gpu(1).index == 1
    with opened(patch, device_index=1) as backend:
        assert (stub.stub_references(0), stub.stub_references(1)) == (0, 1)
        backend.infer(crops_for(backend, 1))
    machine.nothing_is_left()


def main(names: list[str]) -> None:
    if os.environ["RTSEG_CUDA"] != "pycuda":
        cuda_device._open_pycuda = cuda_device._open_bindings
    for name in names:
        with pytest.MonkeyPatch.context() as patch:
            machine.watch(patch)
            globals()[f"run_{name}"](patch)
        sys.stdout.write(f"{name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _, MODEL, os.environ["RTSEG_ENGINE_DIR"], *chosen = sys.argv
    main(chosen)
