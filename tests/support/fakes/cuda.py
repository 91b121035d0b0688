"""A `pycuda.driver` and a CUDA driver library over plain memory.

Checks what real ones do not forgive: calls without a current context, copies from memory that is
not page-locked, use of freed memory, a stream left capturing.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

CREATED = 0x100


class DeviceMemory:
    """Device memory by address, and streams by handle."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.blocks: dict[int, np.ndarray] = {}
        self.streams: dict[int, Stream] = {}
        self.next_address = CREATED
        self.fits_bytes = 1 << 40

    def read(self, address: int, shape: tuple[int, ...]) -> np.ndarray:
        return self.blocks[address][: int(np.prod(shape))].reshape(shape).copy()

    def write(self, address: int, values: np.ndarray) -> None:
        data = np.frombuffer(values.tobytes(), np.uint8)
        self.blocks[address][: len(data)] = data

    def enqueue(self, stream_handle: int, work: Callable[[], None]) -> None:
        stream = self.streams[stream_handle]
        if stream.captured is None:
            work()
        else:
            stream.captured.append(work)


class Stream:
    def __init__(self, memory: DeviceMemory, handle: int) -> None:
        self.handle = handle
        self.captured: list[Callable[[], None]] | None = None
        memory.streams[handle] = self

    def synchronize(self) -> None:
        assert self.captured is None, "a stream that captures cannot be waited for"


class PageLocked(np.ndarray):
    """What is page-locked; slices of it still are."""


def make_pycuda(memory: DeviceMemory) -> ModuleType:
    """The module `pycuda.driver`."""
    module = ModuleType("pycuda.driver")
    current: list[Context] = []

    class Error(Exception):
        pass

    class MemoryError(Error):  # noqa: A001 - its name in PyCUDA
        pass

    class Context:
        detached = False

        def push(self) -> None:
            assert not self.detached
            current.append(self)

        @staticmethod
        def pop() -> None:
            current.pop()

        def detach(self) -> None:
            assert current[-1] is self, "only the current context can be given back"
            self.detached = True
            current.pop()
            memory.events.append("detach")

    class Device:
        def __init__(self, index: int) -> None:
            assert index == 0

        def retain_primary_context(self) -> Context:
            module.primary = Context()  # type: ignore[attr-defined]
            return module.primary  # type: ignore[attr-defined,no-any-return]

    class Allocation:
        def __init__(self, size: int) -> None:
            assert current
            assert size > 0
            if sum(map(len, memory.blocks.values())) + size > memory.fits_bytes:
                raise MemoryError("cuMemAlloc failed: out of memory")
            self.address = memory.next_address
            memory.next_address += size + CREATED
            memory.blocks[self.address] = np.zeros(size, np.uint8)

        def __int__(self) -> int:
            return self.address

        def free(self) -> None:
            assert current
            del memory.blocks[self.address]
            memory.events.append("device memory")

    class HostAllocation:
        def free(self) -> None:
            memory.events.append("host memory")

    class OwnedArray(PageLocked):
        allocation = HostAllocation()

        @property
        def base(self) -> Any:
            return self.allocation

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        assert current
        return np.full(shape, 77, dtype).view(OwnedArray)

    def memcpy_htod_async(dest: Allocation, src: np.ndarray, stream: Stream) -> None:
        assert isinstance(src, PageLocked)
        assert current
        memory.enqueue(stream.handle, lambda: memory.write(int(dest), src))

    def memcpy_dtoh_async(dest: np.ndarray, src: Allocation, stream: Stream) -> None:
        assert isinstance(dest, PageLocked)
        assert current

        def copy() -> None:
            data = memory.blocks[int(src)][: dest.nbytes]
            dest[...] = data.view(dest.dtype).reshape(dest.shape)

        memory.enqueue(stream.handle, copy)

    module.__dict__.update(
        Error=Error,
        MemoryError=MemoryError,
        init=lambda: None,
        Device=Device,
        Stream=lambda: Stream(memory, 1 + len(memory.streams)),
        mem_alloc=Allocation,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=memcpy_htod_async,
        memcpy_dtoh_async=memcpy_dtoh_async,
        current=current,
    )
    return module


class FakeCudaDriver:
    """libcuda's graph calls: codes out, pointers through `byref`."""

    def __init__(self, memory: DeviceMemory, *, failing: str = "") -> None:
        self._memory = memory
        self._failing = failing
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self.failing_code = 902
        self.launches = 0

    def _stream(self, handle: Any) -> Stream:
        return self._memory.streams[handle.value]

    def cuStreamBeginCapture_v2(self, stream: Any, mode: int) -> int:
        assert mode == 1
        if self._failing == "cuStreamBeginCapture_v2":
            return 900
        self._stream(stream).captured = []
        return 0

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:
        captured = self._stream(stream).captured
        self._stream(stream).captured = None
        assert captured is not None
        if self._failing == "cuStreamEndCapture":
            return 901
        graph._obj.value = len(self._graphs) + 1
        self._graphs[graph._obj.value] = captured
        return 0

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:
        assert flags.value == 0
        if self._failing == "cuGraphInstantiateWithFlags":
            return self.failing_code
        executable._obj.value = graph.value
        return 0

    def cuGraphDestroy(self, graph: Any) -> int:
        assert graph.value in self._graphs
        return 0

    def cuGraphLaunch(self, executable: Any, stream: Any) -> int:
        assert self._stream(stream).captured is None
        self.launches += 1
        for work in self._graphs[executable.value]:
            work()
        return 0

    def cuGraphExecDestroy(self, executable: Any) -> int:
        del self._graphs[executable.value]
        self._memory.events.append("graph")
        return 0
