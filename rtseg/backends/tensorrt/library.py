"""Choose which of NVIDIA's two libraries builds and runs engines: TensorRT or TensorRT-RTX.

TensorRT-RTX is TensorRT's sibling for GeForce RTX cards: ordinary packages, and engines that are
built on any machine in under a second and compile their kernels on the GPU that runs them. Both
have the same classes. If both are installed, TensorRT is used.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Literal

from rtseg.errors import BackendError, SettingError, listed
from rtseg.system.nvidia import cuda_compatibility_problem, nvidia_driver_problem

Flavour = Literal["tensorrt", "tensorrt-rtx"]

ARCHITECTURES = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
"""The architectures that TensorRT-RTX supports: GeForce 20, A100, GeForce 30, 40, 50, GB10."""

_MODULES: dict[Flavour, str] = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx_bindings"}
_MAJORS: dict[Flavour, tuple[int, ...]] = {"tensorrt": (10, 11), "tensorrt-rtx": (1,)}
_OLDEST_RTX = (1, 7)  # the oldest version whose names the tests check


@dataclass(frozen=True, kw_only=True)
class Library:
    """An installed library of a supported version.

    Attributes:
        flavour: which of the two libraries.
        module: the imported module.
        version: its own version string, "11.4.0.106".
    """

    flavour: Flavour
    module: Any
    version: str

    @property
    def is_rtx(self) -> bool:
        """Whether its engines are built for architectures rather than for one GPU."""
        return self.flavour == "tensorrt-rtx"

    @property
    def title(self) -> str:
        """Its name for people, with its version."""
        return f"{title_of(self.flavour)} {self.version}"


def title_of(flavour: Flavour) -> str:
    """Its name for people."""
    return "TensorRT-RTX" if flavour == "tensorrt-rtx" else "TensorRT"


def installed_flavours() -> tuple[Flavour, ...]:
    """The installed libraries in order of preference; imports nothing."""
    return tuple(flavour for flavour, module in _MODULES.items() if _is_installed(module))


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ValueError:  # a module without a specification, as a test may install
        return False


def library_to_run() -> Library:
    """The library that runs engines on this machine's GPU.

    Raises:
        BackendError: there is no driver or it is too old (using the library could then abort the
            process), or the library is not installed, broken, or of an unsupported version.
    """
    problem = nvidia_driver_problem()
    if problem is not None:
        raise BackendError(
            f"TensorRT cannot run here: {problem}; `device` cpu runs on the processor"
        )
    flavours = installed_flavours()
    if not flavours:
        raise BackendError(
            "neither TensorRT nor TensorRT-RTX is installed; pip install 'rtseg[tensorrt]', or "
            "for a GeForce RTX 'rtseg[tensorrt-rtx]'"
        )
    problem = cuda_compatibility_problem(title_of(flavours[0]), built_for_cuda(flavours[0]))
    if problem is not None:
        raise BackendError(problem)
    return load_library(flavours[0])


def load_library(flavour: Flavour) -> Library:
    """Import a library by name. TensorRT-RTX can build without a driver; TensorRT cannot.

    Raises:
        BackendError: it is not installed, broken, or of an unsupported version.
    """
    title, extra = title_of(flavour), f"'rtseg[{flavour}]'"
    try:
        module = importlib.import_module(_MODULES[flavour])
    except (ImportError, OSError) as error:
        raise BackendError(f"{title} cannot be loaded ({error}); pip install {extra}") from None
    version = str(module.__version__)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version))
    allowed = _MAJORS[flavour]
    if not numbers or numbers[0] not in allowed:
        raise BackendError(
            f"{title} {version} is not supported; allowed: {listed(allowed)}; "
            f"pip install -U {extra}"
        )
    if flavour == "tensorrt-rtx" and numbers < _OLDEST_RTX:
        oldest = ".".join(map(str, _OLDEST_RTX))
        raise BackendError(
            f"{title} {version} is not supported; allowed: {oldest} or newer; "
            f"pip install -U {extra}"
        )
    return Library(flavour=flavour, module=module, version=version)


def built_for_cuda(flavour: Flavour) -> int | None:
    """The major CUDA version that an installed library was built for; None if unknown.

    It is part of the names of the library's packages (`tensorrt-cu13-libs`).
    """
    for major in range(20, 10, -1):
        for part in ("libs", "bindings"):
            try:
                metadata.version(f"{flavour}-cu{major}-{part}")
            except metadata.PackageNotFoundError:
                continue
            return major
    return None


def check_architectures(names: tuple[str, ...]) -> tuple[str, ...]:
    """Sort the names of architectures and remove duplicates, for `--for`.

    Raises:
        SettingError: TensorRT-RTX does not support one of them.
    """
    for name in names:
        if name not in ARCHITECTURES:
            raise SettingError(
                f"architecture {name!r}: TensorRT-RTX does not build for it; allowed: "
                f"{listed(ARCHITECTURES)}"
            )
    return tuple(name for name in ARCHITECTURES if name in names)
