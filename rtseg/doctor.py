"""Report what this machine supports and what to install for more.

Libraries whose import could abort the process are checked without importing them; TensorRT does so
at its first use without a driver.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Literal

from rtseg.backends.registry import ONNX_RUNTIME, OPENVINO, TENSORRT, TORCH, Runtime
from rtseg.errors import RtsegError
from rtseg.system.libraries import missing_library
from rtseg.system.machine import cpu_flags, processor_name
from rtseg.system.nvidia import NO_DRIVER, find_gpus, nvidia_driver_problem

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check.

    Attributes:
        subject: what was checked.
        state: working, missing, or present but not working.
        found: what was found, or why it is not usable.
        remedy: the command or step that would fix it, or "".
    """

    subject: str
    state: State
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        """Convert to JSON values."""
        return asdict(self)


def examine() -> tuple[Finding, ...]:
    """Run all checks; a check that fails is itself a finding, never an error."""
    findings = []
    for subject, examine_one in _EXAMINATIONS.items():
        try:
            findings.append(examine_one(subject))
        except Exception as error:  # noqa: BLE001 - the report must not stop here
            problem = " ".join(f"{type(error).__name__}: {error}".split())
            remedy = _REINSTALL.get(subject, "")
            findings.append(Finding(subject=subject, state="broken", found=problem, remedy=remedy))
    return tuple(findings)


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _rtseg(subject: str) -> Finding:
    python = f"Python {platform.python_version()} ({sys.executable})"
    return Finding(subject=subject, state="ok", found=f"{_version('rtseg')}, {python}")


def _processor(subject: str) -> Finding:
    useful = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    fast = [flag for flag in useful if flag in cpu_flags()]
    processor = f"{processor_name()}, {os.cpu_count()} cores"
    return Finding(
        subject=subject,
        state="ok",
        found=f"{processor}, {', '.join(fast) or 'no wide vector units'}",
    )


def _torch(subject: str) -> Finding:
    version = _version("torch")
    if version is None:
        return Finding(
            subject=subject, state="missing", found="not installed", remedy=TORCH.install
        )
    import torch

    if torch.cuda.is_available():
        return Finding(
            subject=subject, state="ok", found=f"{version}, CUDA on {torch.cuda.get_device_name()}"
        )
    remedy = ""
    if nvidia_driver_problem() is None:
        built_for = torch.version.cuda or "no CUDA"
        remedy = (
            f"there is a GPU, but this PyTorch (built for {built_for}) does not find it: "
            "install one built for a CUDA version that the driver supports, see https://pytorch.org"
        )
    return Finding(subject=subject, state="ok", found=f"{version}, on the CPU", remedy=remedy)


def _nvidia(subject: str) -> Finding:
    problem = nvidia_driver_problem()
    if problem is None:
        gpus = find_gpus()
        about = "; ".join(
            f"cuda:{gpu.index} {gpu.name}, {gpu.memory_bytes / 2**30:.0f} GiB, compute capability "
            f"{gpu.compute_capability}"
            for gpu in gpus
        )
        return Finding(
            subject=subject,
            state="ok",
            found=f"{about}; driver {gpus[0].driver or 'of unknown version'}, "
            f"CUDA up to {gpus[0].cuda}",
        )
    if problem != NO_DRIVER:
        return Finding(
            subject=subject,
            state="broken",
            found=problem,
            remedy="`nvidia-smi` tells more; start a container with its GPUs (--gpus all)",
        )
    return Finding(
        subject=subject,
        state="missing",
        found=problem,
        remedy="with an NVIDIA GPU: install its driver; without one, the CPU is used",
    )


def _tensorrt(subject: str) -> Finding:
    from rtseg.backends.tensorrt.library import installed_flavours, title_of

    if not installed_flavours():
        return Finding(
            subject=subject,
            state="missing",
            found="neither TensorRT nor TensorRT-RTX is installed",
            remedy=f"with an NVIDIA GPU: {TENSORRT.install}",
        )
    problem = nvidia_driver_problem()
    if problem is not None:
        names = " and ".join(title_of(flavour) for flavour in installed_flavours())
        remedy = "with an NVIDIA GPU: install its driver; otherwise TensorRT is not needed"
        if "tensorrt-rtx" in installed_flavours():
            remedy += "; `rtseg engine build --for sm89` builds for other machines"
        return Finding(
            subject=subject,
            state="missing" if "tensorrt-rtx" in installed_flavours() else "broken",
            found=f"installed: {names}; but {problem}",
            remedy=remedy,
        )
    # only now, because without a driver its first use would abort this process
    from rtseg.backends.tensorrt import engine_folder, list_engines
    from rtseg.backends.tensorrt.cuda_device import open_cuda_device
    from rtseg.backends.tensorrt.target import this_machine

    library = this_machine().library
    device = open_cuda_device(0)
    device.close()
    count = len(list_engines())
    return Finding(
        subject=subject,
        state="ok",
        found=f"{library.title} by {device.library}, {count} engines built in {engine_folder()}",
        remedy="" if count else "rtseg engine build",
    )


def _openvino(subject: str) -> Finding:
    return _library(subject, OPENVINO)


def _onnxruntime(subject: str) -> Finding:
    finding = _library(subject, ONNX_RUNTIME)
    if finding.state != "ok":
        return finding
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    usable = ", ".join(name.removesuffix("ExecutionProvider") for name in providers)
    return replace(finding, found=f"{finding.found}, providers: {usable}")


def _library(subject: str, runtime: Runtime) -> Finding:
    """Check whether a run-time that needs no device is installed and can be loaded."""
    if runtime.missing:
        return Finding(
            subject=subject, state="missing", found="not installed", remedy=runtime.install
        )
    modules = [
        importlib.import_module(name) for name in runtime.modules
    ]  # fails if only partly installed
    version = _version(runtime.distribution) or getattr(modules[0], "__version__", None)
    return Finding(subject=subject, state="ok", found=version or "unknown version")


def _backend(subject: str) -> Finding:
    """Open the backend that `auto` chooses for the built-in model."""
    from rtseg.backends import open_backend

    try:
        with open_backend("auto") as backend:
            backend.warm_up()
            return Finding(subject=subject, state="ok", found=backend.reason)
    except (RtsegError, ImportError) as error:
        return Finding(subject=subject, state="broken", found=str(missing_library(error) or error))


def _opencv(subject: str) -> Finding:
    try:
        import cv2
    except ImportError as error:
        return Finding(subject=subject, state="broken", found=str(missing_library(error) or error))
    return Finding(subject=subject, state="ok", found=str(cv2.__version__))


_ENCODERS = ("libx264", "libx265", "libsvtav1", "libvpx-vp9", "ffv1")


def _av(subject: str) -> Finding:
    import av

    usable = [name for name in _ENCODERS if _has_encoder(name)]
    if nvidia_driver_problem() is None:
        from rtseg.errors import BackendError
        from rtseg.media.hardware import check_hardware_encoder, hardware_decoder

        for codec in ("h264_nvenc", "hevc_nvenc", "av1_nvenc"):
            with contextlib.suppress(BackendError):
                check_hardware_encoder(codec, instead="")
                usable.append(codec)
        decodes = hardware_decoder("auto", name="doctor") is not None
        usable.append("decoding on the GPU" if decodes else "no decoding on the GPU")
    return Finding(
        subject=subject, state="ok", found=f"{av.__version__}, encoders: {', '.join(usable)}"
    )


def _has_encoder(name: str) -> bool:
    import av
    from av.codec.codec import UnknownCodecError

    try:
        av.Codec(name, "w")
    except UnknownCodecError:
        return False
    return True


def _display(subject: str) -> Finding:
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return Finding(
            subject=subject,
            state="missing",
            found="none (neither DISPLAY nor WAYLAND_DISPLAY is set)",
            remedy="`rtseg camera --no-display -o out.mp4` records without one",
        )
    return Finding(subject=subject, state="ok", found="found")


def _cameras(subject: str) -> Finding:
    from rtseg.sources.camera import list_cameras

    cameras = list_cameras()
    if not cameras:
        return Finding(
            subject=subject,
            state="missing",
            found="none",
            remedy="`rtseg camera FILE` plays a video file as a camera",
        )
    return Finding(subject=subject, state="ok", found=", ".join(cameras))


def _web(subject: str) -> Finding:
    missing = [name for name in ("aiohttp", "aiortc") if _version(name) is None]
    if missing:
        return Finding(
            subject=subject,
            state="missing",
            found=f"{' and '.join(missing)} not installed",
            remedy="pip install 'rtseg[web]'",
        )
    versions = f"aiohttp {_version('aiohttp')}, aiortc {_version('aiortc')}"
    return Finding(subject=subject, state="ok", found=versions)


def _virtual_camera(subject: str) -> Finding:
    """Check for a loopback device on Linux; elsewhere only trying would tell."""
    from rtseg.sinks.virtual_camera import remedy

    if _version("pyvirtualcam") is None:
        return Finding(
            subject=subject,
            state="missing",
            found="pyvirtualcam is not installed",
            remedy=f"pip install 'rtseg[virtual-camera]'; {remedy()}",
        )
    version = f"pyvirtualcam {_version('pyvirtualcam')}"
    if sys.platform.startswith("linux"):
        from pathlib import Path

        folder = Path("/sys/devices/virtual/video4linux")
        devices = sorted(f"/dev/{path.name}" for path in folder.glob("video*"))
        if not devices:
            return Finding(
                subject=subject,
                state="missing",
                found=f"{version}, but no v4l2loopback device",
                remedy=remedy(),
            )
        version += f", {', '.join(devices)}"
    return Finding(subject=subject, state="ok", found=version)


def _model(subject: str) -> Finding:
    from rtseg.checkpoint import read_spec
    from rtseg.weights import default_checkpoint_path

    model = read_spec(default_checkpoint_path())
    return Finding(
        subject=subject,
        state="ok",
        found=f"face-parts: {len(model.label_set)} classes, "
        f"{model.input_width}x{model.input_height}",
    )


_REINSTALL = {
    "PyTorch": "pip install --force-reinstall torch",
    "TensorRT": "pip install --force-reinstall 'rtseg[tensorrt]'",
    "OpenVINO": "pip install --force-reinstall openvino",
    "ONNX Runtime": "pip install --force-reinstall onnxruntime",
    "PyAV": "pip install --force-reinstall av",
    "model": "pip install --force-reinstall rtseg",
}
"""Remedies for present but broken components, by subject."""

_EXAMINATIONS: dict[str, Callable[[str], Finding]] = {
    "rtseg": _rtseg,
    "processor": _processor,
    "PyTorch": _torch,
    "NVIDIA GPU": _nvidia,
    "TensorRT": _tensorrt,
    "OpenVINO": _openvino,
    "ONNX Runtime": _onnxruntime,
    "backend (auto)": _backend,
    "OpenCV": _opencv,
    "PyAV": _av,
    "display": _display,
    "cameras": _cameras,
    "live page": _web,
    "virtual camera": _virtual_camera,
    "model": _model,
}
