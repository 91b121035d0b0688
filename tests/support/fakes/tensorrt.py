"""A fake `tensorrt` with exactly the API that rtseg may use of TensorRT 10, 11 or RTX 1.

Its engines are a line of JSON. Running one computes `probabilities_of` the crops, so that inputs,
addresses and outputs can be checked. It says nothing about speed.
"""

from __future__ import annotations

import enum
import json
import time
from types import ModuleType
from typing import Any

from rtseg.export.onnx_file import INPUT, PROBABILITIES, parse_onnx
from tests.support.fakes.tensorrt_behaviour import Behaviour, HostMemory, Kernel


def make_tensorrt(version: str, behaviour: Behaviour) -> ModuleType:
    """Make the module for a version such as "10.13.0.35", "11.4.0.106" or "1.7.1.116" (RTX)."""
    is_11, is_rtx = version.startswith("11."), version.startswith("1.")
    module = ModuleType("tensorrt_rtx_bindings" if is_rtx else "tensorrt")

    def constructed(name: str) -> None:
        if name in behaviour.makes_nothing:
            raise TypeError(f"tensorrt.{name}: factory function returned nullptr")

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
        if is_rtx:
            REQUIRE_USER_ALLOCATION = "REQUIRE_USER_ALLOCATION"
        elif not is_11:
            FP16 = "FP16"

    class ProfilingVerbosity(enum.Enum):
        LAYER_NAMES_ONLY = 0
        DETAILED = 2

    class ComputeCapability(enum.Enum):
        SM75, SM80, SM86, SM89, SM120, SM121 = 75, 80, 86, 89, 120, 121

    class DynamicShapesKernelSpecializationStrategy(enum.Enum):
        LAZY, EAGER, NONE = 0, 1, 2

    class CudaGraphStrategy(enum.Enum):
        DISABLED, WHOLE_GRAPH_CAPTURE = 0, 1

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
            self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
            self.num_compute_capabilities = 0
            self.architectures: dict[int, ComputeCapability] = {}
            self.workspace_mib = 0
            self.profiles: list[Profile] = []
            self.cache: TimingCache | None = None

        def set_memory_pool_limit(self, pool: MemoryPoolType, pool_size: int) -> None:
            assert pool is MemoryPoolType.WORKSPACE
            self.workspace_mib = pool_size >> 20

        def clear_flag(self, flag: BuilderFlag) -> None:
            behaviour.cleared_flags.append(flag.name)

        def set_flag(self, flag: BuilderFlag) -> None:
            behaviour.set_flags.append(flag.name)

        def set_compute_capability(self, capability: ComputeCapability, index: int) -> bool:
            assert is_rtx
            assert index < self.num_compute_capabilities
            self.architectures[index] = capability
            return True

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

        def node_name(self) -> str:
            return "node_1"

        def node_operator(self) -> str:
            return "Frobnicate"

    class OnnxParser:
        def __init__(self, network: Network, logger: ILogger) -> None:
            constructed("OnnxParser")
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
            constructed("Builder")
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
            if is_rtx:
                assert len(config.architectures) == config.num_compute_capabilities > 0
            behaviour.architectures = [c.name for c in config.architectures.values()]
            if config.profiling_verbosity is ProfilingVerbosity.DETAILED:
                kind = {"fp16": "Half", "fp32": "Float"}.get(exported.precision, "Int8")
                tensor = f"[ {{ Name: x, Dimensions: [1], Datatype: {kind}, Format: Linear }}]"
                report = (
                    f"Layers:\nName: conv_1, LayerType: correlation, Inputs: {tensor}, "
                    f"Constants: {tensor}, Outputs: {tensor}, TacticName: t, StreamId: 0\n"
                )
                self._logger.log(Severity.VERBOSE, report)
            plan = {
                "tensorrt": version,
                "build": behaviour.builds,
                "time": time.time_ns(),  # no two builds produce the same bytes
                "precision": exported.precision,
                "profiles": [profile.shapes[INPUT] for profile in config.profiles],
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
            time.sleep(behaviour.step_seconds)
            monitor.phase_finish("Timing")
            goes_on = monitor.step_complete("Building", step) and goes_on
            if not goes_on:
                break
        monitor.phase_finish("Building")
        return goes_on

    class Runtime:
        def __init__(self, logger: ILogger) -> None:
            constructed("Runtime")
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

    class RuntimeCache:
        def __init__(self) -> None:
            self.kernels: set[str] = set()

        def deserialize(self, blob: bytes) -> bool:
            if behaviour.kernels_fit:
                self.kernels = set(json.loads(blob))
            return behaviour.kernels_fit

        def serialize(self) -> HostMemory:
            return HostMemory(json.dumps(sorted(self.kernels)).encode())

    class RuntimeConfig:
        strategy: Any = ExecutionContextAllocationStrategy.STATIC
        cache: RuntimeCache | None = None
        dynamic_shapes_kernel_specialization_strategy = (
            DynamicShapesKernelSpecializationStrategy.LAZY
        )
        cuda_graph_strategy = CudaGraphStrategy.DISABLED

        def set_execution_context_allocation_strategy(self, strategy: Any) -> None:
            self.strategy = strategy

        def create_runtime_cache(self) -> RuntimeCache:
            return RuntimeCache()

        def set_runtime_cache(self, cache: RuntimeCache) -> bool:
            self.cache = cache
            return True

    class Engine:
        def __init__(self, plan: dict[str, Any], runtime: Runtime) -> None:
            self.plan, self.logger = plan, runtime._logger
            _, height, width, _ = plan["profiles"][0][0]
            stride = plan["stride"]
            self._shapes = {
                INPUT: (-1, height, width, 3),
                PROBABILITIES: (-1, height // stride, width // stride, plan["classes"]),
            }
            self.num_io_tensors = len(self._shapes)
            self.num_optimization_profiles = len(plan["profiles"])

        def get_tensor_name(self, index: int) -> str:
            return list(self._shapes)[index]

        def get_tensor_shape(self, name: str) -> tuple[int, ...]:
            return self._shapes[name]

        def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Any]:
            assert name == INPUT
            return list(self.plan["profiles"][profile_index])

        def create_runtime_config(self) -> RuntimeConfig:
            assert is_rtx
            return RuntimeConfig()

        def create_execution_context(self, how: Any) -> Context | None:
            config = how if isinstance(how, RuntimeConfig) else None
            strategy = how if config is None else config.strategy
            assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
            assert (config is not None) == is_rtx
            if behaviour.no_context and behaviour.no_context_message:
                self.logger.log(Severity.ERROR, behaviour.no_context_message)
            return None if behaviour.no_context else Context(self, config)

        def __del__(self) -> None:
            behaviour.events.append("engine")

    class Context:
        def __init__(self, engine: Engine, config: RuntimeConfig | None) -> None:
            self._plan, self._engine = engine.plan, engine
            self._config = config
            self._profile = 0
            self._shape: tuple[int, ...] = ()
            self._addresses: dict[str, int] = {}
            self._memory: int | None = None
            if is_rtx:
                # looked up on the object, because older versions lack it
                self.is_stream_capturable = lambda _handle: behaviour.is_capturable

        def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
            assert stream_handle in behaviour.memory.streams
            self._profile = profile_index
            return profile_index < len(self._plan["profiles"])

        def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
            self._shape = shape
            low, _, high = self._plan["profiles"][self._profile]
            if self._config is not None and self._config.cache is not None:
                kernel = f"batch {shape[0]}"
                behaviour.compiled_kernels += kernel not in self._config.cache.kernels
                self._config.cache.kernels.add(kernel)
            return name == INPUT and low[0] <= shape[0] <= high[0]

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
            if behaviour.execution_message:
                self._engine.logger.log(Severity.ERROR, behaviour.execution_message)
            if behaviour.executes:
                assert set(self._addresses) == {INPUT, PROBABILITIES}
                kernel = Kernel(
                    behaviour=behaviour,
                    workspace=self._memory,
                    crops=self._addresses[INPUT],
                    probabilities=self._addresses[PROBABILITIES],
                    shape=self._shape,
                    stride=self._plan["stride"],
                    classes=self._plan["classes"],
                )
                behaviour.memory.enqueue(stream_handle, kernel)
            return behaviour.executes

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
        ProfilingVerbosity=ProfilingVerbosity,
    )
    if is_rtx:
        module.__dict__.update(
            ComputeCapability=ComputeCapability,
            CudaGraphStrategy=CudaGraphStrategy,
            DynamicShapesKernelSpecializationStrategy=DynamicShapesKernelSpecializationStrategy,
        )
    return module
