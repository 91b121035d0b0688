"""The benchmarks import, explain themselves, and run; mypy checks their types (`make lint`)."""

from __future__ import annotations

import importlib
import pkgutil
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests import benchmarks

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(benchmarks.__path__, f"{benchmarks.__name__}.")
    if not module.name.rpartition(".")[2].startswith("test_")
)


def source_of(name: str) -> str:
    path = importlib.import_module(name).__file__
    assert path is not None
    return Path(path).read_text("utf-8")


WITH_OPTIONS = [name for name in MODULES if ".parse_args(" in source_of(name)]


def run(monkeypatch: pytest.MonkeyPatch, name: str, *words: object) -> int:
    """Run `python -m NAME WORDS` in this process; return its exit code."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    monkeypatch.delitem(sys.modules, name)
    try:
        runpy.run_module(name, run_name="__main__")
    except SystemExit as stopped:
        return int(stopped.code or 0)
    return 0


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_says_what_it_measures(name: str) -> None:
    assert importlib.import_module(name).__doc__


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_a_benchmark_explains_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, name, "--help") == 0
    assert "usage: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("colours", (), r" *\d+\.\d  [a-z-]+, [a-z-]+"),
        ("layers", ("--calls", 2), r"\| Convolution \S+ \| \d+ \| \d+\.\d\d .*"),
        ("tone_mapping", (64, 48), r"PQ 64x48: \d+ ms of one core a frame"),
        ("media", ("--frames", 3), r"H\.264 veryfast, 2 threads: \d+\.\d\d ms, \d+\.\d KiB"),
        ("steps", ("--frames", 3), r"\| to 4:2:0 \| \d+\.\d\d \|"),
        ("batch", ("--files", 1, "--frames", 2, "--processes", 1), r"\| 1 \| \d+ \| \d+\.\d \|"),
        pytest.param(
            "effects",
            ("--count", 1, "--frames", 8),
            r"  alpha hair +\d+\.\d\d +\d+\.\d\d",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "encode",
            ("--frames", 2, "--pairs", 1),
            r"median \d+\.\d\d .* of 1 pairs; aim .*",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "streams",
            ("--streams", 1, "--seconds", 3, "--kind", "server"),
            r"\| 1 \| server \| \d+\.\d \|.*",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_benchmark_that_needs_no_data_runs(
    name: str,
    words: tuple[object, ...],
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, f"{benchmarks.__name__}.{name}", *words) in (0, 1)
    lines = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(line, one) for one in lines), lines


def test_overlapping_stages_are_measured(tmp_path: Path) -> None:
    from tests.benchmarks.clips import make_clip
    from tests.benchmarks.overlap import bench, shares

    clip = tmp_path / "clip.mp4"
    make_clip(clip, width=96, height=64, frames=14)
    assert min(shares(bench(clip, frames=2, overlap=False, model=None))) > 0
