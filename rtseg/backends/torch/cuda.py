"""Run one batch size on an NVIDIA GPU through PyTorch, with fixed buffers (page-locked on the host)
and a CUDA graph that is captured once and then launched by a single call."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import cuda

from rtseg.backends.base import Crops, ProbabilityBatch

Compute = Callable[[torch.Tensor], torch.Tensor]
"""uint8 (n, h, w, 3) -> float32 (n, h / stride, w / stride, classes), all on the GPU."""

WARM_UP_RUNS = 3
"""Runs before capture, in which libraries choose kernels and allocate workspaces."""


class GraphError(Exception):
    """CUDA cannot capture the work as a graph; it can still run call by call."""


class GraphedBatch:
    """Copies crops to the GPU, computes, and copies probabilities back, on a CUDA stream.

    Args:
        compute: computes probabilities from crops.
        batch: number of crops; a smaller batch is padded with data of an earlier call.
        crop, probabilities: shapes without the batch dimension.
        device: the GPU.
        stream: the CUDA stream, which several batch sizes may share.

    Raises:
        torch.OutOfMemoryError: there is no memory for the buffers.
    """

    device_seconds = 0.0
    """Duration of the last call by the GPU's clock, including copies."""

    def __init__(
        self,
        compute: Compute,
        *,
        batch: int,
        crop: tuple[int, ...],
        probabilities: tuple[int, ...],
        device: torch.device,
        stream: cuda.Stream,
    ) -> None:
        self._compute, self._stream = compute, stream
        self._graph: cuda.CUDAGraph | None = None
        self._host_crops = _page_locked((batch, *crop), torch.uint8)
        self._host_probabilities = _page_locked((batch, *probabilities), torch.float32)
        with cuda.stream(stream):
            self._crops = torch.zeros((batch, *crop), dtype=torch.uint8, device=device)
        self._probabilities = self._crops
        self._began = cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        self._ended = cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]

    def record(self) -> None:
        """Capture the computation as a graph.

        Raises:
            GraphError: it cannot be captured.
            torch.OutOfMemoryError: there is no memory for it.
        """
        with cuda.stream(self._stream):
            for _ in range(WARM_UP_RUNS):
                self._compute(self._crops)
        self._stream.synchronize()
        graph = cuda.CUDAGraph()
        try:
            # only this thread's calls matter, so that others may use the GPU meanwhile
            with cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                probabilities = self._compute(self._crops)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise GraphError(str(error).strip().split("\n", 1)[0]) from error
        self._probabilities, self._graph = probabilities, graph

    def run(self, crops: Crops) -> ProbabilityBatch:
        """Run at most `batch` crops; the result is valid until the next call.

        Raises:
            RuntimeError: from PyTorch.
        """
        self._host_crops.numpy()[: len(crops)] = crops
        with cuda.stream(self._stream):
            self._began.record()
            self._crops.copy_(self._host_crops, non_blocking=True)
            if self._graph is None:
                self._probabilities = self._compute(self._crops)
            else:
                self._graph.replay()
            self._host_probabilities.copy_(self._probabilities, non_blocking=True)
            self._ended.record()
        self._ended.synchronize()
        self.device_seconds = self._began.elapsed_time(self._ended) / 1e3
        probabilities: ProbabilityBatch = self._host_probabilities.numpy()[: len(crops)]
        return probabilities


def _page_locked(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, pin_memory=True)
