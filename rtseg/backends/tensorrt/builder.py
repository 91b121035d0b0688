"""ONNX to a serialized TensorRT engine, on TensorRT 10 and 11.

Networks are strongly typed: precision is that of the ONNX file. TensorRT 11 knows no other kind;
on 10 it is asked for.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rtseg.backends.tensorrt.recipe import EngineRecipe
from rtseg.errors import BackendError
from rtseg.export.onnx_file import INPUT, OnnxModel
from rtseg.system.nvidia import nvidia_driver_problem

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0..1, and the name of what is being done."""

SMALLEST_WORKSPACE_MIB = 64

# A build that runs out of memory shows as kernels that could not be tried (TensorRT issue 4258).
_OUT_OF_MEMORY = re.compile(
    r"out of memory|outofmemory|could not find any implementation for node|failed to allocate|"
    r"insufficient memory|memory allocation",
    re.IGNORECASE,
)

_log = logging.getLogger("rtseg")


@dataclass(frozen=True, kw_only=True)
class BuiltPlan:
    """What a build gave.

    Attributes:
        plan: the serialized engine.
        timing_cache: what was measured, for the next build on this device and version.
        workspace_mib: the workspace that it was built with in the end.
    """

    plan: bytes
    timing_cache: bytes
    workspace_mib: int


def tensorrt_library() -> Any:
    """The module `tensorrt`, of a version that this rtseg knows.

    Raises:
        BackendError: there is no driver (its first use would end the process), it is not
            installed or broken, or of another version.
    """
    problem = nvidia_driver_problem()
    if problem is not None:
        raise BackendError(
            f"TensorRT cannot run here: {problem}; `--device cpu` runs on the processor"
        )
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise BackendError(
            f"TensorRT cannot be loaded ({error}); pip install 'rtseg[tensorrt]'"
        ) from None
    if tensorrt_major(tensorrt) not in (10, 11):
        raise BackendError(
            f"TensorRT {tensorrt.__version__} is not supported; allowed: 10, 11; "
            "pip install -U 'rtseg[tensorrt]'"
        )
    return tensorrt


def tensorrt_major(tensorrt: Any) -> int:
    """The first number of TensorRT's version."""
    return int(str(tensorrt.__version__).split(".", 1)[0])


def make_logger(tensorrt: Any) -> Any:
    """A TensorRT logger that writes to rtseg's own and keeps the errors, as `errors`."""

    class Logger(tensorrt.ILogger):  # type: ignore[misc] # known at run time only
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if severity in (tensorrt.ILogger.INTERNAL_ERROR, tensorrt.ILogger.ERROR):
                self.errors.append(" ".join(msg.split()))
            # warnings are the vendor's advice to programmers, and many
            _log.debug("TensorRT: %s", msg)

    return Logger()


def is_out_of_memory(message: str) -> bool:
    """Whether TensorRT says, in one of its ways, that the device's memory is full."""
    return _OUT_OF_MEMORY.search(message) is not None


def build_plan(
    exported: OnnxModel,
    recipe: EngineRecipe,
    *,
    timing_cache: bytes = b"",
    on_progress: Progress | None = None,
) -> BuiltPlan:
    """Build an engine for this machine's device. Takes from seconds to minutes.

    Where memory runs out, the workspace is halved until it fits.

    Raises:
        BackendError: TensorRT is not usable here, does not take the model, or fails.
    """
    tensorrt = tensorrt_library()
    logger = make_logger(tensorrt)
    workspace_mib = recipe.workspace_mib
    while True:
        try:
            return _build_once(
                tensorrt, logger, exported, recipe, workspace_mib, timing_cache, on_progress
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
    tensorrt: Any,
    logger: Any,
    exported: OnnxModel,
    recipe: EngineRecipe,
    workspace_mib: int,
    timing_cache: bytes,
    on_progress: Progress | None,
) -> BuiltPlan:
    builder = tensorrt.Builder(logger)
    network = builder.create_network(_network_flags(tensorrt))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(exported.data):
        reasons = [parser.get_error(index).desc() for index in range(parser.num_errors)]
        raise BackendError(f"TensorRT does not take the exported model: {'; '.join(reasons)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, workspace_mib * 2**20)
    config.builder_optimization_level = recipe.optimisation_level
    if exported.precision == "fp32":
        # or "FP32" would mean ten bits of mantissa
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    cache = config.create_timing_cache(timing_cache)
    config.set_timing_cache(cache, ignore_mismatch=False)
    config.add_optimization_profile(_profile(builder, exported, recipe))
    monitor = _monitor(tensorrt, on_progress)
    config.progress_monitor = monitor
    try:
        plan = builder.build_serialized_network(network, config)
    except RuntimeError as error:
        raise _BuildError(logger, " ".join(str(error).split())) from error
    if monitor.interruption is not None:
        raise monitor.interruption
    if plan is None:
        raise _BuildError(logger, "no reason given")
    measured = config.get_timing_cache().serialize()
    return BuiltPlan(plan=bytes(plan), timing_cache=bytes(measured), workspace_mib=workspace_mib)


def _network_flags(tensorrt: Any) -> int:
    if tensorrt_major(tensorrt) >= 11:
        return 0
    return 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _profile(builder: Any, exported: OnnxModel, recipe: EngineRecipe) -> Any:
    profile = builder.create_optimization_profile()
    size = (exported.model.input_height, exported.model.input_width, 3)
    batches = (1, recipe.usual_batch, recipe.largest_batch)
    profile.set_shape(INPUT, *((batch, *size) for batch in batches))
    return profile


def _monitor(tensorrt: Any, on_progress: Progress | None) -> Any:
    """A progress monitor that turns TensorRT's nested phases into one share done.

    TensorRT calls it from its own threads, and swallows what it raises: an interruption (Ctrl-C)
    is kept, ends the build, and is raised again after it.
    """

    class Monitor(tensorrt.IProgressMonitor):  # type: ignore[misc] # known at run time only
        def __init__(self) -> None:
            tensorrt.IProgressMonitor.__init__(self)
            self.interruption: BaseException | None = None
            self._tracker = PhaseTracker()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._tracker.start(phase_name, parent_phase, num_steps)
            self._report(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._tracker.step(phase_name, step + 1)
            self._report(phase_name)
            return self.interruption is None

        def phase_finish(self, phase_name: str) -> None:
            self._tracker.finish(phase_name)

        def _report(self, phase_name: str) -> None:
            if on_progress is None or self.interruption is not None:
                return
            try:
                on_progress(self._tracker.share, phase_name)
            except BaseException as error:  # noqa: BLE001 - raised again by _build_once
                self.interruption = error

    return Monitor()


class PhaseTracker:
    """How far nested phases have come, as one share that never falls.

    Several phases without a parent follow one another in a number that is not known before; each
    takes half of what is left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, tuple[str | None, int, int]] = {}
        self._finished = 0.0
        self.share = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside another or on its own."""
        with self._lock:
            self._phases[name] = (parent if parent in self._phases else None, 0, max(steps, 1))

    def step(self, name: str, done: int) -> None:
        """So many steps of a phase are done."""
        with self._lock:
            if name in self._phases:
                parent, _, steps = self._phases[name]
                self._phases[name] = (parent, min(done, steps), steps)
                self._update()

    def finish(self, name: str) -> None:
        """A phase is over, even if not all its steps were reported."""
        with self._lock:
            if name in self._phases and self._phases.pop(name)[0] is None:
                self._finished += (1 - self._finished) / 2
                self._update()

    def _update(self) -> None:
        roots = [name for name, (parent, _, _) in self._phases.items() if parent is None]
        inside = self._inside(roots[-1]) if roots else 0.0
        now = self._finished + (1 - self._finished) / 2 * inside
        self.share = max(self.share, min(now, 1.0))

    def _inside(self, name: str) -> float:
        _, done, steps = self._phases[name]
        children = [child for child, (parent, _, _) in self._phases.items() if parent == name]
        part = max((self._inside(child) for child in children), default=0.0)
        return min((done + part) / steps, 1.0)
