"""A real CUDA driver for the runs of `tests.backends.tensorrt.driver_runs`: device work for the
fake TensorRT, and checks that everything was given back.

`tests.support.cuda_stub.machine` is the same over the stub of libcuda.
"""

from __future__ import annotations

import ctypes
import functools
import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtseg.backends.tensorrt.bindings_device import BindingsDevice
from rtseg.backends.tensorrt.pycuda_device import PyCudaDevice
from rtseg.system.nvidia import cuda_driver, find_gpu
from tests.support.fakes.tensorrt_behaviour import Kernel

SOURCE = Path(__file__).with_name("cuda_kernels.cu")

_MEMORY_TYPE = 2  # CU_POINTER_ATTRIBUTE_MEMORY_TYPE
_THREADS = 128


class Machine:
    """The first device of the process's driver, and the memory that the fake TensorRT uses.

    Attributes:
        rounds: how often `run_flat` opens a backend.
        bytes_per_crop: working memory of an engine, by which memory is filled in `run_memory`.
        enqueued: how many kernels were put on streams, not counting repetitions by graphs.
        beside: called whenever a kernel is put on a stream.
    """

    rounds = 40
    bytes_per_crop = 1 << 28

    def __init__(self) -> None:
        self.driver = cuda_driver()
        self.enqueued = 0
        self.beside: Callable[[], None] = lambda: None
        # any address and any stream may be used: the driver itself checks them
        self.blocks = self.streams = self
        self._functions: dict[str, ctypes.c_void_p] = {}
        self._context = ctypes.c_void_p()
        self._allocated: list[int] = []
        self._filling: list[ctypes.c_uint64] = []

    def __contains__(self, address: int) -> bool:
        return True

    def __getitem__(self, address: int) -> Any:
        return range(1 << 40)

    def call(self, name: str, *arguments: Any) -> None:
        code = getattr(self.driver, name)(*arguments)
        assert code == 0, (name, code)

    # ---- device work ----

    def enqueue(self, stream_handle: int, kernel: Kernel) -> None:
        self.beside()
        self.enqueued += 1
        self.launch(stream_handle, kernel)

    def launch(self, stream_handle: int, kernel: Kernel) -> None:
        batch, height, width, _ = kernel.shape
        columns = width // kernel.stride
        cells = batch * (height // kernel.stride) * columns
        arguments = (
            ctypes.c_uint64(kernel.crops),
            ctypes.c_uint64(kernel.probabilities),
            *(ctypes.c_int(n) for n in (cells, columns, kernel.stride, kernel.classes)),
        )
        self._launch("probabilities", stream_handle, cells, arguments)

    def _launch(
        self, name: str, stream_handle: int | None, count: int, arguments: tuple[Any, ...]
    ) -> None:
        if not self._functions:
            self._load()
        addresses = (ctypes.c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        grid = (-(-count // _THREADS), 1, 1, _THREADS, 1, 1, 0)
        stream = ctypes.c_void_p(stream_handle)
        self.call("cuLaunchKernel", self._functions[name], *grid, stream, addresses, None)

    def _load(self) -> None:
        """Load the kernels into the current context, before anything is recorded in it."""
        module = ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), compiled(find_gpu().architecture))
        for name in ("probabilities", "fault"):
            function = ctypes.c_void_p()
            self.call("cuModuleGetFunction", ctypes.byref(function), module, name.encode())
            self._functions[name] = function

    def check(self, probabilities: np.ndarray, expected: np.ndarray) -> None:
        # the device's exponential may differ from NumPy's in the last bit
        np.testing.assert_array_max_ulp(probabilities, expected, maxulp=1)

    def check_graphs(self, executables: int, launches: int) -> None:
        """Check how many graphs there are, and how often one was started, where that is known."""

    # ---- what is left ----

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Note the addresses of all memory that backends allocate."""
        for device in (BindingsDevice, PyCudaDevice):
            for name, address in (
                ("allocate", lambda memory: memory.address),
                ("page_locked", lambda memory: memory.array.ctypes.data),
            ):
                patch.setattr(device, name, self._watched(getattr(device, name), address))

    def _watched(self, make: Callable[..., Any], address: Callable[[Any], int]) -> Any:
        def made(*arguments: Any) -> Any:
            memory = make(*arguments)
            self._allocated.append(address(memory))
            return memory

        return made

    def hold(self) -> None:
        """Keep the primary context alive, as PyTorch does: what a backend leaks stays visible, and
        closing it must not end the context. Until `nothing_is_left`."""
        self.call("cuInit", 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), 0)

    def used(self) -> int:
        """The used memory of the device in bytes, by any program; needs `hold`."""
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.call("cuCtxPushCurrent_v2", self._context)
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        self.call("cuCtxPopCurrent_v2", None)
        return total.value - free.value

    def nothing_is_current(self) -> None:
        """Check this thread's stack of contexts."""
        current = ctypes.c_void_p()
        # its code may be that of an earlier failure
        self.driver.cuCtxGetCurrent(ctypes.byref(current))
        assert not current

    def nothing_is_left(self) -> None:
        """Check that every backend gave everything back; ends `hold`."""
        gc.collect()
        self.nothing_is_current()
        kinds = [self._kind(address) for address in self._allocated]
        alive = [kind for kind in kinds if kind]
        assert not alive, f"{len(alive)} of {len(kinds)} blocks, of kinds {alive}"
        self._allocated.clear()
        self._functions.clear()
        if self._context:
            assert self._is_active(), "a backend released a context that others hold"
            self.call("cuDevicePrimaryCtxRelease_v2", 0)
            self._context = ctypes.c_void_p()
        assert not self._is_active(), "the device's context is still held"

    def _kind(self, address: int) -> int:
        """The kind of memory at an address: 1 for the host's, 2 for the device's, 0 for none."""
        kind = ctypes.c_uint()
        where = ctypes.c_uint64(address)
        code = self.driver.cuPointerGetAttribute(ctypes.byref(kind), _MEMORY_TYPE, where)
        return kind.value if code == 0 else 0

    def _is_active(self) -> bool:
        flags, active = ctypes.c_uint(), ctypes.c_int()
        self.call("cuDevicePrimaryCtxGetState", 0, ctypes.byref(flags), ctypes.byref(active))
        return bool(active)

    # ---- faults ----

    def leave_room(self, size: int) -> None:
        """Fill the device's memory but for that many bytes; needs `hold`."""
        largest, unit = 8 << 30, 2 << 20
        self.call("cuCtxPushCurrent_v2", self._context)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        while True:
            self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
            more = min(free.value - size, largest)
            if more < unit:
                break
            block = ctypes.c_uint64()
            if self.driver.cuMemAlloc_v2(ctypes.byref(block), ctypes.c_size_t(more)) == 0:
                self._filling.append(block)
            else:
                largest = more // 2  # what is free may be in pieces
        self.call("cuCtxPopCurrent_v2", None)

    def make_room(self) -> None:
        """Undo `leave_room`."""
        self.call("cuCtxPushCurrent_v2", self._context)
        while self._filling:
            self.call("cuMemFree_v2", self._filling.pop())
        self.call("cuCtxPopCurrent_v2", None)

    def break_device(self) -> None:
        """Let a kernel write where no memory is: all later calls of this process fail."""
        self.call("cuCtxPushCurrent_v2", self._context)
        self._launch("fault", None, 1, (ctypes.c_uint64(64),))
        assert self.driver.cuCtxSynchronize() != 0
        self.driver.cuCtxPopCurrent_v2(None)


@functools.cache
def compiled(architecture: str) -> bytes:
    """Compile the kernels for an architecture such as "sm90" with NVRTC; needs no GPU.

    Raises:
        Exception: cuda-bindings or NVRTC is not installed.
    """
    from cuda.bindings import nvrtc

    def call(name: str, *arguments: Any) -> Any:
        code, *results = getattr(nvrtc, name)(*arguments)
        assert int(code) == 0, (name, code)
        return results[0] if results else None

    program = call("nvrtcCreateProgram", SOURCE.read_bytes(), SOURCE.name.encode(), 0, [], [])
    # without fused operations, sums are rounded as NumPy's are
    options = [f"--gpu-architecture=sm_{architecture[2:]}".encode(), b"--fmad=false"]
    call("nvrtcCompileProgram", program, len(options), options)
    binary = b" " * call("nvrtcGetCUBINSize", program)
    call("nvrtcGetCUBIN", program, binary)
    return binary
