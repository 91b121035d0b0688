"""`rtseg engine` on the command line, with a fake GPU and without any."""

import json

import pytest

from rtseg.backends.tensorrt import shipped_recipes
from rtseg.checkpoint import read_digest
from rtseg.export import read_onnx
from rtseg.weights import default_checkpoint_path, shipped_models
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
    assert (verified.code, "all OK" in verified.out) == (0, True)
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


def test_errors_are_one_line(run, model, tmp_path):
    for code, complaint, arguments in (
        (2, "unknown engine recipe 'nothing'; allowed: face-finder, ", ("build", "nothing")),
        (6, "cannot be read", ("build", tmp_path / "missing.onnx")),
        (6, "there is no exported model beside", ("build", tmp_path / "missing.safetensors")),
        (2, "must be named *.onnx", ("export", "-o", tmp_path / "x.bin")),
        (6, "cannot be read", ("export", tmp_path / "missing.safetensors")),
    ):
        result = run("engine", *arguments)
        assert result.code == code
        assert complaint in result.error


def test_every_shipped_recipe_is_built_by_its_name(run, machine, folder):
    recipes = shipped_recipes()
    for name in recipes:
        result = run("engine", "build", name)
        assert result.code == 0, result.error
    models = {json.loads(path.read_text())["name"] for path in folder.glob("*.engine.json")}
    assert models == set(recipes)


def test_every_shipped_model_is_exported_by_its_name(run, tmp_path, monkeypatch):
    exported = []

    def write(checkpoint, path, **_options):
        exported.append(checkpoint.spec.architecture)
        path.write_bytes(b"")

    monkeypatch.setattr("rtseg.export.onnx.write_onnx", write)
    for name in shipped_models():
        assert run("engine", "export", name, "-o", tmp_path / f"{name}.onnx").code == 0
    assert exported == ["face-finder", "lite-pyramid"]
    unknown = run("engine", "export", "face-part", "-o", tmp_path / "x.onnx")
    assert unknown.code == 6
    assert "face-part: there is no such model; allowed: face-finder" in unknown.error


def test_a_build_without_a_gpu_is_refused_with_advice(run, model, monkeypatch):
    monkeypatch.setattr(
        "rtseg.backends.tensorrt.library.nvidia_driver_problem", lambda: "no NVIDIA driver"
    )
    result = run("engine", "build", model)
    assert result.code == 7
    assert result.error.startswith("error: TensorRT cannot run here: no NVIDIA driver")


def test_a_model_is_exported(run, tmp_path):
    path = tmp_path / "out.onnx"
    result = run("engine", "export", "-o", path)
    assert result.code == 0
    assert f"wrote {path} (fp16," in result.out
    assert read_onnx(path).weights_digest == read_digest(default_checkpoint_path())


def test_inspect_shows_layers_without_a_gpu(run, model, machine, monkeypatch):
    assert run("engine", "inspect").out == "no engine is built\n"
    run("engine", "build", model)
    for name in ("rtseg.system.nvidia", "rtseg.backends.tensorrt.library"):
        monkeypatch.setattr(f"{name}.nvidia_driver_problem", lambda: "no NVIDIA driver")
    shown = run("engine", "inspect")
    assert shown.code == 0
    assert "fp16, batches of 1 to 8" in shown.out
    assert "for NVIDIA Fake 4000 (8.9)" in shown.out
    assert "1 correlation on Half" in shown.out
    (layers,) = json.loads(run("engine", "inspect", "--json").out).values()
    assert layers[0]["name"] == "conv_1"
    assert layers[0]["inputs"] == ["Half"]


def test_engines_can_be_built_for_other_machines(run, model, monkeypatch, folder):
    install(monkeypatch, version="1.7.1.116")
    for name in ("rtseg.system.nvidia", "rtseg.backends.tensorrt.library"):
        monkeypatch.setattr(f"{name}.nvidia_driver_problem", lambda: "no NVIDIA driver")
    built = run("engine", "build", model, "--for", "sm120, sm86")
    assert built.code == 0
    assert "by TensorRT-RTX 1.7.1.116 for sm86, sm120" in built.out
    assert "not compared with FP32" in built.out
    assert ".engine.json into that machine's engine folder" in built.out
    assert "already built" in run("engine", "build", model, "--for", "sm86,sm120").out
    refused = run("engine", "build", model, "--for", "sm90")
    assert (refused.code, "allowed: sm75, sm80" in refused.error) == (2, True)
    assert run("engine", "build", model, "--device", "cpu").code == 2
    assert run("engine", "verify").code == 0
    run("engine", "clean")
    assert list(folder.iterdir()) == []
