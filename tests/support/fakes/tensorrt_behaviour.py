"""What a fake TensorRT does and records: faults to simulate, and an engine's result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Behaviour:
    """Faults to simulate, and a record of calls."""

    events: list[str] = field(default_factory=list)
    parse_errors: tuple[str, ...] = ()
    makes_nothing: tuple[str, ...] = ()
    """Names of constructors and factories that return a null pointer."""
    loads: Callable[[dict[str, Any]], bool] = lambda _plan: True
    fits_mib: int = 1 << 20
    out_of_memory_message: str = "Could not find any implementation for node {ForeignNode[a...b]}."
    build_seconds: float = 0.0
    step_seconds: float = 0.0
    on_build: Callable[[], None] = lambda: None
    builds: int = 0
    built_precisions: list[str] = field(default_factory=list)
    network_flags: list[int] = field(default_factory=list)
    timing_caches: list[bytes] = field(default_factory=list)
    cleared_flags: list[str] = field(default_factory=list)
    set_flags: list[str] = field(default_factory=list)
    architectures: list[str] = field(default_factory=list)
    compiled_kernels: int = 0
    kernels_fit: bool = True
    executed_batches: list[int] = field(default_factory=list)
    executes: bool = True
    execution_message: str = ""
    no_context: bool = False
    no_context_message: str = ""
    is_capturable: bool = True
    bytes_per_crop: int = 1 << 16  # device memory that a context needs per batch size
    memory: Any = None  # the device's, of tests.support.fakes.cuda or tests.support.cuda_machine


def probabilities_of(crops: np.ndarray, *, stride: int, classes: int) -> np.ndarray:
    """A fake engine's result: uint8 (n, h, w, 3) -> float32 (n, h/s, w/s, classes)."""
    batch, height, width, _ = crops.shape
    blocks = crops.reshape(batch, height // stride, stride, width // stride, stride, 3)
    means = blocks.mean((2, 4)) / 255
    logits = means[..., np.arange(classes) % 3] * (1 + np.arange(classes))
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """What running an engine puts on a stream: the `probabilities_of` crops at one address, written
    to another. A fake device calls it; on a real one, a compiled kernel does the same.
    """

    behaviour: Behaviour
    workspace: int | None
    crops: int
    probabilities: int
    shape: tuple[int, ...]
    stride: int
    classes: int

    def __call__(self) -> None:
        self.behaviour.executed_batches.append(self.shape[0])
        memory = self.behaviour.memory
        assert self.workspace in memory.blocks
        crops = memory.read(self.crops, self.shape)
        results = probabilities_of(crops, stride=self.stride, classes=self.classes)
        memory.write(self.probabilities, results)


class HostMemory(bytes):
    """`IHostMemory` is a buffer."""
