"""The stub of libcuda for the runs of `tests.backends.tensorrt.driver_runs`. It also counts what a
real driver keeps to itself."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tests.support.cuda_machine import Machine
from tests.support.fakes.tensorrt_behaviour import Kernel

DEVICE_BLOCKS, HOST_BLOCKS, STREAMS, GRAPHS, EXECUTABLES, EVENTS = range(6)
PAGEABLE_COPIES, BAD_FREES, BAD_COPIES, LEGACY_CALLS, LAUNCHES = range(5)
KERNEL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class StubMachine(Machine):
    """See `Machine`; the stub's addresses are ordinary ones, so kernels are Python functions."""

    rounds = 4
    bytes_per_crop = 1 << 16

    def __init__(self) -> None:
        super().__init__()
        self.driver.stub_live.restype = self.driver.stub_count.restype = ctypes.c_long
        self._kernels: list[Any] = []

    def read(self, address: int, shape: tuple[int, ...]) -> np.ndarray:
        memory = (ctypes.c_uint8 * int(np.prod(shape))).from_address(address)
        return np.frombuffer(memory, np.uint8).reshape(shape).copy()

    def write(self, address: int, values: np.ndarray) -> None:
        ctypes.memmove(address, values.tobytes(), values.nbytes)

    def launch(self, stream_handle: int, kernel: Kernel) -> None:
        function = KERNEL(lambda _argument: kernel())
        self._kernels.append(function)
        self.call("stub_enqueue", ctypes.c_void_p(stream_handle), function, None)

    def check(self, probabilities: np.ndarray, expected: np.ndarray) -> None:
        np.testing.assert_array_equal(probabilities, expected)

    def check_graphs(self, executables: int, launches: int) -> None:
        assert self.driver.stub_live(EXECUTABLES) == executables
        assert self.driver.stub_count(LAUNCHES) >= launches

    def nothing_is_current(self) -> None:
        super().nothing_is_current()
        assert self.driver.stub_depth() == 0

    def nothing_is_left(self) -> None:
        super().nothing_is_left()
        alive = [self.driver.stub_live(kind) for kind in range(6)]
        assert alive == [0] * 6, alive
        assert [self.driver.stub_references(device) for device in (0, 1)] == [0, 0]
        counted = (PAGEABLE_COPIES, BAD_FREES, BAD_COPIES)
        faults = [self.driver.stub_count(what) for what in counted]
        assert faults == [0, 0, 0], faults

    def leave_room(self, size: int) -> None:
        self.driver.stub_set_limit(ctypes.c_long(size))

    def make_room(self) -> None:
        self.driver.stub_set_limit(ctypes.c_long(-1))

    def break_device(self) -> None:
        self.driver.stub_set_sticky(700)
