"""A machine with a GPU that is not there: every door through which rtseg reaches one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest

from rtseg.system.nvidia import Gpu
from tests.support.fakes.cuda import DeviceMemory, FakeCudaDriver, make_pycuda
from tests.support.fakes.tensorrt import Behaviour, make_tensorrt

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
    """Make rtseg see a driver, a GPU, TensorRT and PyCUDA."""
    behaviour = Behaviour()
    memory = DeviceMemory(behaviour.events)
    memory.fits_bytes = fits_bytes
    behaviour.memory = memory
    driver = FakeCudaDriver(memory, failing=failing_driver_call)
    package = ModuleType("pycuda")
    module = make_pycuda(memory)
    package.driver = module  # type: ignore[attr-defined]
    fakes = (make_tensorrt(version, behaviour), package, module)
    for fake in fakes:
        # PyTorch asks for it when it looks around
        fake.__spec__ = ModuleSpec(fake.__name__, loader=None)
        monkeypatch.setitem(sys.modules, fake.__name__, fake)
    for name in ("rtseg.backends.tensorrt.builder", "rtseg.system.nvidia"):
        monkeypatch.setattr(f"{name}.nvidia_driver_problem", lambda: None)
    for name in ("rtseg.backends.tensorrt.store", "rtseg.system.nvidia"):
        monkeypatch.setattr(f"{name}.find_gpu", lambda: gpu)
    monkeypatch.setattr("rtseg.backends.tensorrt.cuda_graph.cuda_driver", lambda: driver)
    return FakeMachine(behaviour=behaviour, memory=memory, driver=driver, pycuda=module)
