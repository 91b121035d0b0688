"""The CUDA calls that the backend needs, behind one small interface: PyCUDA where it is installed,
else NVIDIA's own cuda-bindings, which need no compiler to install."""

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
    """CUDA failed; `code` is the driver's, or None where the library does not tell."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


def cuda_error(call: str, code: int) -> BackendError:
    """The error for a code that a call of the driver gave: full memory is one of its own."""
    if code == OUT_OF_MEMORY:
        return DeviceMemoryError(MEMORY_IS_FULL)
    return CudaError(f"{call} failed: {describe_cuda_error(code)}", code)


class Stream(ABC):
    """A queue of work on the device that does not wait for the default stream, nor it for this.

    Attributes:
        handle: the CUstream, as an integer.
    """

    handle: int

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until all of its work is done."""

    @abstractmethod
    def close(self) -> None:
        """Give it back; its context is current."""


class Event(ABC):
    """A mark in a stream, with the device's time."""

    @abstractmethod
    def record(self, stream: Stream) -> None:
        """Put the mark behind what the stream holds now."""

    @abstractmethod
    def seconds_since(self, earlier: Any) -> float:
        """The time between two marks, both of them reached."""

    @abstractmethod
    def close(self) -> None:
        """Give it back; its context is current."""


class DeviceMemory(ABC):
    """Memory on the device.

    Attributes:
        address: where it begins.
    """

    address: int

    @abstractmethod
    def close(self) -> None:
        """Give it back; its context is current."""


class HostMemory(ABC):
    """Page-locked memory of the host, which the device copies to and from by itself.

    Attributes:
        array: the memory; not to be touched after `close`.
    """

    array: npt.NDArray[Any]

    @abstractmethod
    def close(self) -> None:
        """Give it back; its context is current."""


class CudaDevice(ABC):
    """The primary context of one device, which PyTorch and OpenCV use as well.

    Everything but `close` is called inside `current()`, on any thread. All raise CudaError, and
    DeviceMemoryError where memory is full.

    Attributes:
        library: the package that does the work.
        index: the device's number.
    """

    library: str
    index: int

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context this thread's current one, and after it what was before."""
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
        """A new stream."""

    @abstractmethod
    def event(self) -> Event:
        """A new mark."""

    @abstractmethod
    def allocate(self, size: int) -> DeviceMemory:
        """So many bytes on the device, at least one."""

    @abstractmethod
    def page_locked(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> HostMemory:
        """A page-locked array; what it holds is undefined."""

    @abstractmethod
    def copy_in(self, memory: DeviceMemory, array: npt.NDArray[Any], stream: Stream) -> None:
        """Put a copy from the beginning of a page-locked array to the device on a stream."""

    @abstractmethod
    def copy_out(self, array: npt.NDArray[Any], memory: DeviceMemory, stream: Stream) -> None:
        """Put a copy from the device to a page-locked array on a stream."""

    @abstractmethod
    def close(self) -> None:
        """Give the context back. It is not current; all that was made in it is given back."""


def open_cuda_device(index: int) -> CudaDevice:
    """A device, by PyCUDA where that can be imported, else by cuda-bindings.

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
    """The array itself, once it is known to lie in one piece."""
    if not array.flags.c_contiguous:
        raise ValueError("only an array in one piece can be copied")
    return array


def host_array(address: int, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array over memory of the host that somebody else owns."""
    import ctypes

    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    array: npt.NDArray[Any] = np.ctypeslib.as_array(memory).view(dtype).reshape(shape)
    return array
