"""TensorRT: a built engine on an NVIDIA GPU, without PyTorch.

Buffers are page-locked on the host and made once; a batch is padded up to 1, 2, 4 or 8 crops, and
for each of these sizes the copies and kernels are recorded once as a CUDA graph and then started
by one call. Where the GPU's memory runs out, smaller batches are tried; each size has working
memory of its own, no more than it needs. The device's primary context is used (the one that
PyTorch and OpenCV share), and is current only inside a call.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.backends.batching import MEMORY_IS_FULL, infer_what_fits, padded
from rtseg.backends.tensorrt import Manifest, StaleEngineError
from rtseg.backends.tensorrt.builder import is_out_of_memory, make_logger, tensorrt_library
from rtseg.backends.tensorrt.cuda_graph import CudaGraph, CudaGraphError
from rtseg.backends.tensorrt.recipe import BATCHES
from rtseg.errors import BackendError, DeviceMemoryError
from rtseg.export.onnx_file import INPUT, LABELS, PROBABILITIES

_log = logging.getLogger("rtseg")


class TensorRtBackend(Backend):
    """Runs a built engine.

    Args:
        plan: the engine's bytes, as `Engine.read` has checked them.
        manifest: what is known of it.
        cuda_graphs: record each batch size as a CUDA graph.

    Raises:
        BackendError: there is no driver, or TensorRT or PyCUDA is not installed.
        DeviceMemoryError: the GPU's memory is full.
        StaleEngineError: the engine does not load here; it must be built anew.
    """

    name = "tensorrt"

    def __init__(self, plan: bytes, manifest: Manifest, *, cuda_graphs: bool = True) -> None:
        self.model = manifest.model
        self.precision = manifest.precision
        self.max_batch = manifest.largest_batch
        self.device = f"cuda:0 ({manifest.gpu})"
        self.uses_cuda_graphs = cuda_graphs
        self.reason = f"tensorrt on {self.device}, {self.precision}, engine of {manifest.built}"
        self._lock = threading.Lock()
        self._closed = False
        self._tensorrt = tensorrt_library()
        self._cuda = _pycuda()
        self._graphed: dict[int, _GraphedBatch] = {}
        self._buffers: _Buffers | None = None
        self._runtime = self._engine = self._stream = None
        with self._failures():
            self._cuda.init()
            self._context = self._cuda.Device(0).retain_primary_context()
        try:
            with self._current():
                self._load(plan)
        except BaseException:
            self.close()
            raise

    def _load(self, plan: bytes) -> None:
        self._logger = make_logger(self._tensorrt)
        self._stream = self._cuda.Stream()
        self._runtime = self._tensorrt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise StaleEngineError(
                f"TensorRT {self._tensorrt.__version__} does not load the engine: "
                f"{self._last_error()}"
            )
        height, width = self.model.input_height, self.model.input_width
        stride, classes = self.model.stride, len(self.model.label_set)
        shapes = {
            INPUT: (height, width, 3),
            PROBABILITIES: (height // stride, width // stride, classes),
            LABELS: (height, width),
        }
        self._check_tensors(shapes)
        self._buffers = _Buffers(self._cuda, shapes, batch=self.max_batch)

    def _check_tensors(self, shapes: dict[str, tuple[int, ...]]) -> None:
        """Raise unless the engine has the tensors that rtseg exports, and takes the batches."""
        engine = self._engine
        assert engine is not None
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        found = {name: tuple(engine.get_tensor_shape(name))[1:] for name in names}
        largest = engine.get_tensor_profile_shape(INPUT, 0)[2][0] if INPUT in names else 0
        if found != shapes or largest < self.max_batch:
            raise StaleEngineError(
                f"the engine is not one of rtseg's: its tensors are {found} for batches up to "
                f"{largest}; expected {shapes} and {self.max_batch}"
            )

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """As `Backend.infer`. Where the GPU's memory is full, smaller batches are tried first."""
        self.check_crops(crops)
        with self._lock:
            if self._closed:
                raise BackendError("the tensorrt backend is closed; open a new one")
            with self._current():
                return infer_what_fits(self, crops, run=self._attempt, make_room=self._make_room)

    def warm_up(self) -> None:
        """Run once at every batch size, so that each is recorded before the first real call."""
        size = (self.model.input_height, self.model.input_width, 3)
        for batch in self._batches():
            self.infer(np.zeros((batch, *size), np.uint8))

    def _batches(self) -> tuple[int, ...]:
        return tuple(batch for batch in BATCHES if batch <= self.max_batch)

    def _attempt(self, crops: Crops) -> ProbabilityBatch:
        """As `_run`, in rtseg's errors."""
        with self._failures():
            return self._run(crops)

    def _make_room(self) -> None:
        # what the failed call still has under way uses what is given back
        self._stream.synchronize()  # type: ignore[attr-defined]
        for graphed in self._graphed.values():
            graphed.close()
        self._graphed.clear()

    def _run(self, crops: Crops) -> ProbabilityBatch:
        """At most `max_batch` crops; the result is valid until the next call."""
        buffers = self._buffers
        assert buffers is not None
        size = padded(len(crops))
        # what an earlier call left behind the crops is computed as well, and not looked at
        buffers.crops[: len(crops)] = crops
        if size not in self._graphed:
            self._open_lane(size, buffers)
        self._graphed[size].start()
        self._stream.synchronize()  # type: ignore[attr-defined]
        found: ProbabilityBatch = buffers.probabilities[: len(crops)]
        return found

    def _open_lane(self, batch: int, buffers: _Buffers) -> None:
        graphed = _GraphedBatch(
            self._tensorrt,
            self._engine,
            cuda=self._cuda,
            stream=self._stream,
            buffers=buffers,
            batch=batch,
            why=self._last_error,
        )
        # before it is recorded, so that it is given back in order whatever happens then
        self._graphed[batch] = graphed
        if self.uses_cuda_graphs:
            try:
                graphed.record()
            except CudaGraphError as error:
                self.uses_cuda_graphs = False
                _log.warning("CUDA graphs do not work here, so each call is slower: %s", error)

    def _last_error(self) -> str:
        errors: list[str] = self._logger.errors
        return errors[-1] if errors else "it gives no reason"

    @contextmanager
    def _current(self) -> Iterator[None]:
        """Make the context current for a block, and give back what was current before."""
        with self._failures():
            self._context.push()
            try:
                yield
            finally:
                self._context.pop()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn what CUDA raises into rtseg's errors."""
        try:
            yield
        except self._cuda.MemoryError as error:
            raise DeviceMemoryError(MEMORY_IS_FULL) from error
        except self._cuda.Error as error:
            raise BackendError(f"the tensorrt backend failed: {error}") from error

    def close(self) -> None:
        """As `Backend.close`: graphs and contexts before the engine, it before the runtime,
        buffers and stream after all that use them, the device's context last."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with self._failures():
                self._context.push()
                if self._stream is not None:
                    self._stream.synchronize()
                for graphed in self._graphed.values():
                    graphed.close()
                self._graphed.clear()
                self._engine = None
                self._runtime = None
                if self._buffers is not None:
                    self._buffers.close()
                self._buffers = self._stream = None
                # PyCUDA gives a context back only while it is current; from another thread than
                # the one that made it, it would be kept.
                self._context.detach()


class _Buffers:
    """Page-locked host memory and device memory for the largest batch."""

    def __init__(self, cuda: Any, shapes: dict[str, tuple[int, ...]], *, batch: int) -> None:
        self.crops = cuda.pagelocked_empty((batch, *shapes[INPUT]), np.uint8)
        self.probabilities = cuda.pagelocked_empty((batch, *shapes[PROBABILITIES]), np.float32)
        sizes = {
            INPUT: self.crops.nbytes,
            PROBABILITIES: self.probabilities.nbytes,
            LABELS: batch * int(np.prod(shapes[LABELS])),
        }
        self.device = {name: cuda.mem_alloc(size) for name, size in sizes.items()}

    def close(self) -> None:
        for allocation in self.device.values():
            allocation.free()
        for array in (self.crops, self.probabilities):
            array.base.free()


class _GraphedBatch:
    """One batch size: an execution context with its shapes set, and its graph.

    Each size has a context of its own, as a graph holds only as long as its context's shapes.

    Raises:
        DeviceMemoryError: there is no room for it; PyCUDA's own MemoryError says the same.
        BackendError: TensorRT does not take the batch.
    """

    def __init__(
        self,
        tensorrt: Any,
        engine: Any,
        *,
        cuda: Any,
        stream: Any,
        buffers: _Buffers,
        batch: int,
        why: Callable[[], str],
    ) -> None:
        self._cuda, self._stream, self._buffers, self._batch = cuda, stream, buffers, batch
        self._why = why
        self._graph: CudaGraph | None = None
        # TensorRT's own choice would be as much memory for one crop as for the largest batch
        strategy = tensorrt.ExecutionContextAllocationStrategy.USER_MANAGED
        self._context = engine.create_execution_context(strategy)
        if self._context is None:
            # that is how TensorRT reports it
            raise DeviceMemoryError(
                f"the GPU's memory is too full for a batch of {batch} ({why()}); close other "
                "programs, or use --device cpu"
            )
        shape = (batch, *buffers.crops.shape[1:])
        taken = self._context.set_input_shape(INPUT, shape)
        for name, allocation in buffers.device.items():
            taken = taken and self._context.set_tensor_address(name, int(allocation))
        if not taken:
            raise BackendError(f"TensorRT does not take a batch of {batch}: {why()}")
        size = self._context.update_device_memory_size_for_shapes()
        # CUDA allocates no empty blocks
        self._memory = cuda.mem_alloc(max(1, size))
        self._context.set_device_memory(int(self._memory), size)

    def _enqueue(self) -> None:
        buffers, batch, stream = self._buffers, self._batch, self._stream
        self._cuda.memcpy_htod_async(buffers.device[INPUT], buffers.crops[:batch], stream)
        if not self._context.execute_async_v3(stream.handle):
            why = self._why()
            kind = DeviceMemoryError if is_out_of_memory(why) else BackendError
            raise kind(f"TensorRT failed to run: {why}")
        self._cuda.memcpy_dtoh_async(
            buffers.probabilities[:batch], buffers.device[PROBABILITIES], stream
        )

    def record(self) -> None:
        """Capture the work as a graph.

        Raises:
            CudaGraphError: it cannot be captured.
            DeviceMemoryError: as at the beginning, or there is no room for the graph.
        """
        # TensorRT puts off some work to the first run after a change of shape
        self._enqueue()
        self._stream.synchronize()
        try:
            self._graph = CudaGraph(self._stream.handle, self._enqueue)
        except (self._cuda.MemoryError, DeviceMemoryError):
            raise
        except (self._cuda.Error, BackendError) as error:
            # the same work has just run: it is the capture that fails
            raise CudaGraphError(str(error)) from error

    def start(self) -> None:
        """Copy in, run, copy out: put on the stream, not waited for."""
        if self._graph is None:
            self._enqueue()
            return
        try:
            self._graph.launch()
        except CudaGraphError as error:
            raise BackendError(f"the tensorrt backend failed: {error}") from error

    def close(self) -> None:
        if self._graph is not None:
            self._graph.close()
            self._graph = None
        self._context = None
        self._memory.free()


def _pycuda() -> Any:
    try:
        import pycuda.driver
    except (ImportError, OSError) as error:
        raise BackendError(
            f"the tensorrt backend needs PyCUDA ({error}); pip install 'rtseg[tensorrt]' "
            "(it is compiled with CUDA's nvcc)"
        ) from None
    return pycuda.driver
