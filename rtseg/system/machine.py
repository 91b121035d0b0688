"""Describe the machine that a measurement ran on."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rtseg.settings import thread_count

VERSIONED = (
    *("rtseg", "torch", "openvino", "onnxruntime", "tensorrt"),
    *("av", "opencv-python", "numpy"),
)
"""Distributions whose versions affect speed."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A computer and its software that affects speed.

    Attributes:
        processor: the manufacturer's name, or the architecture.
        cores: the operating system's count, including hyper-threads.
        usable_cores: the cores that this process may use.
        system: the operating system and its version.
        python: the interpreter's version.
        versions: installed versions by distribution.
    """

    processor: str
    cores: int
    usable_cores: int
    system: str
    python: str
    versions: dict[str, str]

    def line(self) -> str:
        """Describe it in one line for people."""
        return f"{self.processor}, {self.usable_cores} of {self.cores} cores usable"

    def to_json(self) -> dict[str, object]:
        """Convert it to JSON values."""
        return asdict(self)


def this_machine() -> Machine:
    """Describe the current machine, importing nothing heavy (versions come from metadata)."""
    return Machine(
        processor=processor_name(),
        cores=os.cpu_count() or 1,
        usable_cores=thread_count(0),
        system=platform.platform(terse=True),
        python=platform.python_version(),
        versions={name: version for name in VERSIONED if (version := _version(name)) is not None},
    )


def processor_name() -> str:
    """The processor's name as given by its manufacturer, or the architecture."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def cpu_flags() -> frozenset[str]:
    """The processor's feature flags on Linux; empty elsewhere."""
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text(errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("flags", "Features"):  # x86 and ARM
                return frozenset(value.split())
    return frozenset()


def has_int8_instructions() -> bool | None:
    """Whether the processor has INT8 dot products (VNNI, AMX, ARM's dotprod); None if unknown."""
    flags = cpu_flags()
    if not flags:
        return None
    return not flags.isdisjoint(("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"))


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
