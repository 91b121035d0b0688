"""Run a checkpoint with PyTorch: bf16 or fp32 on a processor, fp16 on an NVIDIA GPU.

Batch norm is folded into the convolutions. Normalisation and softmax are included, so that the
input is uint8 and the output probabilities. On a GPU, batches are padded to 1, 2, 4 or 8, each size
with its own buffers and CUDA graph.
"""

from __future__ import annotations

import copy
import functools
import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rtseg.backends.base import Backend, Crops, ProbabilityBatch
from rtseg.backends.batching import (
    BATCHES,
    MEMORY_IS_FULL,
    infer_what_fits,
    padded,
)
from rtseg.backends.fastest import fastest_in_turns, remembered_speeds, trial
from rtseg.backends.torch.compile import compiled as compile_network
from rtseg.backends.torch.cuda import GraphedBatch, GraphError
from rtseg.checkpoint import Checkpoint
from rtseg.errors import BackendError, DeviceMemoryError, SettingError, listed
from rtseg.models import create_model
from rtseg.models.normalisation import input_scaling
from rtseg.settings import DeviceName, ModelSettings, Precision, device_index, device_kind

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_ALLOWED = {"cpu": ("auto", "fp32", "bf16"), "cuda": ("auto", "fp32", "bf16", "fp16")}

# Libraries below PyTorch word it differently (cuDNN and cuBLAS: ALLOC_FAILED).
_OUT_OF_MEMORY = re.compile(r"out of memory|ALLOC_FAILED", re.IGNORECASE)

_log = logging.getLogger("rtseg")


class TorchBackend(Backend):
    """Runs a checkpoint through PyTorch.

    The number of threads applies to the whole process: PyTorch's and OpenCV's pools are set to it.

    Args:
        checkpoint: the model with its weights.
        device: `cpu`, `cuda`, or `auto`: a GPU if PyTorch finds one.
        precision: `auto` is fp16 on a GPU. On a processor it is bf16 if the processor has the
            instructions and a short measurement does not find it slower, else fp32.
        threads: processor threads; 0 means one per core.
        compiled: on a processor, compile the network first, which takes up to a minute.
        cuda_graphs: on a GPU, capture each batch size as a CUDA graph.

    Raises:
        SettingError: a value is unknown, out of range, or not supported on the device.
        ModelError: the weights do not fit the architecture.
        CompilerError: the network cannot be compiled on this machine.
        DeviceMemoryError: the GPU's memory is full.
        BackendError: there is no such device, or it fails.
    """

    name = "torch"

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: DeviceName = "auto",
        precision: Precision = "auto",
        threads: int = 0,
        compiled: bool = False,
        cuda_graphs: bool = True,
    ) -> None:
        ModelSettings(device=device, precision=precision, threads=threads)
        self._lock = threading.Lock()
        self._device = _find_device(device)
        kind = self._device.type
        if precision not in _ALLOWED[kind]:
            raise SettingError(
                f"precision {precision!r} does not run on {kind}; allowed: {listed(_ALLOWED[kind])}"
            )
        if compiled and kind != "cpu":
            raise SettingError(f"`compile` goes with `device` cpu; the network would run on {kind}")
        self.threads = set_thread_budget(threads)
        self.device = kind
        if kind == "cuda":
            self.device = f"{self._device} ({torch.cuda.get_device_name(self._device)})"
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self.uses_cuda_graphs = cuda_graphs and kind == "cuda"
        self._graphed: dict[int, GraphedBatch] = {}
        self._announced: set[int] = set()
        # from here on the network holds the weights
        self.model = checkpoint.spec
        network = fold_batch_norms(create_model(checkpoint))
        try:
            self._choose(network, precision)
        except RuntimeError as error:
            raise _failure(error) from error
        if compiled:
            self._compile()

    def _choose(self, network: nn.Module, precision: Precision) -> None:
        """Choose a precision; return it with the reason."""
        self._mean, self._scale = input_scaling(
            self.model.mean, self.model.std, device=self._device
        )
        why = "as requested"
        if precision == "auto" and self._device.type == "cuda":
            precision, why = "fp16", "a GPU is available"
        elif precision == "auto":
            precision, why = self._measure(network)
        self.precision = precision
        self._network: nn.Module | None = self._prepared(network, precision)
        if self._device.type == "cuda":
            # the default stream copied the weights to the device, and ours does not wait for it
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        self.reason = f"torch on {self.device}, {precision} ({why}), {self.threads} threads"

    def _compile(self) -> None:
        """Compile for one crop at a time, since each batch size would need its own compilation,
        and on a processor a batch is no faster than single crops."""
        assert self._network is not None
        self._network = compile_network(
            self._network, lambda network: self._run(network, self._empty_crops(1))
        )
        self.max_batch = 1
        self.reason += ", compiled"

    def _empty_crops(self, batch: int) -> Crops:
        return np.zeros((batch, self.model.input_height, self.model.input_width, 3), np.uint8)

    def _prepared(self, network: nn.Module, precision: str) -> nn.Module:
        prepared: nn.Module = network.to(
            device=self._device,
            dtype=_DTYPES[precision],
            memory_format=torch.channels_last,  # type: ignore[call-overload]
        )
        return prepared

    def _measure(self, network: nn.Module) -> tuple[Precision, str]:
        """Decide whether to use bf16, which is slower than fp32 without its instructions."""
        if not has_bf16_instructions():
            return "fp32", "the processor has no bf16 instructions"

        def measure() -> dict[str, float]:
            candidates = {
                name: self._prepared(copy.deepcopy(network), name) for name in ("fp32", "bf16")
            }
            return fastest_in_turns(
                {
                    name: functools.partial(self._run, candidate, self._empty_crops(1))
                    for name, candidate in candidates.items()
                }
            )

        # the time depends on the network's layers, not on its weights
        layers = json.dumps([self.model.header(), [list(p.shape) for p in network.parameters()]])
        digest = hashlib.sha256(layers.encode()).hexdigest()
        speeds = remembered_speeds(trial("torch", digest, threads=self.threads), measure)
        times = speeds.milliseconds
        # A processor with the instructions is nearly always faster in bf16; only a clear loss
        # counts.
        return ("fp32" if times["bf16"] > 1.2 * times["fp32"] else "bf16"), speeds.line()

    def infer(self, crops: Crops) -> ProbabilityBatch:
        """See `Backend.infer`. If a GPU's memory is full, smaller batches are tried first."""
        self.check_crops(crops)
        with self._lock:
            network = self._network
            if network is None:
                raise BackendError("the torch backend is closed; open a new one")
            return infer_what_fits(
                self,
                crops,
                run=lambda part: self._attempt(network, part),
                make_room=self._make_room,
            )

    def warm_up(self) -> None:
        """See `Backend.warm_up`. On a GPU, runs every batch size, so that each is captured."""
        if self._device.type == "cpu":
            super().warm_up()
            return
        with self._lock:
            self._announce(BATCHES)
        for batch in BATCHES:
            self.infer(self._empty_crops(batch))

    def _announce(self, batches: Iterable[int]) -> None:
        """Say that the first runs of batch sizes take a while: measured, four seconds each, in
        which cuDNN plans the convolutions."""
        news = [batch for batch in batches if batch not in self._announced]
        if not news:
            return
        self._announced.update(news)
        network = "the finder's network" if self.model.view == "finder" else "the network"
        _log.info(
            "preparing %s on %s for batches of %s: some seconds", network, self.device, listed(news)
        )

    def _attempt(self, network: nn.Module, crops: Crops) -> ProbabilityBatch:
        """Like `_run`, but raise rtseg's errors."""
        try:
            return self._run(network, crops)
        except RuntimeError as error:
            raise _failure(error) from error

    def _make_room(self) -> None:
        self._graphed.clear()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _run(self, network: nn.Module, crops: Crops) -> ProbabilityBatch:
        """Run one batch: uint8 (n, h, w, 3) -> float32 (n, h / stride, w / stride, classes)."""
        if self._device.type == "cuda":
            with torch.cuda.device(self._device), reproducible_arithmetic():
                graphed = self._graphed_batch(network, padded(len(crops)))
                probabilities = graphed.run(crops)
            self.device_seconds = graphed.device_seconds
            return probabilities
        # PyTorch accepts only writable arrays
        pixels = torch.from_numpy(np.require(crops, requirements=("C", "W")))
        result: ProbabilityBatch = self._compute(network, pixels).numpy()
        return result

    def _compute(self, network: nn.Module, pixels: torch.Tensor) -> torch.Tensor:
        """Like `_run`, from and to tensors on the device."""
        dtype = next(network.parameters()).dtype
        normalised = (pixels.float().sub_(self._mean).mul_(self._scale)).to(dtype)
        # the view of an NHWC array as NCHW is what PyTorch calls channels_last
        logits: torch.Tensor = network(normalised.permute(0, 3, 1, 2))
        if logits.is_cuda:
            return functional.softmax(logits.permute(0, 2, 3, 1).float(), dim=-1)
        # along the classes on a processor: cell by cell, PyTorch takes ten times as long
        probabilities = functional.softmax(logits.float().contiguous(), dim=1)
        return probabilities.permute(0, 2, 3, 1)

    def _graphed_batch(self, network: nn.Module, batch: int) -> GraphedBatch:
        """The buffers and the graph of one batch size, created at first use."""
        graphed = self._graphed.get(batch)
        if graphed is not None:
            return graphed
        self._announce((batch,))
        graphed = GraphedBatch(
            lambda pixels: self._compute(network, pixels),
            batch=batch,
            crop=(self.model.input_height, self.model.input_width, 3),
            probabilities=self.model.output_shape(1)[1:],
            device=self._device,
            stream=self._stream,
        )
        if self.uses_cuda_graphs:
            try:
                graphed.record()
            except GraphError as error:
                self.uses_cuda_graphs = False
                _log.warning(
                    "CUDA graphs do not work on this machine, so each call is slower: %s", error
                )
        self._graphed[batch] = graphed
        return graphed

    def close(self) -> None:
        """See `Backend.close`."""
        with self._lock:
            self._network = None
            self._graphed.clear()


@contextmanager
def reproducible_arithmetic() -> Iterator[None]:
    """Make FP32 exact and results reproducible on a GPU.

    By default, PyTorch's convolutions round FP32 to TF32's ten bits of mantissa, and cuDNN's
    benchmark may choose different kernels, with different rounding, from start to start.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Fold each batch norm that follows a convolution in an `nn.Sequential` into it, in place."""
    for child in network.children():
        fold_batch_norms(child)
    if isinstance(network, nn.Sequential):
        for index in range(len(network) - 1):
            first, second = network[index], network[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                network[index] = fuse_conv_bn_eval(first, second)
                network[index + 1] = nn.Identity()
    return network


def has_bf16_instructions() -> bool:
    """Whether this processor has native bf16 multiplication (AVX512-BF16, AMX)."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    # private functions of PyTorch, missing in some versions; fp32 is used then
    return any(getattr(torch.cpu, name, lambda: False)() for name in checks)


def set_thread_budget(threads: int) -> int:
    """Set the size of PyTorch's and OpenCV's thread pools (0: one per core); return it."""
    import cv2

    from rtseg.settings import thread_count

    count = thread_count(threads)
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    return count


def _find_device(device: DeviceName) -> torch.device:
    kind, index = device_kind(device), device_index(device)
    has_gpu = torch.cuda.is_available()
    if kind == "cuda" and not has_gpu:
        raise BackendError(
            f"device {device}: PyTorch sees no NVIDIA GPU here; use `device` cpu, or install a "
            "driver and a PyTorch built for CUDA"
        )
    if kind == "cpu" or not has_gpu:
        return torch.device("cpu")
    if index >= torch.cuda.device_count():
        devices = listed(f"cuda:{number}" for number in range(torch.cuda.device_count()))
        raise SettingError(f"device {device}: does not exist; found: {devices}")
    return torch.device("cuda", index)


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an error of PyTorch or a library below means that device memory ran out."""
    return isinstance(error, torch.OutOfMemoryError) or bool(_OUT_OF_MEMORY.search(str(error)))


def _failure(error: RuntimeError) -> BackendError:
    if is_out_of_memory(error):
        return DeviceMemoryError(MEMORY_IS_FULL)
    first_line = str(error).strip().split("\n", 1)[0]
    return BackendError(f"the torch backend failed: {first_line}")
