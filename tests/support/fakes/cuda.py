"""A fake `pycuda.driver` and a fake CUDA driver library that use plain memory.

They check for mistakes that are fatal with the real ones: calls without a current context, copies
from memory that is not page-locked, use of freed memory, a stream left capturing. Contexts behave
like PyCUDA's (tests/backends/tensorrt/test_real_pycuda.py runs the same tests on the real one):
PyCUDA has its own stack, and releasing the primary context removes it from that stack but not from
the driver's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

CREATED = 0x100


class DeviceMemory:
    """Device memory by address, streams by handle, and counts of live objects."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.blocks: dict[int, np.ndarray] = {}
        self.streams: dict[int, Stream] = {}
        self.next_address = CREATED
        self.fits_bytes = 1 << 40
        self.host_blocks = 0
        self.marks = 0
        self.references = 0
        self.failing: dict[str, Exception] = {}
        """Errors to raise, by call; an error that is not removed is sticky."""
        self._stacks = threading.local()

    @property
    def driver_stack(self) -> list[Any]:
        """This thread's context stack in the driver."""
        if not hasattr(self._stacks, "driver"):
            self._stacks.driver = []
        return self._stacks.driver  # type: ignore[no-any-return]

    @property
    def pycuda_stack(self) -> list[Any]:
        """This thread's context stack in PyCUDA, which aborts at exit if it is not empty."""
        if not hasattr(self._stacks, "pycuda"):
            self._stacks.pycuda = []
        return self._stacks.pycuda  # type: ignore[no-any-return]

    def alive(self) -> dict[str, int]:
        """Counts of live objects: all zero once everything has been released."""
        return {
            "device blocks": len(self.blocks),
            "host blocks": self.host_blocks,
            "streams": len(self.streams),
            "events": self.marks,
            "contexts": self.references,
        }

    def check(self, call: str) -> None:
        if call in self.failing:
            raise self.failing[call]

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
    def __init__(self, memory: DeviceMemory, flags: int) -> None:
        assert memory.driver_stack
        self._memory = memory
        self.is_non_blocking = flags == 1
        self.handle = memory.next_address
        memory.next_address += 1
        self.captured: list[Callable[[], None]] | None = None
        memory.streams[self.handle] = self


class StreamOwner:
    """PyCUDA's stream object, which frees the stream if the context is current then."""

    def __init__(self, memory: DeviceMemory, flags: int) -> None:
        self._memory = memory
        self._stream = Stream(memory, flags)
        self.handle = self._stream.handle

    def synchronize(self) -> None:
        self._memory.check("cuStreamSynchronize")
        assert self._stream.captured is None, "a stream that captures cannot be waited for"

    def __del__(self) -> None:
        if self._memory.pycuda_stack:
            self._memory.streams.pop(self.handle, None)


class PageLocked(np.ndarray):
    """A page-locked array, as are its slices."""


def make_pycuda(memory: DeviceMemory) -> ModuleType:
    """The module `pycuda.driver`."""
    module = ModuleType("pycuda.driver")

    class Error(Exception):
        pass

    class MemoryError(Error):  # noqa: A001 - its name in PyCUDA
        pass

    class Context:
        is_valid = True

        def __init__(self) -> None:
            self.thread = threading.get_ident()
            memory.references += 1

        def push(self) -> None:
            assert self.is_valid
            memory.check("cuCtxPushCurrent")
            if memory.pycuda_stack:
                memory.driver_stack.pop()
            memory.driver_stack.append(self)
            memory.pycuda_stack.append(self)

        @staticmethod
        def pop() -> None:
            memory.check("cuCtxPopCurrent")
            memory.driver_stack.pop()
            memory.pycuda_stack.pop()
            if memory.pycuda_stack:
                memory.driver_stack.append(memory.pycuda_stack[-1])

        def detach(self) -> None:
            stack = memory.pycuda_stack
            is_current = bool(stack) and stack[-1] is self
            if is_current or self.thread == threading.get_ident():
                if not is_current:
                    memory.driver_stack.append(self)
                memory.references -= 1
                memory.events.append("detach")
            self.is_valid = False
            while stack and not stack[-1].is_valid:
                stack.pop()
            if is_current and stack:
                memory.driver_stack.append(stack[-1])

    class Device:
        def __init__(self, index: int) -> None:
            assert index in (0, 1)

        def retain_primary_context(self) -> Context:
            module.primary = Context()  # type: ignore[attr-defined]
            return module.primary  # type: ignore[attr-defined,no-any-return]

    class Event:
        def __init__(self) -> None:
            assert memory.driver_stack
            self.recorded = 0
            memory.marks += 1

        def record(self, stream: StreamOwner) -> None:
            assert memory.streams[stream.handle].captured is None
            self.recorded += 1

        def time_since(self, earlier: Event) -> float:
            assert self.recorded
            assert earlier.recorded
            return 1.5

        def __del__(self) -> None:
            if memory.pycuda_stack:
                memory.marks -= 1

    class Allocation:
        def __init__(self, size: int) -> None:
            assert memory.driver_stack
            assert size > 0
            memory.check("cuMemAlloc")
            if sum(map(len, memory.blocks.values())) + size > memory.fits_bytes:
                raise MemoryError("cuMemAlloc failed: out of memory")
            self.address = memory.next_address
            memory.next_address += size + CREATED
            memory.blocks[self.address] = np.zeros(size, np.uint8)

        def __int__(self) -> int:
            return self.address

        def free(self) -> None:
            assert memory.driver_stack
            del memory.blocks[self.address]
            memory.events.append("device memory")

    class HostAllocation:
        def free(self) -> None:
            assert memory.driver_stack
            memory.host_blocks -= 1
            memory.events.append("host memory")

    class OwnedArray(PageLocked):
        allocation = HostAllocation()

        @property
        def base(self) -> Any:
            return self.allocation

    def pagelocked_empty(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        assert memory.driver_stack
        memory.check("cuMemHostAlloc")
        memory.host_blocks += 1
        return np.full(shape, 77, dtype).view(OwnedArray)

    def memcpy_htod_async(dest: int, src: np.ndarray, stream: StreamOwner) -> None:
        assert isinstance(src, PageLocked)
        assert memory.driver_stack
        memory.enqueue(stream.handle, lambda: memory.write(dest, src))

    def memcpy_dtoh_async(dest: np.ndarray, src: int, stream: StreamOwner) -> None:
        assert isinstance(dest, PageLocked)
        assert memory.driver_stack

        def copy() -> None:
            data = memory.blocks[src][: dest.nbytes]
            dest[...] = data.view(dest.dtype).reshape(dest.shape)

        memory.enqueue(stream.handle, copy)

    module.__dict__.update(
        Error=Error,
        MemoryError=MemoryError,
        init=lambda: None,
        Device=Device,
        Event=Event,
        Stream=lambda flags=0: StreamOwner(memory, flags),
        mem_alloc=Allocation,
        pagelocked_empty=pagelocked_empty,
        memcpy_htod_async=memcpy_htod_async,
        memcpy_dtoh_async=memcpy_dtoh_async,
    )
    return module


class FakeCudaDriver:
    """libcuda's graph and context functions, with codes as results and pointers through `byref`."""

    def __init__(self, memory: DeviceMemory, *, failing: str = "") -> None:
        self._memory = memory
        self.failing = failing
        self._graphs: dict[int, list[Callable[[], None]]] = {}
        self.failing_code = 902
        self.launches = 0

    def _stream(self, handle: Any) -> Stream:
        return self._memory.streams[handle.value]

    def cuCtxPopCurrent_v2(self, _popped: Any) -> int:
        if not self._memory.driver_stack:
            return 201
        self._memory.driver_stack.pop()
        return 0

    def cuStreamBeginCapture_v2(self, stream: Any, mode: int) -> int:
        assert mode == 1
        assert self._stream(stream).is_non_blocking, (
            "another thread's default stream would break it"
        )
        if self.failing == "cuStreamBeginCapture_v2":
            return 900
        self._stream(stream).captured = []
        return 0

    def cuStreamEndCapture(self, stream: Any, graph: Any) -> int:
        captured = self._stream(stream).captured
        self._stream(stream).captured = None
        assert captured is not None
        if self.failing == "cuStreamEndCapture":
            return 901
        graph._obj.value = len(self._graphs) + 1
        self._graphs[graph._obj.value] = captured
        return 0

    def cuGraphInstantiateWithFlags(self, executable: Any, graph: Any, flags: Any) -> int:
        assert flags.value == 0
        if self.failing == "cuGraphInstantiateWithFlags":
            return self.failing_code
        executable._obj.value = graph.value
        return 0

    def cuGraphDestroy(self, graph: Any) -> int:
        assert graph.value in self._graphs
        return 0

    def cuGraphLaunch(self, executable: Any, stream: Any) -> int:
        assert self._stream(stream).captured is None
        if self.failing == "cuGraphLaunch":
            return self.failing_code
        self.launches += 1
        for work in self._graphs[executable.value]:
            work()
        return 0

    def cuGraphExecDestroy(self, executable: Any) -> int:
        del self._graphs[executable.value]
        self._memory.events.append("graph")
        return 0
