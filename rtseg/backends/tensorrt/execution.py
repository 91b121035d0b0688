"""One batch size on the GPU: its buffers, its TensorRT context, and its CUDA graph."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from rtseg.backends.batching import BATCHES
from rtseg.backends.tensorrt.builder import created, is_out_of_memory
from rtseg.backends.tensorrt.cuda_device import CudaDevice, CudaError, Stream
from rtseg.backends.tensorrt.cuda_graph import CudaGraph, CudaGraphError
from rtseg.errors import BackendError, DeviceMemoryError
from rtseg.export.onnx_file import INPUT, PROBABILITIES


class Buffers:
    """Page-locked host memory and device memory for the largest batch.

    Attributes:
        crops: uint8 (batch, height, width, 3), on the host.
        probabilities: float32 (batch, rows, columns, classes), on the host.
        device: memory on the device, by the tensor's name.

    Raises:
        DeviceMemoryError: there is not enough memory; whatever had been allocated is freed
            again.
    """

    def __init__(
        self, device: CudaDevice, shapes: dict[str, tuple[int, ...]], *, batch: int
    ) -> None:
        with contextlib.ExitStack() as made_so_far:
            host, self.device = {}, {}
            for name, dtype in ((INPUT, np.uint8), (PROBABILITIES, np.float32)):
                memory = device.page_locked((batch, *shapes[name]), dtype)
                made_so_far.callback(memory.close)
                host[name] = memory.array
            for name, array in host.items():
                allocation = device.allocate(array.nbytes)
                made_so_far.callback(allocation.close)
                self.device[name] = allocation
            self.crops, self.probabilities = host[INPUT], host[PROBABILITIES]
            self._resources = made_so_far.pop_all()

    def close(self) -> None:
        """Free them, those on the device first."""
        self._resources.close()


class GraphedBatch:
    """One batch size: an execution context with its profile and shapes set, and its graph.

    Each size has its own context, because a graph is valid only while its context's shapes are.

    Raises:
        DeviceMemoryError: there is not enough memory.
        BackendError: TensorRT rejects the batch size.
    """

    def __init__(
        self,
        module: Any,
        engine: Any,
        *,
        device: CudaDevice,
        stream: Stream,
        buffers: Buffers,
        batch: int,
        config: Any,
        logger: Any,
    ) -> None:
        self._device, self._stream, self._buffers, self._batch = device, stream, buffers, batch
        self._logger = logger
        self._graph: CudaGraph | None = None
        # by default, TensorRT would allocate as much memory for one crop as for the largest batch
        how = config or module.ExecutionContextAllocationStrategy.USER_MANAGED
        try:
            self._context: Any = created(logger, "a context", engine.create_execution_context, how)
        except BackendError:
            why = logger.last_error()
            if logger.errors and not is_out_of_memory(why):
                raise
            # TensorRT's way of reporting it
            raise DeviceMemoryError(
                f"the GPU's memory is too full for a batch of {batch} ({why}); close other "
                "programs, or use `device` cpu"
            ) from None
        shape = (batch, *buffers.crops.shape[1:])
        context = self._context
        is_accepted = context.set_optimization_profile_async(BATCHES.index(batch), stream.handle)
        # the profile is switched on the stream, but shapes are set on the host
        stream.synchronize()
        is_accepted = is_accepted and context.set_input_shape(INPUT, shape)
        for name, allocation in buffers.device.items():
            is_accepted = is_accepted and context.set_tensor_address(name, allocation.address)
        if not is_accepted:
            raise BackendError(f"TensorRT rejects a batch of {batch}: {logger.last_error()}")
        size = context.update_device_memory_size_for_shapes()
        # CUDA does not allocate empty blocks
        self._memory = device.allocate(max(1, size))
        context.set_device_memory(self._memory.address, size)

    def _enqueue(self) -> None:
        buffers, batch, stream = self._buffers, self._batch, self._stream
        self._device.copy_in(buffers.device[INPUT], buffers.crops[:batch], stream)
        if not self._context.execute_async_v3(stream.handle):
            why = self._logger.last_error()
            kind = DeviceMemoryError if is_out_of_memory(why) else BackendError
            raise kind(f"TensorRT failed to run: {why}")
        self._device.copy_out(buffers.probabilities[:batch], buffers.device[PROBABILITIES], stream)

    def record(self) -> str:
        """Record the work as a CUDA graph; return why that is impossible, or "".

        Raises:
            DeviceMemoryError: there is not enough memory for the graph.
            BackendError: the work itself fails.
        """
        # TensorRT defers some work to the first run after a change of shape
        self._enqueue()
        self._stream.synchronize()
        capturable = getattr(self._context, "is_stream_capturable", None)
        if capturable is not None and not capturable(self._stream.handle):
            return "TensorRT says that the engine cannot be recorded"
        try:
            self._graph = CudaGraph(self._stream.handle, self._enqueue)
        except DeviceMemoryError:
            raise
        except (CudaGraphError, CudaError, BackendError) as error:
            # the same work has just run, so it is the recording that fails
            return str(error)
        return ""

    def start(self) -> None:
        """Enqueue copying in, running and copying out, without waiting."""
        if self._graph is None:
            self._enqueue()
            return
        try:
            self._graph.launch()
        except CudaGraphError as error:
            raise BackendError(f"the tensorrt backend failed: {error}") from error

    def close(self) -> None:
        """Free the graph, the context and its memory."""
        with contextlib.ExitStack() as closing:
            closing.callback(self._memory.close)
            closing.callback(self._drop_context)
            if self._graph is not None:
                closing.callback(self._graph.close)
                self._graph = None

    def _drop_context(self) -> None:
        self._context = None
