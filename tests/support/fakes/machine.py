"""A fake machine with a GPU, replacing everything through which rtseg accesses one."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from rtseg.errors import SettingError
from rtseg.system.nvidia import Gpu
from tests.support.fakes.cuda import DeviceMemory, FakeCudaDriver, make_pycuda
from tests.support.fakes.tensorrt import make_tensorrt
from tests.support.fakes.tensorrt_behaviour import Behaviour

GPU = Gpu(
    name="NVIDIA Fake 4000",
    compute_capability="8.9",
    memory_bytes=8 << 30,
    cuda="13.0",
    driver="580.65.06",
)


@dataclass
class FakeMachine:
    behaviour: Behaviour
    memory: DeviceMemory
    driver: FakeCudaDriver
    pycuda: ModuleType


def install(
    monkeypatch: pytest.MonkeyPatch,
    *,
    version: str = "11.4.0.106",
    gpu: Gpu = GPU,
    failing_driver_call: str = "",
    fits_bytes: int = 1 << 40,
) -> FakeMachine:
    """Make rtseg find a driver, a GPU, TensorRT (TensorRT-RTX for version 1) and PyCUDA."""
    behaviour = Behaviour()
    memory = DeviceMemory(behaviour.events)
    memory.fits_bytes = fits_bytes
    behaviour.memory = memory
    driver = FakeCudaDriver(memory, failing=failing_driver_call)
    package = ModuleType("pycuda")
    module = make_pycuda(memory)
    package.driver = module  # type: ignore[attr-defined]
    fakes = (make_tensorrt(version, behaviour), package, module)
    if version.startswith("1."):
        # for TensorRT-RTX, TensorRT itself must be missing, since it takes precedence
        monkeypatch.setitem(sys.modules, "tensorrt", None)
    for fake in fakes:
        # PyTorch reads it when it inspects modules
        fake.__spec__ = ModuleSpec(fake.__name__, loader=None)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)
    for name in ("backends.registry", "backends.tensorrt.library", "system.nvidia"):
        monkeypatch.setattr(f"rtseg.{name}.nvidia_driver_problem", lambda: None)
    monkeypatch.setattr("rtseg.system.nvidia.driver_cuda_version", lambda: (13, 0))
    for name in ("backends.tensorrt.target", "backends.tensorrt.backend", "system.nvidia"):
        monkeypatch.setattr(f"rtseg.{name}.find_gpu", lambda index=0: gpus(gpu, index))
    monkeypatch.setattr("rtseg.backends.tensorrt.cuda_graph.cuda_driver", lambda: driver)
    monkeypatch.setattr("rtseg.backends.tensorrt.pycuda_device.cuda_driver", lambda: driver)
    return FakeMachine(behaviour=behaviour, memory=memory, driver=driver, pycuda=module)


def gpus(gpu: Gpu, index: int) -> Gpu:
    """A machine with two GPUs."""
    if index > 1:
        raise SettingError(f"device cuda:{index}: does not exist; found: cuda:0, cuda:1")
    return replace(gpu, index=index)
