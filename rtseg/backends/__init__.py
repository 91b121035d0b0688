"""Backends run networks. `open_backend` chooses and opens one."""

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
from rtseg.labels import LabelSet
from rtseg.settings import BackendName, DeviceName, ModelSettings, Precision, device_kind

__all__ = [
    "Backend",
    "BackendName",
    "label_set_of",
    "open_backend",
    "open_backend_for",
    "open_beside",
]

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
    """Open a backend that is ready to run a model.

    `auto` takes the first of these that works: tensorrt (if its engine is built), torch on an
    NVIDIA GPU, openvino, onnxruntime, torch on the processor. It logs in one line to the logger
    `rtseg` which one, and why not those before it. If a GPU fails later or runs out of memory, the
    next one takes over, which is logged too. A backend requested by name never falls back.

    Args:
        name: the run-time. `tensorrt` builds its engine if needed, which takes a while and is
            announced.
        model: a checkpoint, its path, or the path of an ONNX file exported from it (which torch
            cannot run); by default the built-in face-parts model. For a checkpoint's path,
            openvino, onnxruntime and tensorrt use the exported ONNX file beside it.
        device: the device; `auto` takes an NVIDIA GPU if there is one.
        precision: the arithmetic; `auto` takes the fastest that works well on the device, which
            includes int8 if the weights have a quantised model beside them that was measured to be
            as good.
        threads: processor threads for the whole process; 0 means one per core.
        compiled: make torch compile the network for the processor, which takes up to a minute the
            first time. If `auto` chooses another backend, or there is no compiler, a log message
            says so and the network runs uncompiled.

    Raises:
        SettingError: a name is unknown, a number is out of range, or two options conflict.
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


def label_set_of(model: Model | None) -> LabelSet:
    """Read the label set of a model for `open_backend` from its header, without opening it.

    Raises:
        ModelError: the model is missing or damaged.
    """
    return GivenModel(model).spec.label_set


def open_backend_for(settings: ModelSettings) -> Backend:
    """Like `open_backend`, with a group of settings."""
    return open_backend(
        settings.backend,
        model=settings.model,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        compiled=settings.compile,
    )


def open_beside(backend: Backend, model: Checkpoint | Path) -> Backend | None:
    """Open another network on a running backend's run-time, device and precision.

    Beside an INT8 backend, a model that is not quantised runs in the precision of `auto`.

    Returns:
        None if the run-time is not one of rtseg's, or cannot run this model; the reason is logged.

    Raises:
        ModelError: the model is missing or damaged.
    """
    run_time = next((runtime for runtime in RUNTIMES if runtime.name == backend.name), None)
    if run_time is None:
        return None
    device: DeviceName = "cuda" if backend.device.startswith("cuda") else "cpu"
    precision: Precision = "auto"
    if backend.precision in get_args(Precision) and backend.precision != "int8":
        precision = cast(Precision, backend.precision)
    settings = ModelSettings(
        backend=run_time.name,
        device=device,
        precision=precision,
        threads=getattr(backend, "threads", 0),
    )
    request = Request(model=GivenModel(model), settings=settings)
    try:
        return run_time.open(request)
    except BackendError as error:
        _log.warning("%s does not run beside it: %s", request.model.name, error)
        return None


def _choose(request: Request) -> Backend:
    """Open the first backend that works; also return why those before it were not used."""
    reasons: dict[str, list[str]] = {}
    device_choice = device_kind(request.settings.device)
    candidates = [c for c in CANDIDATES if device_choice == "auto" or device_choice in c.devices]
    for position, candidate in enumerate(candidates):
        try:
            backend = candidate.open(request)
        except RtsegError as error:
            if candidate is candidates[-1]:
                if isinstance(error, SettingError) and reasons:
                    # another backend may support the requested options
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
        # if a GPU was requested, only another run-time on it may take over
        after = [
            c
            for c in candidates[position + 1 :]
            if device_choice == "auto" or "cpu" not in c.devices
        ]
        return FallbackBackend(backend, [functools.partial(c.open, request) for c in after])
    raise AssertionError("the last candidate either opens or raises")


def _lines(reasons: Mapping[str, Sequence[str]]) -> list[str]:
    return [f"not {' or '.join(names)}: {why}" for why, names in reasons.items()]
