"""What runs a network: `open_backend` chooses and makes one."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast, get_args

from rtseg.backends.base import Backend
from rtseg.backends.fallback import FallbackBackend
from rtseg.backends.given_model import GivenModel, Model
from rtseg.backends.registry import CANDIDATES, RUNTIMES, Request, runtime
from rtseg.checkpoint import Checkpoint
from rtseg.errors import BackendError, RtsegError, SettingError, listed
from rtseg.settings import BackendName, DeviceName, ModelSettings, Precision, device_kind

__all__ = ["Backend", "BackendName", "open_backend", "open_backend_for", "open_beside"]

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
    NVIDIA GPU, openvino, onnxruntime, torch on the processor; it says which, and why not those
    before it, in one line to the logger `rtseg`. Where a GPU fails later, or its memory runs out,
    the next one goes on, and that is said as well. One that is asked for by name never falls back.

    Args:
        name: which run-time. `tensorrt` builds its engine where that is not built yet, which
            takes a while and is announced.
        model: a checkpoint, its path, or the path of an ONNX file exported from it (which torch
            does not run); the built-in face-parts model if not given. openvino, onnxruntime and
            tensorrt run a checkpoint's path where the ONNX file exported from it lies beside it.
        device: where it runs; `auto` takes an NVIDIA GPU where there is one.
        precision: what it computes in; `auto` takes the fastest that the device does well: int8
            where a quantised model lies beside the weights that was measured to be as good.
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
        raise SettingError(f"`compile`: goes with `backend` torch, not with {name}")
    request = Request(model=GivenModel(model), settings=settings)
    return _choose(request) if name == "auto" else runtime(name).open(request)


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

    Beside one in INT8, a model that is not quantised runs in what `auto` takes.

    Returns:
        None where that is a run-time of somebody else's, or one that this model cannot run on.
        The reason is logged.

    Raises:
        ModelError: the model is missing or damaged.
    """
    found = next((runtime for runtime in RUNTIMES if runtime.name == backend.name), None)
    if found is None:
        return None
    device: DeviceName = "cuda" if backend.device.startswith("cuda") else "cpu"
    precision: Precision = "auto"
    if backend.precision in get_args(Precision) and backend.precision != "int8":
        precision = cast(Precision, backend.precision)
    settings = ModelSettings(
        backend=found.name,
        device=device,
        precision=precision,
        threads=getattr(backend, "threads", 0),
    )
    request = Request(model=GivenModel(model), settings=settings)
    try:
        return found.open(request)
    except BackendError as error:
        _log.warning("%s does not run beside it: %s", request.model.name, error)
        return None


def _choose(request: Request) -> Backend:
    """The first backend that works, with the reasons against those before it."""
    reasons: dict[str, list[str]] = {}
    asked = device_kind(request.settings.device)
    candidates = [c for c in CANDIDATES if asked == "auto" or asked in c.devices]
    for position, candidate in enumerate(candidates):
        try:
            backend = candidate.open(request)
        except RtsegError as error:
            if candidate is candidates[-1]:
                if isinstance(error, SettingError) and reasons:
                    # what was asked for may be possible elsewhere
                    raise SettingError("; ".join([str(error), *_lines(reasons)])) from None
                raise
            reasons.setdefault(str(error), []).append(candidate.label)
            continue
        passed_over = _lines(reasons)
        if request.settings.compile and (backend.name, backend.device) != ("torch", "cpu"):
            passed_over.append("not compiled: `compile` is for torch on cpu")
        backend.reason = "; ".join([backend.reason, *passed_over])
        _log.info("%s", backend.reason)
        if candidate.devices != ("cuda",):
            return backend
        # a GPU that was asked for is not left: then only another run-time on it comes after
        after = [c for c in candidates[position + 1 :] if asked == "auto" or "cpu" not in c.devices]
        return FallbackBackend(backend, [functools.partial(c.open, request) for c in after])
    raise AssertionError("the last candidate either opens or raises")


def _lines(reasons: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"not {' or '.join(names)}: {why}" for why, names in reasons.items()]
