"""Plots of benchmarks."""

import cv2
import numpy as np
import pytest

from rtseg.bench.backends import BackendFigures, BackendReport, Candidate
from rtseg.bench.pipeline import run_bench
from rtseg.bench.plot import check_plot, plot
from rtseg.errors import SettingError, SinkError
from rtseg.settings import BenchSettings, ModelSettings
from rtseg.system.machine import this_machine
from rtseg.timing import Percentiles

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def report():
    bench = BenchSettings(resolution="160x120", frames=6, warmup=1)
    return run_bench(bench, model=ModelSettings(model="null"))


def test_every_frames_latency_is_kept(report):
    latencies = report.summary.latencies_ms
    assert len(latencies) == 6
    assert np.mean(latencies) == pytest.approx(report.summary.latency.mean)


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_report_is_plotted(report, tmp_path, suffix):
    path = tmp_path / f"bench.{suffix}"
    plot(report, str(path))
    assert path.stat().st_size > 5000
    if suffix == "png":
        picture = cv2.imread(str(path))
        assert picture.shape[:2] == (480, 1200)
        # bars in both colours on the left, histogram bins on the right
        half = (picture == (0x8F, 0x6F, 0x2F)).all(2)
        assert half[:, :600].any()
        assert half[:, 600:].any()
    if suffix == "svg":
        text = path.read_text()
        assert "FPS end to end" in text or "<use" in text


def test_backends_are_plotted_side_by_side(tmp_path):
    times = Percentiles(count=3, mean=2.0, p50=1.5, p95=2.5, p99=3.5)
    runs = BackendFigures(
        candidate=Candidate(backend="torch", device="cpu", precision="fp32"), batches={1: times}
    )
    absent = BackendFigures(
        candidate=Candidate(backend="tensorrt", device="cuda", precision="fp16"),
        batches={},
        problem="no NVIDIA driver",
    )
    bench = BenchSettings(frames=3)
    path = tmp_path / "all.png"
    figures = (runs, absent)
    plot(BackendReport(figures=figures, threads=1, bench=bench, machine=this_machine()), str(path))
    assert (cv2.imread(str(path)) != 255).any()


def test_an_unsupported_plot_is_refused_before_measuring(tmp_path, monkeypatch, report):
    for name in ("bench.bmp", "bench", "bench.png.txt"):
        with pytest.raises(
            SettingError, match=r"--plot .*: is not a supported picture; allowed: .png, .svg"
        ):
            check_plot(name)
    with pytest.raises(SinkError, match="cannot be written: No such file"):
        plot(report, str(tmp_path / "none" / "bench.png"))
    monkeypatch.setattr("rtseg.bench.plot.find_spec", lambda _name: None)
    with pytest.raises(SettingError, match=r"pip install 'rtseg\[plot\]'"):
        check_plot("bench.png")
