"""Query the NVIDIA driver and its devices, without any of NVIDIA's packages.

TensorRT aborts the process if there is no driver, so this is checked first.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

from rtseg.errors import BackendError, SettingError
from rtseg.system.cuda_errors import describe_cuda_error

NO_DRIVER = "no NVIDIA driver"

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One NVIDIA device and its driver.

    Attributes:
        name: the driver's name of the device.
        compute_capability: for example "9.0".
        memory_bytes: total memory of the device.
        cuda: the newest CUDA version that the driver supports, for example "13.0".
        driver: the driver's version, for example "580.65.06", or "" if unknown.
        index: the device's number, as in `cuda:0`.
    """

    name: str
    compute_capability: str
    memory_bytes: int
    cuda: str
    driver: str = ""
    index: int = 0

    @property
    def architecture(self) -> str:
        """The compute capability as compilers write it, for example "sm90"."""
        return "sm" + self.compute_capability.replace(".", "")


def cuda_driver() -> ctypes.CDLL:
    """Load the driver's library.

    Raises:
        OSError: there is none.
    """
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def nvidia_driver_problem() -> str | None:
    """Ask the driver why CUDA cannot be used; None if there is a device."""
    try:
        driver = cuda_driver()
    except OSError:
        return NO_DRIVER
    code = driver.cuInit(0)
    if code != 0:
        return f"the NVIDIA driver does not start ({describe_cuda_error(code)})"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "the NVIDIA driver finds no device"
    return None


def driver_cuda_version() -> tuple[int, int]:
    """The newest CUDA version that the driver supports, (13, 0); (0, 0) without a driver."""
    version = ctypes.c_int(0)
    try:
        code = cuda_driver().cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        return 0, 0
    return (version.value // 1000, version.value % 1000 // 10) if code == 0 else (0, 0)


def cuda_compatibility_problem(library: str, needed_major: int | None) -> str | None:
    """Say why a library built for a CUDA version cannot run on this driver; None if it can.

    A driver supports its own and older major versions. Not every library checks this; some abort
    the process.

    Args:
        library: its name in messages.
        needed_major: the major CUDA version that it was built for; None if unknown, which counts
            as compatible.
    """
    major, minor = driver_cuda_version()
    if needed_major is None or major >= needed_major:
        return None
    return (
        f"{library} was built for CUDA {needed_major}, but the NVIDIA driver supports CUDA "
        f"{major}.{minor}; update the driver, or install the build for CUDA {major}"
    )


def find_gpu(index: int = 0) -> Gpu:
    """Describe one device.

    Raises:
        SettingError: there are devices, but none with that number.
        BackendError: there is no driver or no device.
    """
    problem = nvidia_driver_problem()
    if problem is not None:
        raise BackendError(
            f"{problem}; TensorRT needs an NVIDIA GPU and its driver, `device` cpu needs neither"
        )
    driver = cuda_driver()
    count = ctypes.c_int(0)
    driver.cuDeviceGetCount(ctypes.byref(count))
    if index >= count.value:
        devices = ", ".join(f"cuda:{number}" for number in range(count.value))
        raise SettingError(f"device cuda:{index}: does not exist; found: {devices}")
    device, major, minor = (ctypes.c_int(0) for _ in range(3))
    memory = ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(256)
    codes = (
        driver.cuDeviceGet(ctypes.byref(device), index),
        driver.cuDeviceGetName(name, len(name), device),
        driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
    )
    failed = [describe_cuda_error(code) for code in codes if code != 0]
    if failed:
        raise BackendError(f"the NVIDIA driver does not describe cuda:{index} ({failed[0]})")
    cuda_major, cuda_minor = driver_cuda_version()
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=f"{major.value}.{minor.value}",
        memory_bytes=memory.value,
        cuda=f"{cuda_major}.{cuda_minor}",
        driver=_driver_version(),
        index=index,
    )


def find_gpus() -> tuple[Gpu, ...]:
    """Describe every device in the driver's order; empty if CUDA cannot be used."""
    if nvidia_driver_problem() is not None:
        return ()
    count = ctypes.c_int(0)
    cuda_driver().cuDeviceGetCount(ctypes.byref(count))
    return tuple(find_gpu(index) for index in range(count.value))


def _driver_version() -> str:
    try:
        library = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
    except OSError:
        return ""
    if library.nvmlInit_v2() != 0:
        return ""
    version = ctypes.create_string_buffer(80)
    code = library.nvmlSystemGetDriverVersion(version, len(version))
    library.nvmlShutdown()
    return version.value.decode(errors="replace") if code == 0 else ""
