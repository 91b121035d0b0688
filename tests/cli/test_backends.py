"""The effect of the options that choose a backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtseg.bench.backends import BackendFigures, BackendReport, Candidate
from rtseg.system.machine import this_machine
from rtseg.timing import Percentiles
from tests.cli.conftest import Run


@pytest.mark.parametrize("command", ["video", "camera", "image", "bench"])
def test_compile_goes_with_pytorch_in_every_command(
    run: Run, portrait_clip: Path, tmp_path: Path, command: str
) -> None:
    inputs = [] if command == "bench" else [portrait_clip]
    outputs = {"video": ["-o", tmp_path / "out.mp4"], "image": ["-o", tmp_path / "out"]}
    outputs["camera"] = ["--no-display", "-o", tmp_path / "out.mkv"]
    options = ("--backend", "openvino", "--compile")
    result = run(command, *inputs, *outputs.get(command, []), *options)
    assert result.code == 2
    assert result.error == "error: --compile: goes with --backend torch, not with openvino"


def test_bench_of_all_backends_uses_the_requested_settings(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}
    times = Percentiles(count=3, mean=2.0, p50=1.5, p95=2.5, p99=3.5)
    torch = BackendFigures(
        candidate=Candidate(backend="torch", device="cpu", precision="fp32"),
        batches=dict.fromkeys((1, 2, 4), times),
        frames_per_second=12.5,
        latency=times,
        finish=times,
        ratio=1.0,
    )
    tensorrt = BackendFigures(
        candidate=Candidate(backend="tensorrt", device="cuda", precision="fp16"),
        batches={},
        problem="no NVIDIA driver",
    )

    def bench_backends(model: Any, **options: Any) -> BackendReport:
        asked.update(options, model=model)
        return BackendReport(
            figures=(torch, tensorrt), threads=1, bench=options["bench"], machine=this_machine()
        )

    monkeypatch.setattr("rtseg.bench.backends.bench_backends", bench_backends)
    figures = tmp_path / "figures.json"
    options = ("--resolution", "320x240", "--output", "encode", "--frames", "7")
    result = run(
        *("bench", "--backend", "all", "--threads", "1", "--max-faces", "2", "--view", "mask"),
        *(*options, "--json", figures),
    )
    assert result.code == 0, result.err
    assert (asked["bench"].size, asked["bench"].frames) == ((320, 240), 7)
    assert (asked["faces"].max_faces, asked["view"].view, asked["model"].threads) == (2, "mask", 1)
    for fact in ("1.5/2.5/3.5", "12.5", "output encode", "not run: tensorrt cuda fp16: no NVIDIA"):
        assert fact in result.out
    written = json.loads(figures.read_text())
    assert written["backends"][0]["frames_per_second"] == 12.5
    assert written["backends"][1]["problem"] == "no NVIDIA driver"


def test_bench_plots_its_results(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    small = ("--model", "null", "--resolution", "160x120", "--frames", "3", "--warmup", "1")
    path = tmp_path / "bench.png"
    assert run("bench", *small, "--plot", path).code == 0
    assert path.stat().st_size > 5000
    refused = run("bench", *small, "--plot", tmp_path / "bench.txt")
    assert refused.code == 2
    assert "FPS" not in refused.out
