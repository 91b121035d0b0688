"""The comparison of backends, each measured in a separate process."""

import io
import json

import pytest
from rich.console import Console

from rtseg.bench.backends import BATCHES, Candidate, bench_backends
from rtseg.checkpoint import read_checkpoint, write_checkpoint
from rtseg.errors import BackendError
from rtseg.settings import BenchSettings, ModelSettings
from rtseg.system.nvidia import nvidia_driver_problem
from tests.support.exported import tiny_checkpoint, tiny_onnx

EAGER = Candidate(backend="eager", device="cpu", precision="fp32")
TORCH = Candidate(backend="torch", device="cpu", precision="fp32")
OPENVINO = Candidate(backend="openvino", device="cpu", precision="fp32")
TENSORRT = Candidate(backend="tensorrt", device="cuda", precision="fp16")
IMPOSSIBLE = Candidate(backend="openvino", device="cpu", precision="int8")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    for package in ("onnx", "onnxscript", "openvino"):
        pytest.importorskip(package)
    from rtseg.export.onnx import write_onnx

    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    write_checkpoint(tiny_checkpoint(), path)
    write_onnx(read_checkpoint(path), path.with_suffix(".onnx"), precision="fp32")
    return ModelSettings(model=str(path), threads=1)


@pytest.fixture(scope="module")
def report(settings):
    candidates = (EAGER, TORCH, OPENVINO, IMPOSSIBLE, TENSORRT)
    bench = BenchSettings(resolution="160x120", frames=4, warmup=1)
    return bench_backends(settings, candidates=candidates, rounds=5, bench=bench)


def test_each_backend_has_every_figure(report):
    eager, torch, openvino, *_ = report.figures
    for figures in (eager, torch, openvino):
        assert figures.problem == ""
        assert tuple(figures.batches) == BATCHES
        for times in figures.batches.values():
            assert times.count == 5
            assert 0 < times.p50 <= times.p95 <= times.p99
        assert figures.precision == "fp32"
        assert figures.device.startswith("cpu")
        assert figures.agreement >= 0.999
        assert figures.frames_per_second > 0
        assert figures.latency.count == 4
        assert figures.finish.count == 5
        assert figures.device_ms is None  # a processor has no clock of its own
        assert figures.peak_mib > 10
        assert 0.1 < figures.start_seconds < 100
    assert eager.ratio == 1.0
    expected = eager.batches[1].p50 / openvino.batches[1].p50
    assert openvino.ratio == pytest.approx(expected)
    # PyTorch's libraries are larger than OpenVINO's, so the processes are separate
    assert openvino.peak_mib < torch.peak_mib


def test_a_backend_that_cannot_run_gives_the_reason(report):
    impossible, tensorrt = report.figures[3:]
    assert "there is no quantised model beside tiny.safetensors" in impossible.problem
    assert impossible.batches == {}
    if nvidia_driver_problem() is not None:
        assert tensorrt.problem == nvidia_driver_problem()


def test_the_report_as_json_and_as_a_table(report):
    values = json.loads(json.dumps(report.to_json()))
    assert values["schema"] == 3
    assert values["settings"]["resolution"] == "160x120"
    assert values["machine"]["processor"]
    assert [b["candidate"]["backend"] for b in values["backends"]][:2] == ["eager", "torch"]
    assert values["backends"][1]["batches"]["4"]["p95"] > 0
    console = Console(width=160, file=io.StringIO())
    console.print(report.table())
    text = console.file.getvalue()
    assert "torch cpu fp32" in text
    for heading in ("1 crop", "2 crops", "4 crops", "× first", "FPS", "same labels", "MiB"):
        assert heading in text
    assert "finish: " in text
    assert "speed relative to eager cpu fp32" in text
    assert f"{report.figures[1].frames_per_second:.1f}" in text
    assert "not run: openvino cpu int8:" in " ".join(text.split())


def test_an_exported_file_alone_cannot_be_compared(tmp_path):
    problem = "eager cpu fp32 does not run here: .*tiny.onnx: the comparison needs the .safetensors"
    exported = tmp_path / "tiny.onnx"
    exported.write_bytes(tiny_onnx().data)
    settings = ModelSettings(model=str(exported))
    with pytest.raises(BackendError, match=problem):
        bench_backends(settings, candidates=(EAGER,), rounds=1)


def test_without_the_reference_there_is_no_table(monkeypatch):
    problem = "no NVIDIA driver"
    monkeypatch.setattr("rtseg.bench.backends._obstacle", lambda _candidate: problem)
    with pytest.raises(BackendError, match="torch cpu fp32 does not run here: no NVIDIA driver"):
        bench_backends(ModelSettings(), candidates=(TORCH,), rounds=1)
