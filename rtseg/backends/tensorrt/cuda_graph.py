"""A captured CUDA graph: a fixed sequence of copies and kernels, started by one call.

PyCUDA supports streams but not graphs, so the driver is called directly for either library.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from rtseg.errors import DeviceMemoryError
from rtseg.system.cuda_errors import OUT_OF_MEMORY, describe_cuda_error
from rtseg.system.nvidia import cuda_driver

_CAPTURE_MODE_THREAD_LOCAL = 1


class CudaGraphError(Exception):
    """The driver could not capture or start a graph; the work can still run call by call."""


class CudaGraph:
    """Records what a callable enqueues on a stream, and repeats it.

    Args:
        stream_handle: the stream's CUstream, as an integer; its context must be current.
        enqueue: enqueues work on that stream, all of it asynchronous.

    Raises:
        CudaGraphError: the work cannot be captured.
        DeviceMemoryError: there is not enough memory for the graph.
    """

    def __init__(self, stream_handle: int, enqueue: Callable[[], None]) -> None:
        self._driver = cuda_driver()
        self._stream = ctypes.c_void_p(stream_handle)
        self._executable = ctypes.c_void_p()
        graph = ctypes.c_void_p()
        self._call("cuStreamBeginCapture_v2", self._stream, _CAPTURE_MODE_THREAD_LOCAL)
        try:
            enqueue()
        finally:
            # even after an error: a stream left in capture mode can do nothing else
            code = self._driver.cuStreamEndCapture(self._stream, ctypes.byref(graph))
        if code != 0 or not graph:
            raise CudaGraphError(f"cuStreamEndCapture: {describe_cuda_error(code)}")
        try:
            self._call(
                "cuGraphInstantiateWithFlags",
                ctypes.byref(self._executable),
                graph,
                ctypes.c_ulonglong(0),
            )
        finally:
            self._driver.cuGraphDestroy(graph)

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self._driver, name)(*arguments)
        if code == OUT_OF_MEMORY:
            raise DeviceMemoryError(f"the GPU's memory is too full for a CUDA graph ({name})")
        if code != 0:
            raise CudaGraphError(f"{name}: {describe_cuda_error(code)}")

    def launch(self) -> None:
        """Start the recorded work on its stream; returns at once.

        Raises:
            CudaGraphError: the driver refused.
            DeviceMemoryError: there is not enough memory for its first start.
        """
        self._call("cuGraphLaunch", self._executable, self._stream)

    def close(self) -> None:
        """Destroy the driver's objects. May be called twice."""
        if self._executable:
            self._driver.cuGraphExecDestroy(self._executable)
            self._executable = ctypes.c_void_p()
