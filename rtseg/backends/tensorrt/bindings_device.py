"""CUDA through NVIDIA's `cuda-bindings`, which expose the driver's own functions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.backends.tensorrt.cuda_device import (
    CudaDevice,
    DeviceMemory,
    Event,
    HostMemory,
    Stream,
    contiguous,
    cuda_error,
    host_array,
)

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING


class BindingsDevice(CudaDevice):
    """See `CudaDevice`."""

    library = "cuda-bindings"

    def __init__(self, index: int) -> None:
        from cuda.bindings import driver

        self.index = index
        self._call = functools.partial(_call, driver)
        self._call("cuInit", 0)
        self._device = self._call("cuDeviceGet", index)
        self._context = self._call("cuDevicePrimaryCtxRetain", self._device)

    def _push(self) -> None:
        self._call("cuCtxPushCurrent", self._context)

    def _pop(self) -> None:
        self._call("cuCtxPopCurrent")

    def stream(self) -> Stream:
        """See `CudaDevice.stream`."""
        return _Stream(self._call)

    def event(self) -> Event:
        """See `CudaDevice.event`."""
        return _Event(self._call)

    def allocate(self, size: int) -> DeviceMemory:
        """See `CudaDevice.allocate`."""
        return _DeviceMemory(self._call, size)

    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> HostMemory:
        """See `CudaDevice.page_locked`."""
        return _HostMemory(self._call, shape, dtype)

    def copy_in(self, memory: DeviceMemory, array: npt.NDArray[Any], stream: Stream) -> None:
        """See `CudaDevice.copy_in`."""
        host = contiguous(array).ctypes.data
        self._call("cuMemcpyHtoDAsync", memory.address, host, array.nbytes, stream.handle)

    def copy_out(self, array: npt.NDArray[Any], memory: DeviceMemory, stream: Stream) -> None:
        """See `CudaDevice.copy_out`."""
        host = contiguous(array).ctypes.data
        self._call("cuMemcpyDtoHAsync", host, memory.address, array.nbytes, stream.handle)

    def close(self) -> None:
        """See `CudaDevice.close`."""
        self._call("cuDevicePrimaryCtxRelease", self._device)


Call = Callable[..., Any]


def _call(driver: Any, name: str, *arguments: object) -> Any:
    """Check a call's error code and return its value; None if it has none."""
    code, *results = getattr(driver, name)(*arguments)
    if int(code) != 0:
        raise cuda_error(name, int(code))
    return results[0] if results else None


class _Stream(Stream):
    def __init__(self, call: Call) -> None:
        self._call = call
        self.handle = int(call("cuStreamCreate", _NON_BLOCKING))

    def synchronize(self) -> None:
        self._call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        self._call("cuStreamDestroy", self.handle)


class _Event(Event):
    def __init__(self, call: Call) -> None:
        self._call = call
        self._event = call("cuEventCreate", 0)

    def record(self, stream: Stream) -> None:
        self._call("cuEventRecord", self._event, stream.handle)

    def seconds_since(self, earlier: Any) -> float:
        return float(self._call("cuEventElapsedTime", earlier._event, self._event)) / 1e3

    def close(self) -> None:
        self._call("cuEventDestroy", self._event)


class _DeviceMemory(DeviceMemory):
    def __init__(self, call: Call, size: int) -> None:
        self._call = call
        self.address = int(call("cuMemAlloc", size))

    def close(self) -> None:
        self._call("cuMemFree", self.address)


class _HostMemory(HostMemory):
    def __init__(self, call: Call, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        self._call = call
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._address = int(call("cuMemHostAlloc", size, 0))
        self.array = host_array(self._address, shape, dtype)

    def close(self) -> None:
        self._call("cuMemFreeHost", self._address)
