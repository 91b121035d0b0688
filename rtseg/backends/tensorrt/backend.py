"""Run a built TensorRT engine on an NVIDIA GPU, without PyTorch.

Buffers are allocated once, page-locked on the host. A batch is padded to 1, 2, 4 or 8 crops; for
each of these sizes, the copies and kernels are recorded once as a CUDA graph, which is then started
by a single call. If the GPU's memory runs out, smaller batches are tried; each size has separate
working memory, no more than it needs. The device's primary context is used (as by PyTorch and
OpenCV), and is current only inside a call.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from typing import Any

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.backends.batching import BATCHES, infer_what_fits, padded
from rtseg.backends.tensorrt.builder import created, make_logger
from rtseg.backends.tensorrt.cuda_device import CudaDevice, Event, Stream, open_cuda_device
from rtseg.backends.tensorrt.execution import Buffers, GraphedBatch
from rtseg.backends.tensorrt.kernel_cache import KernelCache
from rtseg.backends.tensorrt.library import Library, library_to_run
from rtseg.backends.tensorrt.manifest import Engine, Manifest, StaleEngineError
from rtseg.errors import BackendError
from rtseg.export.onnx_file import INPUT, PROBABILITIES
from rtseg.system.nvidia import find_gpu

_log = logging.getLogger("rtseg")


class TensorRtBackend(Backend):
    """Runs a built engine.

    Args:
        plan: the engine's bytes, checked by `Engine.read`.
        manifest: the engine's description.
        device_index: the GPU's number, as in `cuda:0`.
        cuda_graphs: whether to record each batch size as a CUDA graph.
        kernel_cache: where TensorRT-RTX keeps the kernels that it compiles for this GPU.

    Raises:
        SettingError: there is no GPU with that number.
        BackendError: there is no driver, or a library is not installed or too new for the driver.
        DeviceMemoryError: the GPU's memory is full.
        StaleEngineError: the engine does not load on this machine; it must be rebuilt.
    """

    name = "tensorrt"

    def __init__(
        self,
        plan: bytes,
        manifest: Manifest,
        *,
        device_index: int = 0,
        cuda_graphs: bool = True,
        kernel_cache: KernelCache | None = None,
    ) -> None:
        self.model = manifest.model
        self.precision = manifest.precision
        self.max_batch = manifest.largest_batch
        self.uses_cuda_graphs = cuda_graphs
        self._lock = threading.Lock()
        library = _library_for(manifest)
        gpu = find_gpu(device_index)
        self.device = f"cuda:{device_index} ({gpu.name})"
        device = open_cuda_device(device_index)
        self.reason = (
            f"tensorrt on {self.device} by {library.title} and {device.library}, "
            f"{self.precision}, engine of {manifest.built}"
        )
        self._held = _Held(device)
        # a backend that is not closed is freed when it is dropped, or when the process ends
        self._finalizer = weakref.finalize(self, _drop, self._held)
        try:
            with device.current():
                self._held.load(library, plan, manifest, kernel_cache)
        except BaseException:
            self._release(quietly=True)
            raise

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`. If the GPU's memory is full, smaller batches are tried first."""
        self.check_crops(crops)
        with self._lock:
            if not self._finalizer.alive:
                raise BackendError("the tensorrt backend is closed; open a new one")
            with self._held.device.current():
                return infer_what_fits(
                    self, crops, run=self._run, make_room=self._held.close_batches
                )

    def warm_up(self) -> None:
        """Run every batch size once, so that each is recorded before the first real call."""
        size = (self.model.input_height, self.model.input_width, 3)
        for batch in BATCHES:
            if batch <= self.max_batch:
                self.infer(np.zeros((batch, *size), np.uint8))

    def _run(self, crops: Crops) -> ProbabilityBatch:
        """Run at most `max_batch` crops; the result is valid until the next call."""
        held, size = self._held, padded(len(crops))
        # also after a larger batch that did not fit: a failure must have a reason of its own
        held.forget_errors()
        # data of earlier calls beyond the crops is computed as well, and ignored
        held.buffers.crops[: len(crops)] = crops
        graphed = held.batches.get(size)
        if graphed is None:
            graphed, why = held.open_batch(size, record=self.uses_cuda_graphs)
            if why:
                self.uses_cuda_graphs = False
                _log.warning("CUDA graphs do not work here, so each call is slower: %s", why)
        self.device_seconds = held.time(graphed)
        result: ProbabilityBatch = held.buffers.probabilities[: len(crops)]
        return result

    def close(self) -> None:
        """See `Backend.close`. Frees everything that can be freed, even if CUDA fails.

        Raises:
            BackendError: CUDA failed, so that something may remain allocated on the device.
        """
        with self._lock:
            self._release(quietly=False)

    def _release(self, *, quietly: bool) -> None:
        if self._finalizer.detach() is None:
            return
        try:
            self._held.close()
        except BackendError as error:
            if not quietly:
                raise
            _log.debug("while releasing the GPU: %s", error)


def open_engine(
    engine: Engine, *, device_index: int = 0, cuda_graphs: bool = True
) -> TensorRtBackend:
    """Open and warm up a backend for a stored engine, with the kernels compiled for it: every graph
    is recorded before other threads use the GPU.

    Raises:
        StaleEngineError: the engine is not the one that was built, or does not load here.
        BackendError, DeviceMemoryError, SettingError: as for `TensorRtBackend`.
    """
    plan, manifest = engine.read(), engine.manifest
    cache = None
    if manifest.architectures:
        cache = KernelCache(engine.path, find_gpu(device_index))
    backend = TensorRtBackend(
        plan,
        manifest,
        device_index=device_index,
        cuda_graphs=cuda_graphs,
        kernel_cache=cache,
    )
    try:
        backend.warm_up()
    except BaseException:
        with contextlib.suppress(BackendError):
            backend.close()
        raise
    return backend


def _library_for(manifest: Manifest) -> Library:
    library = library_to_run()
    if library.flavour != manifest.flavour:
        raise StaleEngineError(
            f"the engine was built by {manifest.library}, and {library.title} does not load it"
        )
    return library


def _drop(held: _Held) -> None:
    """Free the resources of a backend that nobody closed."""
    with contextlib.suppress(BackendError):
        held.close()


class _Held:
    """Everything that a backend holds on the device, kept separately, so that it can be freed after
    the backend is gone."""

    stream: Stream
    buffers: Buffers

    def __init__(self, device: CudaDevice) -> None:
        self.device = device
        self.batches: dict[int, GraphedBatch] = {}
        self._resources = contextlib.ExitStack()
        self._logger: Any = None
        self._library: Library | None = None
        self._engine: Any = None
        self._runtime: Any = None
        self._config: Any = None
        self._kernels: Any = None
        self._kernel_cache: KernelCache | None = None

    def load(
        self, library: Library, plan: bytes, manifest: Manifest, kernel_cache: KernelCache | None
    ) -> None:
        """Load the engine and create what all batch sizes share. The device is current."""
        self._library = library
        self._logger = make_logger(library.module)
        self.stream = self.device.stream()
        self._resources.callback(self.stream.close)
        self._began, self._ended = self._event(), self._event()
        self._runtime = created(self._logger, "a runtime", library.module.Runtime, self._logger)
        try:
            self._engine = created(
                self._logger, "the engine", self._runtime.deserialize_cuda_engine, plan
            )
        except BackendError:
            raise StaleEngineError(
                f"{library.title} does not load the engine: {self._logger.last_error()}"
            ) from None
        model = manifest.model
        shapes: dict[str, tuple[int, ...]] = {
            INPUT: (model.input_height, model.input_width, 3),
            PROBABILITIES: model.output_shape(1)[1:],
        }
        self._check_tensors(shapes, manifest.largest_batch)
        self.buffers = Buffers(self.device, shapes, batch=manifest.largest_batch)
        self._resources.callback(self.buffers.close)
        if library.is_rtx:
            self._configure(kernel_cache)

    def _event(self) -> Event:
        event = self.device.event()
        self._resources.callback(event.close)
        return event

    def _check_tensors(self, shapes: dict[str, tuple[int, ...]], largest_batch: int) -> None:
        """Raise unless the engine has rtseg's tensors and supports the batch sizes."""
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        engine_shapes = {name: tuple(engine.get_tensor_shape(name))[1:] for name in names}
        profiles = range(engine.num_optimization_profiles if INPUT in names else 0)
        batches = [engine.get_tensor_profile_shape(INPUT, profile)[2][0] for profile in profiles]
        expected = [batch for batch in BATCHES if batch <= largest_batch]
        if engine_shapes != shapes or batches != expected:
            raise StaleEngineError(
                f"the engine is not one of rtseg's: its tensors are {engine_shapes} for batches of "
                f"{batches}; expected {shapes} and {expected}"
            )

    def _configure(self, kernel_cache: KernelCache | None) -> None:
        """Configure TensorRT-RTX: kernels are compiled when a batch size is opened, and cached."""
        assert self._library is not None
        module, logger = self._library.module, self._logger
        config = created(logger, "a runtime configuration", self._engine.create_runtime_config)
        config.set_execution_context_allocation_strategy(
            module.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        # all at once, and never while a graph is being recorded; rtseg records graphs itself
        config.dynamic_shapes_kernel_specialization_strategy = (
            module.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        config.cuda_graph_strategy = module.CudaGraphStrategy.DISABLED
        self._kernels = created(logger, "a kernel cache", config.create_runtime_cache)
        self._kernel_cache = kernel_cache
        cached_kernels = kernel_cache.read() if kernel_cache is not None else b""
        if cached_kernels and not self._kernels.deserialize(cached_kernels):
            _log.info("the cached kernels are for another driver or GPU; compiling them again")
        config.set_runtime_cache(self._kernels)
        self._config = config

    def open_batch(self, batch: int, *, record: bool) -> tuple[GraphedBatch, str]:
        """Open one batch size; also return why it could not be recorded as a graph, or ""."""
        assert self._library is not None
        graphed = GraphedBatch(
            self._library.module,
            self._engine,
            device=self.device,
            stream=self.stream,
            buffers=self.buffers,
            batch=batch,
            config=self._config,
            logger=self._logger,
        )
        # stored before it is recorded, so that it is freed in order whatever happens then
        self.batches[batch] = graphed
        why = graphed.record() if record else ""
        if self._kernel_cache is not None:
            self._kernel_cache.write(bytes(self._kernels.serialize()))
        return graphed, why

    def time(self, graphed: GraphedBatch) -> float:
        """Run a batch to completion; return the duration in seconds by the device's clock."""
        self._began.record(self.stream)
        graphed.start()
        self._ended.record(self.stream)
        self.stream.synchronize()
        return self._ended.seconds_since(self._began)

    def forget_errors(self) -> None:
        """Forget past errors, so that the next failure is reported with its own reason."""
        self._logger.errors.clear()

    def close_batches(self) -> None:
        """Close the batch sizes, once nothing uses them any more."""
        if not self.batches:
            return
        try:
            self.stream.synchronize()
        finally:
            self._drop_batches()

    def _drop_batches(self) -> None:
        with contextlib.ExitStack() as closing:
            while self.batches:
                closing.callback(self.batches.popitem()[1].close)

    def close(self) -> None:
        """Free everything: graphs and contexts before the engine, the engine before the runtime,
        buffers and stream after all that use them, the device's context last.

        Raises:
            BackendError: CUDA failed; the rest was freed nevertheless.
        """
        with contextlib.ExitStack() as closing:
            closing.callback(self.device.close)
            closing.enter_context(self.device.current())
            closing.push(self._resources)
            closing.callback(self._drop_library)
            closing.callback(self.close_batches)

    def _drop_library(self) -> None:
        self._config = self._kernels = None
        self._engine = None
        self._runtime = None
