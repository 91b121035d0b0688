"""Compiling the network: announced, cached, and one line where it is not possible."""

import logging
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rtseg.backends import open_backend
from rtseg.backends.base import CompilerError
from rtseg.backends.torch.backend import TorchBackend
from rtseg.errors import SettingError
from tests.backends.torch.tiny import crops


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """A fake torch.compile: counts its calls, computes the same, and may fail like the real one."""
    calls = {"compiled": 0, "shapes": set(), "error": None}

    class Compiled(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images):
            if calls["error"] is not None:
                raise RuntimeError("backend failed") from calls["error"]
            calls["shapes"].add(tuple(images.shape))
            return self.network(images)

    def compile_(network, **options):
        assert options == {"fullgraph": True, "dynamic": False, "options": {"freezing": True}}
        calls["compiled"] += 1
        return Compiled(network)

    monkeypatch.setattr(torch, "compile", compile_)
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr("rtseg.backends.torch.compile.user_cache", lambda name: tmp_path / name)
    yield calls
    # the backend sets it for the compiler; other tests must not see it
    os.environ.pop("TORCHINDUCTOR_CACHE_DIR", None)


def test_compiling_is_announced_once_and_cached_privately(checkpoint, compiler, tmp_path, caplog):
    pictures = crops(3)
    caplog.set_level(logging.INFO, "rtseg")
    with TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1) as plain:
        expected = plain.infer(pictures)
    assert not caplog.records
    with TorchBackend(
        checkpoint, device="cpu", precision="fp32", threads=1, compiled=True
    ) as backend:
        (record,) = caplog.records
        assert record.getMessage().startswith("compiling the network for this processor")
        assert backend.reason.endswith(", compiled")
        np.testing.assert_allclose(backend.infer(pictures), expected, atol=1e-5)
    # one crop at a time, as another batch size would be compiled again during a run
    assert compiler["shapes"] == {(1, 3, 64, 96)}
    assert compiler["compiled"] == 1
    folder = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert folder == tmp_path / "compiled"
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["torchinductor_somebody", "mine"])
def test_only_a_folder_that_the_user_chose_is_used_instead(
    checkpoint, compiler, tmp_path, monkeypatch, name
):
    """PyTorch itself sets the variable to its default in the shared temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / name))
    TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1, compiled=True).close()
    used = Path(os.environ["TORCHINDUCTOR_CACHE_DIR"])
    assert used == tmp_path / ("mine" if name == "mine" else "compiled")


def test_a_failing_compiler_is_an_error_if_requested(checkpoint, compiler):
    compiler["error"] = FileNotFoundError("no C++ compiler: g++\nsecond line")
    with pytest.raises(CompilerError) as caught:
        open_backend(
            "torch", model=checkpoint, device="cpu", precision="fp32", threads=1, compiled=True
        )
    assert str(caught.value) == "torch.compile failed: FileNotFoundError: no C++ compiler: g++"
    assert caught.value.exit_code == 7


def test_a_failing_compiler_under_auto_is_one_log_line(checkpoint, compiler, caplog):
    compiler["error"] = FileNotFoundError("no C++ compiler: g++")
    caplog.set_level(logging.INFO, "rtseg")
    with open_backend(
        model=checkpoint, device="cpu", precision="fp32", threads=1, compiled=True
    ) as backend:
        assert backend.infer(crops(2)).shape == (2, 16, 24, 11)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2  # that it compiles, and the result
    assert (
        "not compiled (torch.compile failed: FileNotFoundError: no C++ compiler: g++)" in lines[1]
    )


def test_compiling_needs_pytorch_on_a_processor(checkpoint, compiler):
    for name in ("openvino", "tensorrt"):
        with pytest.raises(SettingError, match=f"goes with `backend` torch, not with {name}"):
            open_backend(name, model=checkpoint, compiled=True)
    assert compiler["compiled"] == 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_compiled_labels_are_equal(checkpoint, monkeypatch, tmp_path):
    """Use the real compiler, if there is one."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    pictures = crops(4, seed=2)
    with TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1) as plain:
        expected = plain.infer(pictures)
    try:
        backend = TorchBackend(checkpoint, device="cpu", precision="fp32", threads=1, compiled=True)
    except CompilerError as error:
        pytest.skip(str(error))
    probabilities = backend.infer(pictures)
    np.testing.assert_array_equal(probabilities.argmax(-1), expected.argmax(-1))
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
    np.testing.assert_array_equal(backend.infer(pictures), probabilities)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_real_compiler_without_a_cpp_compiler_is_reported(tmp_path):
    """PyTorch looks for a C++ compiler when it first needs one, hence a separate process."""
    program = (
        "from tests.support.exported import tiny_checkpoint\n"
        "from rtseg.backends import open_backend\n"
        "from rtseg.backends.base import CompilerError\n"
        "options = dict(model=tiny_checkpoint(), device='cpu', precision='fp32', threads=1)\n"
        "try:\n"
        "    open_backend('torch', compiled=True, **options)\n"
        "except CompilerError as error:\n"
        "    print(error)\n"
        "print(open_backend('auto', compiled=True, **options).reason)\n"
    )
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "CXX": "/nowhere/g++"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    failed, fallen_back = done.stdout.splitlines()
    assert failed.startswith("torch.compile failed: ")
    assert f"not compiled ({failed})" in fallen_back
