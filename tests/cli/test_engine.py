"""`rtseg engine` through the command line, on a fake GPU and on none."""

import pytest

from rtseg.checkpoint import read_digest
from rtseg.export import read_onnx
from rtseg.weights import default_checkpoint_path
from tests.support.exported import tiny_onnx
from tests.support.fakes.machine import install


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RTSEG_ENGINE_DIR", str(tmp_path / "engines"))
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.loading.parity_check_of", lambda *_a, **_n: lambda *_: 0.9987
    )
    return tmp_path / "engines"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_onnx().data)
    return path


@pytest.fixture
def machine(model, monkeypatch):
    machine = install(monkeypatch)
    monkeypatch.setattr("rtseg.system.nvidia.nvidia_driver_problem", lambda: None)
    return machine


def test_build_list_verify_clean(run, model, machine, folder):
    built = run("engine", "build", model)
    assert built.code == 0
    assert "about 60 s" in built.err
    assert "fp16, 99.87% of labels as in FP32" in built.out
    again = run("engine", "build", model)
    assert "already built" in again.out
    assert machine.behaviour.builds == 1
    rebuilt = run("engine", "build", model, "--rebuild")
    assert rebuilt.out.startswith("built in")
    assert machine.behaviour.builds == 2

    listed = run("engine", "list")
    assert listed.code == 0
    assert "face-parts-fp32" in listed.out
    assert "99.87%" in listed.out.replace("\n", "")

    verified = run("engine", "verify")
    assert (verified.code, "in order" in verified.out) == (0, True)
    (engine,) = folder.glob("*.engine")
    engine.write_bytes(b"something else")
    broken = run("engine", "verify")
    assert broken.code == 7
    assert "1 of 1 engines cannot be used" in broken.error
    assert "SHA-256" in broken.out

    cleaned = run("engine", "clean", "--stale")
    assert cleaned.code == 0
    assert not list(folder.glob("*.engine"))
    assert run("engine", "verify").out == "no engine is built\n"


def test_engines_of_another_tensorrt_are_stale(run, model, machine, monkeypatch, folder):
    run("engine", "build", model)
    install(monkeypatch, version="10.13.0.35")
    stale = run("engine", "verify")
    assert stale.code == 7
    assert (
        "(8.9) by TensorRT 11.4.0.106; here are NVIDIA Fake 4000 and TensorRT 10.13.0.35"
        in stale.out
    )
    run("engine", "build", model)
    run("engine", "clean", "--stale")
    assert len(list(folder.glob("*.engine"))) == 1
    assert run("engine", "verify").code == 0
    assert "deleted" in run("engine", "clean").out
    assert list(folder.iterdir()) == []
    assert run("engine", "clean").out == "nothing to delete\n"


def test_what_goes_wrong_is_one_line(run, model, tmp_path):
    for code, complaint, arguments in (
        (2, "unknown engine recipe 'nothing'; allowed: face-parts", ("build", "nothing")),
        (6, "cannot be read", ("build", tmp_path / "missing.onnx")),
        (6, "there is no exported model beside", ("build", tmp_path / "missing.safetensors")),
        (2, "is named *.onnx", ("export", "-o", tmp_path / "x.bin")),
        (6, "cannot be read", ("export", tmp_path / "missing.safetensors")),
    ):
        result = run("engine", *arguments)
        assert result.code == code
        assert complaint in result.error


def test_without_a_gpu_a_build_says_so(run, model, monkeypatch):
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.library.nvidia_driver_problem", lambda: "no NVIDIA driver"
    )
    result = run("engine", "build", model)
    assert result.code == 7
    assert result.error.startswith("error: TensorRT cannot run here: no NVIDIA driver")


def test_export(run, tmp_path):
    path = tmp_path / "out.onnx"
    result = run("engine", "export", "-o", path)
    assert result.code == 0
    assert f"wrote {path} (fp16," in result.out
    assert read_onnx(path).weights_digest == read_digest(default_checkpoint_path())
