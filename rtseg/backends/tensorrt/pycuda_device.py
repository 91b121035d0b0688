"""CUDA through PyCUDA, which differs from the driver API in relevant ways.

PyCUDA keeps its own stack of contexts beside the driver's, and aborts the process at exit if
something is left on it. An object that is dropped while its context is not current is leaked. So
everything is freed explicitly, inside `current()`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy.typing as npt

from rtseg.backends.batching import MEMORY_IS_FULL
from rtseg.backends.tensorrt.cuda_device import (
    CudaDevice,
    CudaError,
    DeviceMemory,
    Event,
    HostMemory,
    Stream,
    contiguous,
    cuda_error,
)
from rtseg.errors import BackendError, DeviceMemoryError
from rtseg.system.nvidia import cuda_driver

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING


class PyCudaDevice(CudaDevice):
    """See `CudaDevice`."""

    library = "pycuda"

    def __init__(self, index: int) -> None:
        import pycuda.driver

        self.index = index
        self._cuda: Any = pycuda.driver
        with self._errors():
            self._cuda.init()
            self._context = self._cuda.Device(index).retain_primary_context()
        self._driver = cuda_driver()
        self._is_held = True

    def _push(self) -> None:
        if not self._is_held:
            raise CudaError("the device's context was released")
        with self._errors():
            self._context.push()

    def _pop(self) -> None:
        try:
            with self._errors():
                self._context.pop()
        except BackendError:
            # a context that the driver would not pop stays on PyCUDA's stack unless it is released
            self._detach()
            raise

    def _detach(self) -> None:
        if self._is_held:
            self._is_held = False
            with self._errors():
                self._context.detach()

    def stream(self) -> Stream:
        """See `CudaDevice.stream`."""
        return _Stream(self._cuda, self._errors)

    def event(self) -> Event:
        """See `CudaDevice.event`."""
        return _Event(self._cuda, self._errors)

    def allocate(self, size: int) -> DeviceMemory:
        """See `CudaDevice.allocate`."""
        return _DeviceMemory(self._cuda, self._errors, size)

    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> HostMemory:
        """See `CudaDevice.page_locked`."""
        return _HostMemory(self._cuda, self._errors, shape, dtype)

    def copy_in(self, memory: DeviceMemory, array: npt.NDArray[Any], stream: Stream) -> None:
        """See `CudaDevice.copy_in`."""
        with self._errors():
            self._cuda.memcpy_htod_async(memory.address, contiguous(array), _pycuda_stream(stream))

    def copy_out(self, array: npt.NDArray[Any], memory: DeviceMemory, stream: Stream) -> None:
        """See `CudaDevice.copy_out`."""
        with self._errors():
            self._cuda.memcpy_dtoh_async(contiguous(array), memory.address, _pycuda_stream(stream))

    def close(self) -> None:
        """See `CudaDevice.close`."""
        # PyCUDA reliably releases a context only while it counts as current. It then removes it
        # from its own stack, but not from the thread's in the driver: that is done here, before.
        if not self._is_held:
            return
        try:
            self._push()
            popped = ctypes.c_void_p()
            code = self._driver.cuCtxPopCurrent_v2(ctypes.byref(popped))
            if code != 0:
                raise cuda_error("cuCtxPopCurrent", code)
        finally:
            self._detach()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Convert PyCUDA's errors to rtseg's."""
        try:
            yield
        except self._cuda.MemoryError as error:
            raise DeviceMemoryError(MEMORY_IS_FULL) from error
        except self._cuda.Error as error:
            raise CudaError(" ".join(str(error).split())) from error


Errors = Callable[[], AbstractContextManager[None]]


def _pycuda_stream(stream: Stream) -> Any:
    assert isinstance(stream, _Stream)
    return stream.stream


class _Stream(Stream):
    def __init__(self, cuda: Any, errors: Errors) -> None:
        self._errors = errors
        with errors():
            self.stream: Any = cuda.Stream(_NON_BLOCKING)
        self.handle = int(self.stream.handle)

    def synchronize(self) -> None:
        with self._errors():
            self.stream.synchronize()

    def close(self) -> None:
        # the only reference: PyCUDA destroys the stream with it, while its context is current
        self.stream = None


class _Event(Event):
    def __init__(self, cuda: Any, errors: Errors) -> None:
        self._errors = errors
        with errors():
            self.event: Any = cuda.Event()

    def record(self, stream: Stream) -> None:
        with self._errors():
            self.event.record(_pycuda_stream(stream))

    def seconds_since(self, earlier: Any) -> float:
        with self._errors():
            return float(self.event.time_since(earlier.event)) / 1e3

    def close(self) -> None:
        self.event = None


class _DeviceMemory(DeviceMemory):
    def __init__(self, cuda: Any, errors: Errors, size: int) -> None:
        self._errors = errors
        with errors():
            self._allocation = cuda.mem_alloc(size)
        self.address = int(self._allocation)

    def close(self) -> None:
        with self._errors():
            self._allocation.free()


class _HostMemory(HostMemory):
    def __init__(
        self, cuda: Any, errors: Errors, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> None:
        self._errors = errors
        with errors():
            self.array = cuda.pagelocked_empty(shape, dtype)

    def close(self) -> None:
        allocation: Any = self.array.base
        with self._errors():
            allocation.free()
