"""A `tensorrt` that has exactly what rtseg may use of TensorRT 10 or of TensorRT 11.

Its engines are a line of JSON. Running one computes `probabilities_of` the crops, so that what
goes in, where, and what comes out can be checked; nothing here says anything about speed.
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from rtseg.export.onnx_file import INPUT, LABELS, PROBABILITIES, parse_onnx


@dataclass
class Behaviour:
    """What goes wrong, and what was seen."""

    events: list[str] = field(default_factory=list)
    parse_errors: tuple[str, ...] = ()
    loads: Callable[[dict[str, Any]], bool] = lambda _plan: True
    fits_mib: int = 1 << 20
    out_of_memory_message: str = "Could not find any implementation for node {ForeignNode[a...b]}."
    build_seconds: float = 0.0
    on_build: Callable[[], None] = lambda: None
    builds: int = 0
    built_precisions: list[str] = field(default_factory=list)
    network_flags: list[int] = field(default_factory=list)
    timing_caches: list[bytes] = field(default_factory=list)
    cleared_flags: list[str] = field(default_factory=list)
    executed_batches: list[int] = field(default_factory=list)
    executes: bool = True
    no_context: bool = False
    bytes_per_crop: int = 1 << 16  # what a context needs to work on one
    memory: Any = None  # the fake device memory of tests.support.fakes.cuda


def probabilities_of(crops: np.ndarray, *, stride: int, classes: int) -> np.ndarray:
    """What a fake engine makes of crops: uint8 (n, h, w, 3) -> float32 (n, h/s, w/s, classes)."""
    batch, height, width, _ = crops.shape
    blocks = crops.reshape(batch, height // stride, stride, width // stride, stride, 3)
    means = blocks.mean((2, 4)) / 255
    logits = means[..., np.arange(classes) % 3] * (1 + np.arange(classes))
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return (exponentials / exponentials.sum(-1, keepdims=True)).astype(np.float32)


class HostMemory(bytes):
    """`IHostMemory` is a buffer."""


def make_tensorrt(version: str, behaviour: Behaviour) -> ModuleType:
    """The module, of a version such as "10.13.0.35" or "11.4.0.106"."""
    module = ModuleType("tensorrt")
    is_11 = version.startswith("11.")

    class Severity(enum.IntEnum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    class ILogger:
        INTERNAL_ERROR, ERROR = Severity.INTERNAL_ERROR, Severity.ERROR

        def __init__(self) -> None:
            self.initialised = True

        def log(self, severity: Severity, msg: str) -> None:
            raise NotImplementedError

    class NetworkDefinitionCreationFlag(enum.IntEnum):
        EXPLICIT_BATCH = 0
        STRONGLY_TYPED = 1

    class BuilderFlag(enum.Enum):
        TF32 = "TF32"
        if not is_11:
            FP16 = "FP16"

    class MemoryPoolType(enum.Enum):
        WORKSPACE = 0

    class ExecutionContextAllocationStrategy(enum.IntEnum):
        STATIC = 0
        USER_MANAGED = 2

    class IProgressMonitor:
        def __init__(self) -> None:
            self.initialised = True

    class Profile:
        def __init__(self) -> None:
            self.shapes: dict[str, tuple[Any, ...]] = {}

        def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
            assert min[0] <= opt[0] <= max[0]
            self.shapes[input] = (min, opt, max)

    class TimingCache:
        def __init__(self, blob: bytes) -> None:
            self.blob = blob

        def serialize(self) -> HostMemory:
            return HostMemory(self.blob + b"+")

    class Config:
        def __init__(self) -> None:
            self.builder_optimization_level = 3
            self.progress_monitor: Any = None
            self.workspace_mib = 0
            self.profiles: list[Profile] = []
            self.cache: TimingCache | None = None

        def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
            assert pool is MemoryPoolType.WORKSPACE
            self.workspace_mib = pool_size >> 20

        def clear_flag(self, flag: BuilderFlag) -> None:
            behaviour.cleared_flags.append(flag.name)

        def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache:
            behaviour.timing_caches.append(bytes(serialized_timing_cache))
            return TimingCache(serialized_timing_cache)

        def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
            assert not ignore_mismatch
            self.cache = cache
            return True

        def get_timing_cache(self) -> TimingCache | None:
            return self.cache

        def add_optimization_profile(self, profile: Profile) -> int:
            self.profiles.append(profile)
            return 0

    class Network:
        exported: Any = None

    class ParserError:
        def __init__(self, text: str) -> None:
            self._text = text

        def desc(self) -> str:
            return self._text

    class OnnxParser:
        def __init__(self, network: Network, logger: ILogger) -> None:
            assert logger.initialised
            self._network = network
            self.num_errors = len(behaviour.parse_errors)

        def parse(self, model: bytes) -> bool:
            self._network.exported = parse_onnx(model, name="onnx")
            return not behaviour.parse_errors

        def get_error(self, index: int) -> ParserError:
            return ParserError(behaviour.parse_errors[index])

    class Builder:
        def __init__(self, logger: ILogger) -> None:
            assert logger.initialised
            self._logger = logger

        def create_network(self, flags: int = 0) -> Network:
            behaviour.network_flags.append(flags)
            return Network()

        def create_builder_config(self) -> Config:
            return Config()

        def create_optimization_profile(self) -> Profile:
            return Profile()

        def build_serialized_network(self, network: Network, config: Config) -> HostMemory | None:
            exported, monitor = network.exported, config.progress_monitor
            if not _report(monitor):
                return None
            time.sleep(behaviour.build_seconds)
            if config.workspace_mib > behaviour.fits_mib:
                self._logger.log(Severity.ERROR, behaviour.out_of_memory_message)
                return None
            behaviour.builds += 1
            behaviour.on_build()
            behaviour.built_precisions.append(exported.precision)
            (profile,) = config.profiles
            plan = {
                "tensorrt": version,
                "build": behaviour.builds,
                "time": time.time_ns(),  # no two builds give the same bytes
                "precision": exported.precision,
                "profile": profile.shapes[INPUT],
                "stride": exported.model.stride,
                "classes": len(exported.model.label_set),
            }
            return HostMemory(json.dumps(plan).encode())

    def _report(monitor: Any) -> bool:
        if monitor is None:
            return True
        assert monitor.initialised
        monitor.phase_start("Building", None, 4)
        goes_on = True
        for step in range(4):
            monitor.phase_start("Timing", "Building", 2)
            goes_on = monitor.step_complete("Timing", 0) and goes_on
            monitor.phase_finish("Timing")
            goes_on = monitor.step_complete("Building", step) and goes_on
            if not goes_on:
                break
        monitor.phase_finish("Building")
        return goes_on

    class Runtime:
        def __init__(self, logger: ILogger) -> None:
            assert logger.initialised
            self._logger = logger

        def deserialize_cuda_engine(self, serialized_engine: bytes) -> Engine | None:
            try:
                plan = json.loads(serialized_engine)
            except ValueError:
                self._logger.log(Severity.ERROR, "Magic tag does not match")
                return None
            if plan["tensorrt"] != version or not behaviour.loads(plan):
                self._logger.log(Severity.ERROR, "Version tag does not match")
                return None
            return Engine(plan, self)

        def __del__(self) -> None:
            behaviour.events.append("runtime")

    class Engine:
        def __init__(self, plan: dict[str, Any], runtime: Runtime) -> None:
            self.plan = plan
            self.num_io_tensors = 3
            _, height, width, _ = plan["profile"][0]
            stride = plan["stride"]
            self._shapes = {
                INPUT: (-1, height, width, 3),
                PROBABILITIES: (-1, height // stride, width // stride, plan["classes"]),
                LABELS: (-1, height, width),
            }

        def get_tensor_name(self, index: int) -> str:
            return list(self._shapes)[index]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self._shapes[name]

        def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
            assert (name, profile_index) == (INPUT, 0)
            return list(self.plan["profile"])

        def create_execution_context(
            self, strategy: ExecutionContextAllocationStrategy
        ) -> Context | None:
            assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
            return None if behaviour.no_context else Context(self)

        def __del__(self) -> None:
            behaviour.events.append("engine")

    class Context:
        def __init__(self, engine: Engine) -> None:
            self._plan = engine.plan
            self._shape: tuple[int, ...] = ()
            self._addresses: dict[str, int] = {}
            self._memory: int | None = None

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self._shape = shape
            return name == INPUT and shape[0] <= self._plan["profile"][2][0]

        def set_tensor_address(self, name: str, memory: int) -> bool:
            self._addresses[name] = memory
            return True

        def update_device_memory_size_for_shapes(self) -> int:
            return self._shape[0] * behaviour.bytes_per_crop

        def set_device_memory(self, memory: int, size: int) -> None:
            assert size >= self.update_device_memory_size_for_shapes()
            assert len(behaviour.memory.blocks[memory]) >= size
            self._memory = memory

        def execute_async_v3(self, stream_handle: int) -> bool:
            if behaviour.executes:
                behaviour.memory.enqueue(stream_handle, self._execute)
            return behaviour.executes

        def _execute(self) -> None:
            assert set(self._addresses) == {INPUT, PROBABILITIES, LABELS}
            behaviour.executed_batches.append(self._shape[0])
            memory = behaviour.memory
            assert self._memory in memory.blocks
            crops = memory.read(self._addresses[INPUT], self._shape)
            found = probabilities_of(
                crops, stride=self._plan["stride"], classes=self._plan["classes"]
            )
            memory.write(self._addresses[PROBABILITIES], found)

        def __del__(self) -> None:
            behaviour.events.append("context")

    module.__dict__.update(
        __version__=version,
        ILogger=ILogger,
        IProgressMonitor=IProgressMonitor,
        NetworkDefinitionCreationFlag=NetworkDefinitionCreationFlag,
        BuilderFlag=BuilderFlag,
        ExecutionContextAllocationStrategy=ExecutionContextAllocationStrategy,
        MemoryPoolType=MemoryPoolType,
        OnnxParser=OnnxParser,
        Builder=Builder,
        Runtime=Runtime,
    )
    return module
