"""The target of an engine build: this machine's GPU, or GPU architectures of other machines."""

from __future__ import annotations

from dataclasses import dataclass

from rtseg.backends.tensorrt.library import (
    ARCHITECTURES,
    Library,
    check_architectures,
    library_to_run,
    load_library,
)
from rtseg.errors import BackendError, listed
from rtseg.system.nvidia import Gpu, find_gpu


@dataclass(frozen=True, kw_only=True)
class Target:
    """The library that builds an engine, and the GPU or architectures that will run it.

    Attributes:
        library: builds and runs it.
        gpu: this machine's GPU; None if an engine is built for others.
        architectures: those that a TensorRT-RTX engine is built for; empty for TensorRT.
    """

    library: Library
    gpu: Gpu | None
    architectures: tuple[str, ...] = ()

    def describe(self) -> str:
        """The GPU or the architectures, for people: `NVIDIA …`, or `sm86, sm89`."""
        return self.gpu.name if self.gpu is not None else listed(self.architectures)


def this_machine(index: int = 0) -> Target:
    """The library and the GPU that engines are built with and for on this machine.

    Raises:
        SettingError: there is no GPU with that number.
        BackendError: TensorRT or its device cannot be used on this machine.
    """
    library = library_to_run()
    gpu = find_gpu(index)
    if not library.is_rtx:
        return Target(library=library, gpu=gpu)
    if gpu.architecture not in ARCHITECTURES:
        raise BackendError(
            f"{library.title} does not run on {gpu.name} (compute capability "
            f"{gpu.compute_capability}), only on {listed(ARCHITECTURES)}; "
            "pip install 'rtseg[tensorrt]'"
        )
    return Target(library=library, gpu=gpu, architectures=(gpu.architecture,))


def other_machines(architectures: tuple[str, ...]) -> Target:
    """TensorRT-RTX, building for GPUs of the given architectures; needs no GPU on this machine.

    Raises:
        SettingError: it does not support one of them.
        BackendError: it is not installed.
    """
    checked = check_architectures(architectures)
    return Target(library=load_library("tensorrt-rtx"), gpu=None, architectures=checked)
