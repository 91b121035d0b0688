"""The CUDA calls that the backend needs, behind one small interface: PyCUDA if it is installed,
otherwise NVIDIA's cuda-bindings, which need no compiler to install."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.backends.batching import MEMORY_IS_FULL
from rtseg.errors import BackendError, DeviceMemoryError
from rtseg.system.cuda_errors import OUT_OF_MEMORY, describe_cuda_error


class CudaError(BackendError):
    """CUDA failed; `code` is the driver's error code, or None if the library does not report it."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


def cuda_error(call: str, code: int) -> BackendError:
    """Make the error for a driver's error code; full memory has a separate class."""
    if code == OUT_OF_MEMORY:
        return DeviceMemoryError(MEMORY_IS_FULL)
    return CudaError(f"{call} failed: {describe_cuda_error(code)}", code)


class Stream(ABC):
    """A queue of work on the device, independent of the default stream.

    Attributes:
        handle: the CUstream, as an integer.
    """

    handle: int

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all of its work is done."""

    @abstractmethod
    def close(self) -> None:
        """Destroy it; its context must be current."""


class Event(ABC):
    """A mark in a stream with the device's time."""

    @abstractmethod
    def record(self, stream: Stream) -> None:
        """Record the mark after everything that is in the stream now."""

    @abstractmethod
    def seconds_since(self, earlier: Any) -> float:
        """The time between two marks, both of which have been reached."""

    @abstractmethod
    def close(self) -> None:
        """Destroy it; its context must be current."""


class DeviceMemory(ABC):
    """Memory on the device.

    Attributes:
        address: its first address.
    """

    address: int

    @abstractmethod
    def close(self) -> None:
        """Free it; its context must be current."""


class HostMemory(ABC):
    """Page-locked host memory, which the device copies to and from directly.

    Attributes:
        array: the memory; must not be used after `close`.
    """

    array: npt.NDArray[Any]

    @abstractmethod
    def close(self) -> None:
        """Free it; its context must be current."""


class CudaDevice(ABC):
    """The primary context of one device, which PyTorch and OpenCV use as well.

    Everything except `close` must be called inside `current()`, on any thread. All methods raise
    CudaError, or DeviceMemoryError if memory is full.

    Attributes:
        library: the package that makes the calls.
        index: the device's number.
    """

    library: str
    index: int

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current on this thread for the block, then restore the previous one."""
        self._push()
        try:
            yield
        finally:
            self._pop()

    @abstractmethod
    def _push(self) -> None: ...

    @abstractmethod
    def _pop(self) -> None: ...

    @abstractmethod
    def stream(self) -> Stream:
        """Create a stream."""

    @abstractmethod
    def event(self) -> Event:
        """Create a mark."""

    @abstractmethod
    def allocate(self, size: int) -> DeviceMemory:
        """Allocate that many bytes on the device, at least one."""

    @abstractmethod
    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> HostMemory:
        """Allocate a page-locked array; its content is undefined."""

    @abstractmethod
    def copy_in(self, memory: DeviceMemory, array: npt.NDArray[Any], stream: Stream) -> None:
        """Enqueue a copy from the start of a page-locked array to the device."""

    @abstractmethod
    def copy_out(self, array: npt.NDArray[Any], memory: DeviceMemory, stream: Stream) -> None:
        """Enqueue a copy from the device to a page-locked array."""

    @abstractmethod
    def close(self) -> None:
        """Release the context, which must not be current; everything made in it has been freed."""


def open_cuda_device(index: int) -> CudaDevice:
    """Open a device with PyCUDA if it can be imported, otherwise with cuda-bindings.

    Raises:
        BackendError: neither is installed, or the driver refuses.
    """
    reasons = []
    for opener in (_open_pycuda, _open_bindings):
        try:
            return opener(index)
        except (ImportError, OSError) as error:
            reasons.append(str(error))
    raise BackendError(
        f"the tensorrt backend needs PyCUDA ({reasons[0]}) or cuda-bindings ({reasons[1]}); "
        "pip install cuda-bindings (PyCUDA is compiled with CUDA's nvcc when it is installed)"
    )


def _open_pycuda(index: int) -> CudaDevice:
    from rtseg.backends.tensorrt.pycuda_device import PyCudaDevice

    return PyCudaDevice(index)


def _open_bindings(index: int) -> CudaDevice:
    from rtseg.backends.tensorrt.bindings_device import BindingsDevice

    return BindingsDevice(index)


def contiguous(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array after checking that it is contiguous."""
    if not array.flags.c_contiguous:
        raise ValueError("only a contiguous array can be copied")
    return array


def host_array(address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Make an array over host memory owned by someone else."""
    import ctypes

    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    array: npt.NDArray[Any] = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
    return array
