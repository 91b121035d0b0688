"""Interpretation of the driver's answers, with a fake driver."""

import pytest

from rtseg.errors import BackendError, SettingError
from rtseg.system import nvidia
from rtseg.system.cuda_errors import describe_cuda_error


class Driver:
    """The functions of libcuda that rtseg calls, with codes that can be set for each call."""

    def __init__(self, *, devices=1, version=13000, **codes):
        self.devices, self.version, self.codes = devices, version, codes

    def __getattr__(self, name):
        return lambda *arguments: self._call(name, arguments)

    def _call(self, name, arguments):
        if name == "cuDeviceGetCount":
            arguments[0]._obj.value = self.devices
        elif name == "cuDriverGetVersion":
            arguments[0]._obj.value = self.version
        elif name == "cuDeviceGetAttribute":
            arguments[0]._obj.value = {75: 12, 76: 1}[arguments[1]]
        elif name == "cuDeviceGetName":
            arguments[0].value = b"NVIDIA Made Up"
        return self.codes.get(name, 0)


@pytest.fixture
def drive(monkeypatch):
    def install(driver):
        monkeypatch.setattr(nvidia, "cuda_driver", lambda: driver)

    return install


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (34, "LD_LIBRARY_PATH"),
        (100, "in a container, start it with its GPUs"),
        (803, "restart the machine"),
        (804, "compat"),
        (999, "dmesg"),
        (12345, r"CUDA error 12345\);"),
    ],
)
def test_a_driver_that_does_not_start_gives_the_reason(drive, code, words):
    drive(Driver(cuInit=code))
    problem = nvidia.nvidia_driver_problem()
    assert problem.startswith(f"the NVIDIA driver does not start (CUDA error {code}")
    with pytest.raises(BackendError, match=words):
        nvidia.find_gpu()


def test_devices_are_described_by_number(drive):
    drive(Driver(devices=2))
    gpus = nvidia.find_gpus()
    assert [gpu.index for gpu in gpus] == [0, 1]
    assert (gpus[1].compute_capability, gpus[1].architecture, gpus[1].cuda) == (
        "12.1",
        "sm121",
        "13.0",
    )
    with pytest.raises(SettingError, match="cuda:2: does not exist; found: cuda:0, cuda:1"):
        nvidia.find_gpu(2)
    drive(Driver(cuDeviceGetName=709))
    with pytest.raises(BackendError, match=r"does not describe cuda:0 .*CONTEXT_IS_DESTROYED"):
        nvidia.find_gpu()
    drive(Driver(devices=0))
    assert nvidia.find_gpus() == ()


@pytest.mark.parametrize(
    ("version", "needed", "fits"),
    [(13000, 13, True), (13020, 12, True), (12080, 13, False), (12080, None, True)],
)
def test_a_library_newer_than_the_driver_is_reported(drive, version, needed, fits):
    drive(Driver(version=version))
    problem = nvidia.cuda_compatibility_problem("TensorRT", needed)
    assert (problem is None) == fits
    if not fits:
        assert problem == (
            "TensorRT was built for CUDA 13, but the NVIDIA driver supports CUDA 12.8; update the "
            "driver, or install the build for CUDA 12"
        )


def test_error_codes_are_explained():
    assert describe_cuda_error(700) == (
        "CUDA error 700, ILLEGAL_ADDRESS: a kernel accessed memory that it does not own"
    )
    assert describe_cuda_error(4242) == "CUDA error 4242"
