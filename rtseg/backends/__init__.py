"""What runs a network: `open_backend` chooses and makes one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import cast, get_args

from rtseg.backends.base import Backend, CompilerError
from rtseg.backends.fallback import FallbackBackend
from rtseg.checkpoint import Checkpoint, read_checkpoint
from rtseg.errors import BackendError, ModelError, RtsegError, SettingError, listed
from rtseg.export import OnnxModel, find_onnx, read_onnx
from rtseg.settings import (
    BackendName,
    DeviceKind,
    DeviceName,
    ModelSettings,
    Precision,
    device_index,
    device_kind,
)
from rtseg.system.nvidia import nvidia_driver_problem

__all__ = ["Backend", "BackendName", "open_backend", "open_backend_for", "open_beside"]

Model = Checkpoint | Path | str

_log = logging.getLogger("rtseg")


def open_backend(
    name: BackendName = "auto",
    *,
    model: Model | None = None,
    device: DeviceName = "auto",
    precision: Precision = "auto",
    threads: int = 0,
    compiled: bool = False,
) -> Backend:
    """A backend that is ready to run a model.

    `auto` takes the first that works here of tensorrt (where its engine is built), torch on an
    NVIDIA GPU, openvino, torch on the processor; it says which, and why not those before it, in
    one line to the logger `rtseg`. Where a GPU fails later, or its memory runs out, the next one
    goes on, and that is said as well. One that is asked for by name never falls back.

    Args:
        name: which run-time. `tensorrt` builds its engine where that is not built yet, which
            takes a while and is announced.
        model: a checkpoint, its path, or the path of an ONNX file exported from it (which torch
            does not run); the built-in face-parts model if not given. openvino and tensorrt run
            a checkpoint's path where the ONNX file exported from it lies beside it.
        device: where it runs; `auto` takes an NVIDIA GPU where there is one.
        precision: what it computes in; `auto` takes the fastest that the device does well.
        threads: processor threads for the whole process; 0 is one a core.
        compiled: have torch compile the network for the processor, which takes up to a minute the
            first time; where `auto` chooses something else, or there is no compiler, it says so
            and goes on without.

    Raises:
        SettingError: a name is unknown, a number out of range, or one option rules out another.
        ModelError: the model is missing or damaged.
        BackendError: the run-time or the device is missing or fails.
    """
    if name not in get_args(BackendName):
        raise SettingError(f"unknown backend {name!r}; allowed: {listed(get_args(BackendName))}")
    settings = ModelSettings(
        backend=name, device=device, precision=precision, threads=threads, compile=compiled
    )
    if compiled and name not in ("auto", "torch"):
        raise SettingError(f"--compile: goes with --backend torch, not with {name}")
    request = _Request(model=_Model(model), settings=settings)
    return _choose(request) if name == "auto" else _OPENERS[name](request)


def open_backend_for(settings: ModelSettings) -> Backend:
    """As `open_backend`, by a group of settings."""
    return open_backend(
        settings.backend,
        model=settings.model,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        compiled=settings.compile,
    )


def open_beside(backend: Backend, model: Checkpoint | Path) -> Backend | None:
    """Another network on the run-time, the device and in the precision of a running backend.

    Returns:
        None where that is a run-time of somebody else's, or one that this model cannot run on.
        The reason is logged.

    Raises:
        ModelError: the model is missing or damaged.
    """
    if backend.name not in _OPENERS:
        return None
    device: DeviceName = "cuda" if backend.device.startswith("cuda") else "cpu"
    precision: Precision = "auto"
    if backend.precision in get_args(Precision):
        precision = cast(Precision, backend.precision)
    settings = ModelSettings(
        backend=cast(BackendName, backend.name),
        device=device,
        precision=precision,
        threads=getattr(backend, "threads", 0),
    )
    request = _Request(model=_Model(model), settings=settings)
    try:
        return _OPENERS[backend.name](request)
    except BackendError as error:
        _log.warning("%s does not run beside it: %s", request.model.name, error)
        return None


class _Model:
    """A model as it was given; read as weights or as ONNX where a backend needs it so."""

    def __init__(self, given: Model | None) -> None:
        if given is None:
            from rtseg.weights import default_checkpoint_path

            given = default_checkpoint_path()
        self._given = given if isinstance(given, Checkpoint) else Path(given)

    @property
    def name(self) -> str:
        given = self._given
        return given.architecture if isinstance(given, Checkpoint) else given.stem

    @property
    def weights_path(self) -> Path | None:
        """The file with the weights, where there is one."""
        given = self._given
        return None if isinstance(given, Checkpoint) or given.suffix == ".onnx" else given

    @cached_property
    def checkpoint(self) -> Checkpoint:
        if isinstance(self._given, Checkpoint):
            return self._given
        if self._given.suffix == ".onnx":
            raise ModelError(
                f"{self._given}: torch runs .safetensors models; an exported one runs with "
                "openvino (pip install 'rtseg[openvino]') or tensorrt"
            )
        return read_checkpoint(self._given)

    @cached_property
    def exported(self) -> OnnxModel:
        if isinstance(self._given, Checkpoint):
            raise ModelError("a model in memory has no ONNX file; write it, and export it")
        if self._given.suffix == ".onnx":
            return read_onnx(self._given)
        return find_onnx(self._given)


@dataclass(frozen=True)
class _Request:
    model: _Model
    settings: ModelSettings


def _choose(request: _Request) -> Backend:
    """The first backend that works, with the reasons against those before it."""
    reasons: dict[str, list[str]] = {}
    asked = device_kind(request.settings.device)
    candidates = [c for c in _CANDIDATES if asked == "auto" or asked in c.devices]
    for position, candidate in enumerate(candidates):
        try:
            backend = candidate.open(request)
        except RtsegError as error:
            if candidate is candidates[-1]:
                raise
            reasons.setdefault(str(error), []).append(candidate.label)
            continue
        passed_over = [f"not {' or '.join(names)}: {why}" for why, names in reasons.items()]
        if request.settings.compile and (backend.name, backend.device) != ("torch", "cpu"):
            passed_over.append("not compiled: --compile is for torch on cpu")
        backend.reason = "; ".join([backend.reason, *passed_over])
        _log.info("%s", backend.reason)
        if candidate.devices != ("cuda",):
            return backend
        # a GPU that was asked for is not left: then only another run-time on it comes after
        after = [c for c in candidates[position + 1 :] if asked == "auto" or "cpu" not in c.devices]
        return FallbackBackend(backend, [functools.partial(c.open, request) for c in after])
    raise AssertionError("the last candidate either opens or raises")


def _needs_nvidia() -> None:
    problem = nvidia_driver_problem()
    if problem is not None:
        raise BackendError(problem)


def _auto_tensorrt(request: _Request) -> Backend:
    """TensorRT where that is possible at once: nobody waits for a build they did not ask for."""
    _needs_nvidia()
    from rtseg.backends.tensorrt.library import installed_flavours

    if not installed_flavours():
        raise BackendError("neither TensorRT nor TensorRT-RTX is installed")
    from rtseg.backends.tensorrt import StaleEngineError
    from rtseg.backends.tensorrt.loading import open_built, recipe_for

    model = request.model
    recipe = recipe_for(model.name, precision=request.settings.precision)
    try:
        index = device_index(request.settings.device)
        backend = open_built(model.exported, recipe, device_index=index)
    except StaleEngineError as error:
        raise BackendError(f"{error}; `rtseg engine build --rebuild` builds it anew") from error
    if backend is None:
        raise BackendError("its engine is not built yet; `rtseg engine build` builds it")
    return backend


def _auto_torch_cuda(request: _Request) -> Backend:
    _needs_nvidia()
    device = request.settings.device if request.settings.device != "auto" else "cuda"
    settings = replace(request.settings, device=device, compile=False)
    return _open_torch(replace(request, settings=settings))


def _auto_openvino(request: _Request) -> Backend:
    if find_spec("openvino") is None:
        raise BackendError("not installed")
    return _open_openvino(request)


def _auto_torch(request: _Request) -> Backend:
    """On the processor, or where it was asked for; as it is where it cannot be compiled."""
    settings = request.settings
    if settings.device == "auto":
        settings = replace(settings, device="cpu")
    try:
        return _open_torch(replace(request, settings=settings))
    except CompilerError as error:
        backend = _open_torch(replace(request, settings=replace(settings, compile=False)))
        backend.reason += f", not compiled ({error})"
        return backend


def _open_tensorrt(request: _Request) -> Backend:
    if request.settings.device == "cpu":
        raise SettingError("device cpu: the tensorrt backend runs on cuda only; allowed: cuda")
    from rtseg.backends.tensorrt.loading import open_tensorrt, recipe_for

    model = request.model
    recipe = recipe_for(model.name, precision=request.settings.precision)
    return open_tensorrt(
        model.exported,
        recipe,
        weights=model.weights_path,
        device_index=device_index(request.settings.device),
    )


def _open_openvino(request: _Request) -> Backend:
    from rtseg.backends.openvino import OpenVinoBackend

    settings = request.settings
    return OpenVinoBackend(
        request.model.exported,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
    )


def _open_torch(request: _Request) -> Backend:
    # read before PyTorch is loaded, so that a wrong file is said at once
    checkpoint = request.model.checkpoint
    try:
        from rtseg.backends.torch.backend import TorchBackend
    except (ImportError, OSError) as error:
        raise BackendError(
            f"PyTorch cannot be loaded ({error}); pip install --force-reinstall torch"
        ) from error

    settings = request.settings
    return TorchBackend(
        checkpoint,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        compiled=settings.compile,
    )


_OPENERS: dict[str, Callable[[_Request], Backend]] = {
    "tensorrt": _open_tensorrt,
    "torch": _open_torch,
    "openvino": _open_openvino,
}


@dataclass(frozen=True)
class _Candidate:
    label: str
    devices: tuple[DeviceKind, ...]
    open: Callable[[_Request], Backend]


# The last one's error is the user's: it is what always should work.
_CANDIDATES = (
    _Candidate("tensorrt", ("cuda",), _auto_tensorrt),
    _Candidate("torch on a GPU", ("cuda",), _auto_torch_cuda),
    _Candidate("openvino", ("cpu",), _auto_openvino),
    _Candidate("torch", ("cpu", "cuda"), _auto_torch),
)
