"""The runner of the GPU check, with steps that fail, hang and have children; needs no GPU."""

import json
import sys
import time

import pytest

from rtseg.backends import open_backend
from rtseg.errors import BackendError
from rtseg.system.nvidia import Gpu, cuda_compatibility_problem
from tests.gpu_check import __main__ as gpu_check
from tests.gpu_check import device_code, steps
from tests.gpu_check.__main__ import NOT_HERE, STEPS, Step, main
from tests.support.exported import tiny_checkpoint

GPU = Gpu(name="NVIDIA Fake", compute_capability="8.9", memory_bytes=1, cuda="13.0", driver="1")


def python(name, code, seconds=60.0):
    return Step(name=name, what=name, command=(sys.executable, "-c", code), seconds=seconds)


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(gpu_check, "nvidia_driver_problem", lambda: None)
    monkeypatch.setattr(gpu_check, "find_gpus", lambda: (GPU,))


def test_each_step_runs_whatever_the_results_before_it(gpu, tmp_path):
    late = tmp_path / "late"
    child = f"import time, pathlib; time.sleep(6); pathlib.Path({str(late)!r}).touch()"
    children = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child!r}])\n"
        "time.sleep(60)"
    )
    steps = (
        python("crash", "import os; os.abort()"),
        python("hang", children, seconds=2.0),
        python("absent", f"print('no encoder'); raise SystemExit({NOT_HERE})"),
        python("figures", "print('noise'); print('[{\"faces\": 1, \"ms\": 2.5}]')"),
    )
    start = time.monotonic()
    assert main(["-o", str(tmp_path)], steps=steps) == 1
    assert time.monotonic() - start < 30
    written = json.loads((tmp_path / "gpu-check.json").read_text())
    assert written["machine"] == "NVIDIA Fake (8.9), driver 1, CUDA 13.0"
    outcomes = {step["name"]: step["outcome"] for step in written["steps"]}
    assert outcomes == {
        "crash": "failed",
        "hang": "timed out",
        "absent": "not here",
        "figures": "passed",
    }
    assert written["steps"][3]["figures"] == [{"faces": 1, "ms": 2.5}]
    assert (tmp_path / "figures.log").read_text().startswith("noise\n")
    text = (tmp_path / "gpu-check.md").read_text()
    assert "| faces | ms |" in text
    assert "| 1 | 2.5 |" in text
    assert "no encoder" in text
    time.sleep(max(0.0, 7 - (time.monotonic() - start)))
    assert not late.exists(), "a step's children end with it"


def test_a_step_that_does_not_apply_is_not_a_failure(gpu, tmp_path, capsys):
    steps = (
        python("absent", f"print('too old a driver'); raise SystemExit({NOT_HERE})"),
        python("works", "pass"),
        python("fails", "raise SystemExit(1)"),
    )
    only = ["-o", str(tmp_path), "--only", "absent"]
    assert main([*only, "--only", "works"], steps=steps) == 0
    slow = python("slow", "import time; time.sleep(60)")
    assert main(["-o", str(tmp_path), "--at-most", "0.5"], steps=(slow,)) == 1
    assert "timed out" in (tmp_path / "gpu-check.md").read_text()
    # … but a GPU on which nothing ran was not checked
    assert main(only, steps=steps) == 1
    assert "error: nothing ran on the GPU: too old a driver" in capsys.readouterr().err


def test_a_missing_package_is_named(gpu, tmp_path, capsys):
    steps = (
        python("encode", "import no_such_package.part"),
        python("tests", "print(\"could not import 'openvino'\"); raise SystemExit(1)"),
    )
    assert main(["-o", str(tmp_path)], steps=steps) == 1
    text = (tmp_path / "gpu-check.md").read_text()
    assert "| encode | encode | failed (not installed: no_such_package) |" in text
    assert "| tests | tests | failed |" in text
    assert "  not installed: no_such_package; pip install -e '.[test]'\n" in capsys.readouterr().out


def test_the_log_of_a_step_that_times_out_is_complete(gpu, tmp_path):
    step = python("slow", "print('one face: 1 ms'); import time; time.sleep(60)", seconds=3.0)
    assert main(["-o", str(tmp_path)], steps=(step,)) == 1
    assert "one face: 1 ms" in (tmp_path / "gpu-check.md").read_text()


def test_every_step_has_a_name_and_a_time_limit():
    assert sum(step.seconds for step in STEPS) <= 90 * 60
    for step in STEPS:
        for module in (steps, device_code):
            if module.__name__ in step.command:
                assert callable(getattr(module, step.command[-1]))


def test_without_a_gpu_skipped_steps_are_reported(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(gpu_check, "nvidia_driver_problem", lambda: "no NVIDIA driver")
    anywhere = Step(
        name="doctor",
        what="doctor",
        command=(sys.executable, "-c", "print('[{\"fp32\": 1}]')"),
        seconds=60,
        needs_gpu=False,
    )
    assert main(["-o", str(tmp_path)], steps=(anywhere, python("faces", "raise SystemExit"))) == 7
    said = capsys.readouterr()
    assert "no NVIDIA driver" in said.err
    assert "faces: skipped, no NVIDIA driver" in said.out
    written = json.loads((tmp_path / "gpu-check.json").read_text())
    outcomes = {step["name"]: step["outcome"] for step in written["steps"]}
    assert outcomes == {"doctor": "passed", "faces": "skipped"}
    assert "| faces | faces | skipped | 0.0 |" in (tmp_path / "gpu-check.md").read_text()


def test_a_missing_backend_does_not_hide_the_results_of_others(monkeypatch, capsys):
    def opened(name, _precision):
        if name == "tensorrt":
            raise BackendError("neither TensorRT nor TensorRT-RTX is installed; pip install …")
        return open_backend("torch", model=tiny_checkpoint(), device="cpu", precision="fp32")

    monkeypatch.setattr(steps, "opened", opened)
    monkeypatch.setattr(steps, "_memory_used", lambda: 5 << 20)
    with pytest.raises(SystemExit) as ended:
        steps.life_cycle()
    assert not ended.value.code
    first, second = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert first == {
        "backend": "torch",
        "rounds": steps.ROUNDS,
        "MiB after three rounds": 5,
        "MiB in the end": 5,
        "grown": 0,
    }
    assert "neither TensorRT" in second["not here"]


def test_a_life_cycle_is_cut_short_rather_than_out_of_time(monkeypatch, capsys):
    backend = open_backend("torch", model=tiny_checkpoint(), device="cpu", precision="fp32")
    monkeypatch.setattr(backend, "close", lambda: None)
    monkeypatch.setattr(steps, "opened", lambda _name, _precision: backend)
    used = iter([9 << 20, 7 << 20, *[5 << 20] * 3, 9 << 20, 7 << 20, 5 << 20, *[20 << 20] * 2])
    monkeypatch.setattr(steps, "_memory_used", lambda: next(used))
    monkeypatch.setenv(gpu_check.SECONDS, "0")
    with pytest.raises(SystemExit) as ended:
        steps.life_cycle()
    flat, grown = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert flat["rounds"] == grown["rounds"] == steps.LEAST_ROUNDS
    assert (flat["grown"], grown["grown"]) == (0, 15)
    assert ended.value.code


@pytest.mark.parametrize("is_old_driver", [False, True])
def test_a_step_without_any_backend_does_not_apply(monkeypatch, is_old_driver):
    monkeypatch.setattr("rtseg.system.nvidia.driver_cuda_version", lambda: (12, 4))
    why = "device cuda: PyTorch sees no NVIDIA GPU here; use `device` cpu"
    if is_old_driver:
        why = cuda_compatibility_problem("TensorRT", 13)

    def opened(_name, _precision):
        raise BackendError(why)

    monkeypatch.setattr(steps, "opened", opened)
    for step in (steps.life_cycle, lambda: device_code.one_call("torch")):
        with pytest.raises(SystemExit) as ended:
            step()
        assert ended.value.code == NOT_HERE


def test_a_failing_backend_is_not_reported_as_missing(monkeypatch):
    def opened(_name, _precision):
        raise BackendError("the torch backend failed: CUDA error: unspecified launch failure")

    monkeypatch.setattr(steps, "opened", opened)
    with pytest.raises(BackendError, match="launch failure"):
        steps.life_cycle()
