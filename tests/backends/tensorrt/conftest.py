"""Fake TensorRT libraries, and a folder for their engines."""

import pytest

from tests.backends.tensorrt.opened import VERSIONS, agreeing
from tests.support.exported import tiny_onnx
from tests.support.fakes.machine import install


@pytest.fixture(scope="module")
def models():
    """Exported before any fake is installed, since PyTorch looks for a TensorRT of its own."""
    return tiny_onnx("fp16"), tiny_onnx("fp32")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    path = tmp_path / "engines"
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(path))
    return path


@pytest.fixture
def agreeing_builds(folder, monkeypatch):
    """Every engine agrees with FP32, so that none is built again."""
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.loading.parity_check_of", lambda *_args, **_names: agreeing
    )


@pytest.fixture(params=VERSIONS)
def machine(request, monkeypatch):
    return install(monkeypatch, version=request.param)


@pytest.fixture(params=VERSIONS[:2])
def plain_machine(request, monkeypatch):
    """One with TensorRT, not TensorRT-RTX."""
    return install(monkeypatch, version=request.param)


@pytest.fixture
def one_machine(monkeypatch):
    return install(monkeypatch)
