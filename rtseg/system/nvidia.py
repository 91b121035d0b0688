"""What the NVIDIA driver says of itself and its device, asked without any of NVIDIA's packages.

TensorRT ends the process at its first use where there is no driver, so this is asked before.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

from rtseg.errors import BackendError

NO_DRIVER = "no NVIDIA driver"

_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One NVIDIA device and its driver.

    Attributes:
        name: as the driver gives it.
        compute_capability: "9.0".
        memory_bytes: how much the device has in all.
        cuda: the newest CUDA that the driver speaks, "13.0".
        driver: the driver's own version, "580.65.06", or "" where it does not say.
    """

    name: str
    compute_capability: str
    memory_bytes: int
    cuda: str
    driver: str = ""


def cuda_driver() -> ctypes.CDLL:
    """The driver's library.

    Raises:
        OSError: there is none.
    """
    return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")


def nvidia_driver_problem() -> str | None:
    """Why CUDA cannot be used, or None where a device is there. Asks the driver itself."""
    try:
        driver = cuda_driver()
    except OSError:
        return NO_DRIVER
    code = driver.cuInit(0)
    if code != 0:
        return f"the NVIDIA driver does not start (CUDA error {code})"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "the NVIDIA driver finds no device"
    return None


def find_gpu() -> Gpu:
    """The first device.

    Raises:
        BackendError: there is no driver or no device.
    """
    problem = nvidia_driver_problem()
    if problem is not None:
        raise BackendError(
            f"{problem}; TensorRT needs an NVIDIA GPU and its driver, `--device cpu` needs neither"
        )
    driver = cuda_driver()
    device, major, minor, version = (ctypes.c_int(0) for _ in range(4))
    memory = ctypes.c_size_t(0)
    name = ctypes.create_string_buffer(256)
    codes = (
        driver.cuDeviceGet(ctypes.byref(device), 0),
        driver.cuDeviceGetName(name, len(name), device),
        driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device),
        driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device),
        driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device),
        driver.cuDriverGetVersion(ctypes.byref(version)),
    )
    if any(codes):
        raise BackendError(f"the NVIDIA driver does not describe its device (CUDA errors {codes})")
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=f"{major.value}.{minor.value}",
        memory_bytes=memory.value,
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
        driver=_driver_version(),
    )


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
