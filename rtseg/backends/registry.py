"""The registry of run-times: names, requirements, devices, precisions, how to open each, and the
order in which `auto` tries them.

The command line, `rtseg doctor`, `rtseg bench --backend all` and the messages of `auto` are derived
from this list.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec

from rtseg.backends.base import Backend, CompilerError
from rtseg.backends.given_model import GivenModel
from rtseg.errors import BackendError, SettingError
from rtseg.settings import BackendName, DeviceKind, ModelSettings, Precision, device_index
from rtseg.system.nvidia import nvidia_driver_problem


@dataclass(frozen=True)
class Request:
    """The arguments for opening a backend."""

    model: GivenModel
    settings: ModelSettings


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A run-time for networks.

    Attributes:
        name: its name in options.
        title: its maker's name for it.
        distribution: the distribution to look up its version.
        modules: modules that must be importable.
        install: the command that installs it.
        precisions: supported precisions by kind of device; any that a processor lacks are
            rejected when it is opened.
        open: opens exactly the requested backend, or raises; it never falls back.
    """

    name: BackendName
    title: str
    distribution: str
    modules: tuple[str, ...]
    install: str
    precisions: dict[str, tuple[Precision, ...]]
    open: Callable[[Request], Backend]

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that are not installed. Imports nothing."""
        return tuple(module for module in self.modules if find_spec(module) is None)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A backend that `auto` may choose.

    Attributes:
        label: its name for people: `torch on a GPU`.
        devices: the devices on which it may be chosen.
        open: opens the backend if that is possible at once; otherwise the error says why not.
    """

    label: str
    devices: tuple[DeviceKind, ...]
    open: Callable[[Request], Backend]


def _open_tensorrt(request: Request) -> Backend:
    if request.settings.device == "cpu":
        raise SettingError("device cpu: the tensorrt backend runs on cuda only; allowed: cuda")
    from rtseg.backends.tensorrt.loading import open_tensorrt, recipe_for

    model = request.model
    recipe = recipe_for(model.name, precision=request.settings.precision)
    return open_tensorrt(
        model.quantized if recipe.precision == "int8" else model.exported,
        recipe,
        weights=model.weights_path,
        device_index=device_index(request.settings.device),
    )


def _open_openvino(request: Request) -> Backend:
    from rtseg.backends.openvino import OpenVinoBackend

    settings, model = request.settings, request.model
    return OpenVinoBackend(
        model.quantized if settings.precision == "int8" else model.exported,
        quantized=model.faithful_quantized if settings.precision == "auto" else None,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
    )


def _open_onnxruntime(request: Request) -> Backend:
    from rtseg.backends.onnxruntime import OnnxRuntimeBackend

    settings, model = request.settings, request.model
    return OnnxRuntimeBackend(
        model.quantized if settings.precision == "int8" else model.exported,
        quantized=model.faithful_quantized if settings.precision == "auto" else None,
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
    )


def _open_torch(request: Request) -> Backend:
    # read before PyTorch is loaded, so that a bad file is reported at once
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


TENSORRT = Runtime(
    name="tensorrt",
    title="TensorRT",
    distribution="tensorrt",
    modules=("tensorrt",),
    install="pip install 'rtseg[tensorrt]'",
    precisions={"cuda": ("fp16", "fp32", "int8")},
    open=_open_tensorrt,
)
OPENVINO = Runtime(
    name="openvino",
    title="OpenVINO",
    distribution="openvino",
    modules=("openvino",),
    install="pip install openvino",
    precisions={"cpu": ("fp32", "bf16", "int8")},
    open=_open_openvino,
)
ONNX_RUNTIME = Runtime(
    name="onnxruntime",
    title="ONNX Runtime",
    distribution="onnxruntime",
    modules=("onnxruntime",),
    install="pip install onnxruntime (or onnxruntime-gpu, or onnxruntime-directml: one of them)",
    precisions={"cpu": ("fp32", "int8"), "cuda": ("fp16",)},
    open=_open_onnxruntime,
)
TORCH = Runtime(
    name="torch",
    title="PyTorch",
    distribution="torch",
    modules=("torch",),
    install="pip install torch",
    precisions={"cpu": ("fp32", "bf16"), "cuda": ("fp32", "fp16")},
    open=_open_torch,
)

RUNTIMES = (TORCH, OPENVINO, ONNX_RUNTIME, TENSORRT)


def runtime(name: str) -> Runtime:
    """The run-time with this name, which must not be `auto`."""
    return next(run_time for run_time in RUNTIMES if run_time.name == name)


def _auto_tensorrt(request: Request) -> Backend:
    """Open TensorRT if its engine is built, since nobody should wait for an unrequested build."""
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
        exported = model.quantized if recipe.precision == "int8" else model.exported
        backend = open_built(exported, recipe, device_index=index)
    except StaleEngineError as error:
        raise BackendError(f"{error}; `rtseg engine build --rebuild` rebuilds it") from error
    if backend is None:
        raise BackendError("its engine is not built yet; `rtseg engine build` builds it")
    return backend


def _auto_torch_cuda(request: Request) -> Backend:
    _needs_nvidia()
    device = request.settings.device if request.settings.device != "auto" else "cuda"
    settings = replace(request.settings, device=device, compile=False)
    return _open_torch(replace(request, settings=settings))


def _auto_openvino(request: Request) -> Backend:
    if OPENVINO.missing:
        raise BackendError(
            "not installed, and the network takes two to four times as long without it "
            f"({OPENVINO.install})"
        )
    return _open_openvino(request)


def _auto_onnxruntime(request: Request) -> Backend:
    if ONNX_RUNTIME.missing:
        raise BackendError("not installed")
    return _open_onnxruntime(replace(request, settings=replace(request.settings, device="cpu")))


def _auto_torch(request: Request) -> Backend:
    """Open PyTorch on the processor or the requested device, uncompiled if compiling fails."""
    settings = request.settings
    if settings.device == "auto":
        settings = replace(settings, device="cpu")
    try:
        return _open_torch(replace(request, settings=settings))
    except CompilerError as error:
        backend = _open_torch(replace(request, settings=replace(settings, compile=False)))
        backend.reason += f", not compiled ({error})"
        return backend


def _needs_nvidia() -> None:
    problem = nvidia_driver_problem()
    if problem is not None:
        raise BackendError(problem)


CANDIDATES = (
    Candidate(label="tensorrt", devices=("cuda",), open=_auto_tensorrt),
    Candidate(label="torch on a GPU", devices=("cuda",), open=_auto_torch_cuda),
    Candidate(label="openvino", devices=("cpu",), open=_auto_openvino),
    Candidate(label="onnxruntime", devices=("cpu",), open=_auto_onnxruntime),
    Candidate(label="torch", devices=("cpu", "cuda"), open=_auto_torch),
)
"""The order of `auto`. The last one's error is raised, since it should always work."""
