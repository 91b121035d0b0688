"""Build a serialized engine from ONNX with TensorRT 10 or 11 or TensorRT-RTX.

Networks are strongly typed: the ONNX file determines the precision of every layer. TensorRT 11
always builds so; the other two are told to. Each batch size has its own profile, tuned for it
alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtseg.backends.batching import BATCHES
from rtseg.backends.tensorrt.library import Library
from rtseg.backends.tensorrt.progress import Progress, make_monitor, run_interruptibly
from rtseg.backends.tensorrt.recipe import EngineRecipe
from rtseg.errors import BackendError
from rtseg.export.onnx_file import INPUT, LABELS, OnnxModel
from rtseg.export.onnx_outputs import without_output
from rtseg.export.quantize import with_signed_activations

SMALLEST_WORKSPACE_MIB = 64

# A build that runs out of memory reports kernels that could not be tried (TensorRT issue 4258).
_OUT_OF_MEMORY = re.compile(
    r"out of memory|outofmemory|could not find any implementation for node|failed to allocate|"
    r"insufficient memory|memory allocation",
    re.IGNORECASE,
)

# The prefix with which both libraries' builders report an engine's layers.
_LAYER_REPORTS = ("Layers:", "Engine Layer Information:")

_log = logging.getLogger("rtseg")


@dataclass(frozen=True, kw_only=True)
class BuiltPlan:
    """The result of a build.

    Attributes:
        plan: the serialized engine.
        timing_cache: kernel timings, for the next build on this device and version.
        workspace_mib: the workspace of the successful build.
        layers: the builder's report of the engine's layers; "" if it made none.
    """

    plan: bytes
    timing_cache: bytes
    workspace_mib: int
    layers: str = ""


def make_logger(module: Any) -> Any:
    """A TensorRT logger that writes to rtseg's log, and keeps errors and the report of layers as
    `errors` and `layers`."""

    class Logger(module.ILogger):  # type: ignore[misc] # known at run time only
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []
            self.layers = ""

        def log(self, severity: Any, msg: str) -> None:
            if severity in (module.ILogger.INTERNAL_ERROR, module.ILogger.ERROR):
                self.errors.append(" ".join(msg.split()))
            if msg.startswith(_LAYER_REPORTS):
                self.layers = msg
            # warnings are advice to programmers, and there are many
            _log.debug("TensorRT: %s", msg)

        def last_error(self) -> str:
            return self.errors[-1] if self.errors else "it gives no reason"

    return Logger()


def created(logger: Any, what: str, factory: Callable[..., Any], *arguments: Any) -> Any:
    """Call a TensorRT constructor or factory.

    Raises:
        BackendError: it created nothing, which TensorRT reports as None or as a TypeError.
    """
    try:
        result = factory(*arguments)
    except TypeError as error:
        if "nullptr" not in str(error):
            raise
        result = None
    if result is None:
        raise BackendError(f"TensorRT could not make {what}: {logger.last_error()}")
    return result


def is_out_of_memory(message: str) -> bool:
    """Whether TensorRT reports, in any of its ways, that the device's memory is full."""
    return _OUT_OF_MEMORY.search(message) is not None


def build_plan(
    library: Library,
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    architectures: tuple[str, ...] = (),
    timing_cache: bytes = b"",
    on_progress: Progress | None = None,
) -> BuiltPlan:
    """Build an engine, which takes from seconds to minutes.

    If memory runs out, the workspace is halved until the build fits.

    Args:
        library: the library to build with.
        exported: the model.
        recipe: the settings of the build.
        architectures: for TensorRT-RTX, the GPU architectures to build for, at least one, as in
            `sm89`. TensorRT builds for the installed GPU.
        timing_cache: the timing cache of an earlier build.
        on_progress: called with the progress of the build.

    Raises:
        BackendError: TensorRT rejects the model, or fails.
        KeyboardInterrupt: Ctrl-C; no build continues in the background.
    """
    logger = make_logger(library.module)
    workspace_mib = recipe.workspace_mib
    while True:
        try:
            return _build_once(
                library,
                logger,
                exported,
                recipe,
                workspace_mib=workspace_mib,
                architectures=architectures,
                timing_cache=timing_cache,
                on_progress=on_progress,
            )
        except _BuildError as error:
            if not error.out_of_memory:
                raise BackendError(f"TensorRT could not build the engine: {error}") from None
            if workspace_mib // 2 < SMALLEST_WORKSPACE_MIB:
                raise BackendError(
                    f"the GPU's memory is too full to build the engine, even with a workspace of "
                    f"{workspace_mib} MiB ({error}); close other programs that use the GPU"
                ) from None
            _log.warning(
                "the GPU's memory is too full for a workspace of %d MiB; trying %d MiB",
                workspace_mib,
                workspace_mib // 2,
            )
            workspace_mib //= 2
            logger.errors.clear()


class _BuildError(Exception):
    def __init__(self, logger: Any, fallback: str) -> None:
        super().__init__(logger.errors[-1] if logger.errors else fallback)
        messages = (*logger.errors, fallback)
        self.out_of_memory = any(is_out_of_memory(message) for message in messages)


def _build_once(
    library: Library,
    logger: Any,
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    workspace_mib: int,
    architectures: tuple[str, ...],
    timing_cache: bytes,
    on_progress: Progress | None,
) -> BuiltPlan:
    module = library.module
    builder = created(logger, "a builder", module.Builder, logger)
    network = created(logger, "a network", builder.create_network, _network_flags(library))
    parser = created(logger, "a parser", module.OnnxParser, network, logger)
    if not parser.parse(_for_tensorrt(exported)):
        reasons = [_parser_error(parser.get_error(index)) for index in range(parser.num_errors)]
        raise BackendError(
            f"{library.title} rejects the exported model: "
            f"{'; '.join(reasons) or logger.last_error()}"
        )
    config = created(logger, "a configuration", builder.create_builder_config)
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, workspace_mib * 2**20)
    config.builder_optimization_level = recipe.optimisation_level
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
    if exported.precision != "fp16":
        # otherwise "FP32" would have ten bits of mantissa
        config.clear_flag(module.BuilderFlag.TF32)
    if library.is_rtx:
        _target(module, config, architectures)
    else:
        cache = created(logger, "a timing cache", config.create_timing_cache, timing_cache)
        config.set_timing_cache(cache, ignore_mismatch=False)
    for batch in BATCHES:
        if batch <= recipe.largest_batch:
            config.add_optimization_profile(_profile(builder, exported, batch))
    monitor = make_monitor(module, on_progress)
    config.progress_monitor = monitor
    try:
        plan = run_interruptibly(monitor, lambda: builder.build_serialized_network(network, config))
    except RuntimeError as error:
        raise _BuildError(logger, " ".join(str(error).split())) from error
    if plan is None:
        raise _BuildError(logger, "no reason given")
    measured = b"" if library.is_rtx else bytes(config.get_timing_cache().serialize())
    return BuiltPlan(
        plan=bytes(plan),
        timing_cache=measured,
        workspace_mib=workspace_mib,
        layers=logger.layers,
    )


def _for_tensorrt(exported: OnnxModel) -> bytes:
    """Remove what engines do not need from the model, and convert INT8 as TensorRT requires."""
    data = without_output(exported.data, LABELS)
    return with_signed_activations(data) if exported.precision == "int8" else data


def _network_flags(library: Library) -> int:
    if not library.is_rtx and library.version.startswith("11."):
        return 0
    return 1 << int(library.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _parser_error(error: Any) -> str:
    """The parser's error message, and its place in the model."""
    words = " ".join(str(error.desc()).split())
    node = error.node_name()
    return f"{words} (node {node!r}, {error.node_operator()})" if node else words


def _target(module: Any, config: Any, architectures: tuple[str, ...]) -> None:
    """Set the architectures that TensorRT-RTX builds for, and allow recording as CUDA graphs."""
    config.num_compute_capabilities = len(architectures)
    for index, architecture in enumerate(architectures):
        capability = getattr(module.ComputeCapability, architecture.upper())
        if not config.set_compute_capability(capability, index):
            raise BackendError(f"TensorRT-RTX does not build for {architecture} here")
    config.set_flag(module.BuilderFlag.REQUIRE_USER_ALLOCATION)


def _profile(builder: Any, exported: OnnxModel, batch: int) -> Any:
    profile = builder.create_optimization_profile()
    shape = (batch, exported.model.input_height, exported.model.input_width, 3)
    profile.set_shape(INPUT, shape, shape, shape)
    return profile
