"""Explain CUDA error codes: what each means, and what may help."""

from __future__ import annotations

from typing import NamedTuple

OUT_OF_MEMORY = 2


class _Meaning(NamedTuple):
    name: str  # as in cuda.h after CUDA_ERROR_, which is what people search for
    words: str


_MEANINGS = {
    1: _Meaning("INVALID_VALUE", "a call was given an invalid value"),
    2: _Meaning("OUT_OF_MEMORY", "the GPU's memory is full"),
    3: _Meaning("NOT_INITIALIZED", "the driver was used before it was initialised"),
    4: _Meaning("DEINITIALIZED", "the driver is shutting down, as its process is exiting"),
    34: _Meaning(
        "STUB_LIBRARY",
        "a toolkit's stub library was loaded instead of the driver; remove its folder from "
        "LD_LIBRARY_PATH",
    ),
    35: _Meaning(
        "INSUFFICIENT_DRIVER", "the driver is missing or older than the library; update the driver"
    ),
    46: _Meaning("DEVICE_UNAVAILABLE", "the GPU is busy or reserved for one process"),
    100: _Meaning("NO_DEVICE", "the driver sees no GPU; in a container, start it with its GPUs"),
    101: _Meaning("INVALID_DEVICE", "there is no GPU with that number"),
    102: _Meaning("DEVICE_NOT_LICENSED", "the virtual GPU has no licence"),
    200: _Meaning("INVALID_IMAGE", "a kernel's code is damaged"),
    201: _Meaning("INVALID_CONTEXT", "no GPU context is current in this thread"),
    209: _Meaning("NO_BINARY_FOR_GPU", "the library has no kernels for this GPU's architecture"),
    214: _Meaning("ECC_UNCORRECTABLE", "the GPU's memory has a fault that ECC cannot correct"),
    218: _Meaning("INVALID_PTX", "kernels could not be compiled for this GPU"),
    220: _Meaning("NVLINK_UNCORRECTABLE", "the link between GPUs failed"),
    222: _Meaning(
        "UNSUPPORTED_PTX_VERSION", "kernels are newer than the driver; update the driver"
    ),
    304: _Meaning("OPERATING_SYSTEM", "the operating system refused the driver something"),
    400: _Meaning("INVALID_HANDLE", "a handle is not, or no longer, valid"),
    401: _Meaning("ILLEGAL_STATE", "the call is not allowed in the current state"),
    500: _Meaning("NOT_FOUND", "the driver lacks that function"),
    600: _Meaning("NOT_READY", "the GPU has not finished yet"),
    700: _Meaning("ILLEGAL_ADDRESS", "a kernel accessed memory that it does not own"),
    701: _Meaning("LAUNCH_OUT_OF_RESOURCES", "a kernel needs more resources than the GPU has"),
    702: _Meaning("LAUNCH_TIMEOUT", "a kernel took too long and was stopped"),
    709: _Meaning("CONTEXT_IS_DESTROYED", "the GPU's context is gone"),
    710: _Meaning("ASSERT", "an assertion failed in a kernel"),
    714: _Meaning("HARDWARE_STACK_ERROR", "a kernel overflowed the GPU's stack"),
    715: _Meaning(
        "ILLEGAL_INSTRUCTION", "a kernel contains an instruction that the GPU does not support"
    ),
    716: _Meaning("MISALIGNED_ADDRESS", "a kernel used a misaligned address"),
    717: _Meaning("INVALID_ADDRESS_SPACE", "a kernel used an address in the wrong address space"),
    718: _Meaning("INVALID_PC", "a kernel jumped outside its code"),
    719: _Meaning("LAUNCH_FAILED", "a kernel failed"),
    800: _Meaning("NOT_PERMITTED", "the driver does not permit it"),
    801: _Meaning("NOT_SUPPORTED", "the driver or the GPU does not support that"),
    802: _Meaning("SYSTEM_NOT_READY", "the system's GPU services are not running yet"),
    803: _Meaning(
        "SYSTEM_DRIVER_MISMATCH",
        "the driver's library and its kernel module have different versions; restart the "
        "machine after a driver update",
    ),
    804: _Meaning(
        "COMPAT_NOT_SUPPORTED_ON_DEVICE",
        "a compatibility driver was loaded that does not support this GPU; remove CUDA's compat "
        "folder from LD_LIBRARY_PATH",
    ),
    900: _Meaning("STREAM_CAPTURE_UNSUPPORTED", "the call cannot be part of a CUDA graph"),
    901: _Meaning("STREAM_CAPTURE_INVALIDATED", "the capture of a CUDA graph was aborted"),
    902: _Meaning("STREAM_CAPTURE_MERGE", "two CUDA graph captures were merged"),
    905: _Meaning("STREAM_CAPTURE_ISOLATION", "a capture depends on work outside it"),
    906: _Meaning(
        "STREAM_CAPTURE_IMPLICIT",
        "another call used the default stream during the capture of a CUDA graph",
    ),
    908: _Meaning("STREAM_CAPTURE_WRONG_THREAD", "a capture was ended by another thread"),
    909: _Meaning("TIMEOUT", "the GPU did not respond in time"),
    999: _Meaning("UNKNOWN", "the driver gives no reason; its log may: dmesg | grep -i nvrm"),
}


def describe_cuda_error(code: int) -> str:
    """Describe a code: `CUDA error 700, ILLEGAL_ADDRESS: a kernel used memory …`."""
    meaning = _MEANINGS.get(code)
    if meaning is None:
        return f"CUDA error {code}"
    return f"CUDA error {code}, {meaning.name}: {meaning.words}"
