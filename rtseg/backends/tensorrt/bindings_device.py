"""CUDA by NVIDIA's `cuda-bindings`: the driver's own functions, one to one."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from cuda.bindings import driver

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


class BindingsDevice(CudaDevice):
    """As `CudaDevice`."""

    library = "cuda-bindings"

    def __init__(self, index: int) -> None:
        self.index = index
        _call("cuInit", 0)
        self._device = _call("cuDeviceGet", index)
        self._context = _call("cuDevicePrimaryCtxRetain", self._device)

    def _push(self) -> None:
        _call("cuCtxPushCurrent", self._context)

    def _pop(self) -> None:
        _call("cuCtxPopCurrent")

    def stream(self) -> Stream:
        """As `CudaDevice.stream`."""
        return _Stream()

    def event(self) -> Event:
        """As `CudaDevice.event`."""
        return _Event()

    def allocate(self, size: int) -> DeviceMemory:
        """As `CudaDevice.allocate`."""
        return _DeviceMemory(size)

    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> HostMemory:
        """As `CudaDevice.page_locked`."""
        return _HostMemory(shape, dtype)

    def copy_in(self, memory: DeviceMemory, array: npt.NDArray[Any], stream: Stream) -> None:
        """As `CudaDevice.copy_in`."""
        host = contiguous(array).ctypes.data
        _call("cuMemcpyHtoDAsync", memory.address, host, array.nbytes, stream.handle)

    def copy_out(self, array: npt.NDArray[Any], memory: DeviceMemory, stream: Stream) -> None:
        """As `CudaDevice.copy_out`."""
        host = contiguous(array).ctypes.data
        _call("cuMemcpyDtoHAsync", host, memory.address, array.nbytes, stream.handle)

    def close(self) -> None:
        """As `CudaDevice.close`."""
        _call("cuDevicePrimaryCtxRelease", self._device)


def _call(name: str, *arguments: object) -> Any:
    """The result of a call: one value, or None where it gives none."""
    code, *results = getattr(driver, name)(*arguments)
    if int(code) != 0:
        raise cuda_error(name, int(code))
    return results[0] if results else None


class _Stream(Stream):
    def __init__(self) -> None:
        self.handle = int(_call("cuStreamCreate", driver.CUstream_flags.CU_STREAM_NON_BLOCKING))

    def synchronize(self) -> None:
        _call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        _call("cuStreamDestroy", self.handle)


class _Event(Event):
    def __init__(self) -> None:
        self._event = _call("cuEventCreate", driver.CUevent_flags.CU_EVENT_DEFAULT)

    def record(self, stream: Stream) -> None:
        _call("cuEventRecord", self._event, stream.handle)

    def seconds_since(self, earlier: Any) -> float:
        return float(_call("cuEventElapsedTime", earlier._event, self._event)) / 1e3

    def close(self) -> None:
        _call("cuEventDestroy", self._event)


class _DeviceMemory(DeviceMemory):
    def __init__(self, size: int) -> None:
        self.address = int(_call("cuMemAlloc", size))

    def close(self) -> None:
        _call("cuMemFree", self.address)


class _HostMemory(HostMemory):
    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        import numpy as np

        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._address = int(_call("cuMemHostAlloc", size, 0))
        self.array = host_array(self._address, shape, dtype)

    def close(self) -> None:
        _call("cuMemFreeHost", self._address)
