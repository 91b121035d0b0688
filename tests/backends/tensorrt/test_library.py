"""Which TensorRT is used, and what is said where none can be."""

import dataclasses
import logging
import sys
from importlib import metadata

import pytest

from rtseg.backends.tensorrt import (
    library,
    other_machines,
    this_machine,
)
from rtseg.backends.tensorrt import prepare_engine as prepare_engine_for
from rtseg.errors import BackendError, SettingError
from tests.backends.tensorrt.opened import agreeing
from tests.backends.tensorrt.prepared import RECIPE, find_engine, prepare_engine
from tests.support.exported import tiny_onnx
from tests.support.fakes.machine import GPU, install

RTX = "1.7.1.116"


pytestmark = pytest.mark.usefixtures("models", "folder")


@pytest.mark.parametrize("version", ["9.3.0", "12.0.0"])
def test_unsupported_versions_are_refused(monkeypatch, version):
    install(monkeypatch, version=version)
    with pytest.raises(BackendError, match=rf"TensorRT {version}.*allowed: 10, 11"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_without_a_driver_tensorrt_is_not_even_imported(monkeypatch):
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would raise
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.library.nvidia_driver_problem", lambda: "no NVIDIA driver"
    )
    with pytest.raises(BackendError, match="no NVIDIA driver"):
        find_engine(tiny_onnx(), RECIPE)


def test_a_missing_tensorrt_is_reported_by_name(monkeypatch):
    install(monkeypatch)
    for name in ("tensorrt", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=r"pip install 'rtseg\[tensorrt\]'"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_driver_older_than_tensorrt_is_detected_before_tensorrt_is_loaded(monkeypatch):
    """Using TensorRT for the first time would abort the process."""
    install(monkeypatch)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # an import would raise
    monkeypatch.setattr(library, "installed_flavours", lambda: ("tensorrt",))
    monkeypatch.setattr(library, "built_for_cuda", lambda _flavour: 13)
    monkeypatch.setattr("rtseg.system.nvidia.driver_cuda_version", lambda: (12, 8))
    with pytest.raises(BackendError, match=r"for CUDA 13, but .* supports CUDA 12\.8; update"):
        prepare_engine(tiny_onnx(), RECIPE)


def test_a_librarys_cuda_version_is_read_from_its_packages(monkeypatch):
    def version(name):
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return "11.4"

    monkeypatch.setattr(library.metadata, "version", version)
    for names, major in (
        ({"tensorrt-cu12-libs", "tensorrt-rtx-cu13-bindings"}, 12),
        ({"tensorrt-cu13-bindings"}, 13),
        ({"tensorrt"}, None),
    ):
        installed = names
        assert library.built_for_cuda("tensorrt") == major
    installed = {"tensorrt-cu12-libs", "tensorrt-rtx-cu13-bindings"}
    assert library.built_for_cuda("tensorrt-rtx") == 13


def test_tensorrt_is_preferred_to_tensorrt_rtx_with_a_message(monkeypatch, caplog):
    install(monkeypatch, version=RTX)
    with caplog.at_level(logging.INFO, "rtseg"):
        engine = prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing)
    assert f"by TensorRT-RTX {RTX}" in caplog.text
    assert (engine.manifest.flavour, engine.manifest.architectures) == ("tensorrt-rtx", ("sm89",))
    install(monkeypatch)  # both TensorRT and TensorRT-RTX are now installed
    monkeypatch.setattr(library, "installed_flavours", lambda: ("tensorrt", "tensorrt-rtx"))
    assert prepare_engine(tiny_onnx(), RECIPE, parity_check=agreeing).manifest.flavour == "tensorrt"


def test_tensorrt_rtx_builds_for_other_machines_without_a_gpu(monkeypatch, caplog):
    machine = install(monkeypatch, version=RTX)
    monkeypatch.setattr(library, "nvidia_driver_problem", lambda: "no NVIDIA driver")
    target = other_machines(("sm120", "sm86", "sm89", "sm86"))
    engine = prepare_engine_for(tiny_onnx(), RECIPE, target, parity_check=agreeing)
    assert machine.behaviour.architectures == ["SM86", "SM89", "SM120"]
    assert machine.behaviour.set_flags == ["REQUIRE_USER_ALLOCATION"]
    manifest = engine.manifest
    assert (manifest.architectures, manifest.gpu) == (("sm86", "sm89", "sm120"), "")
    assert manifest.agreement is None
    assert "no GPU to run it on" in caplog.text
    assert prepare_engine_for(tiny_onnx(), RECIPE, target) == engine
    # one of these machines runs the engine that was built for all of them
    monkeypatch.setattr(library, "nvidia_driver_problem", lambda: None)
    assert find_engine(tiny_onnx(), RECIPE) == engine
    assert prepare_engine(tiny_onnx(), RECIPE) == engine
    assert machine.behaviour.builds == 1
    assert find_engine(tiny_onnx("fp32"), RECIPE) is None
    # a machine of another architecture does not
    other = dataclasses.replace(GPU, compute_capability="7.5")
    install(monkeypatch, version=RTX, gpu=other)
    assert find_engine(tiny_onnx(), RECIPE) is None


def test_unsupported_architectures_are_refused(monkeypatch):
    install(monkeypatch, version=RTX, gpu=dataclasses.replace(GPU, compute_capability="9.0"))
    with pytest.raises(BackendError, match=r"does not run on .*9\.0\), only on sm75, sm80"):
        this_machine()
    with pytest.raises(SettingError, match=r"architecture 'sm90'.*allowed: sm75, sm80, sm86"):
        other_machines(("sm86", "sm90"))
